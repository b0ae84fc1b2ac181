"""Pulling: requests to a consumer for messages, one at a time, and what they bring.

The client's own ``fetch`` loses what has arrived when it is cancelled, until the server gives
it again; here it is kept.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...errors import ConnectorSetupError
from .client import Line

with suppress(ImportError):
    import nats.errors

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

__all__ = ("Pulling",)

_LONG: Final = 30.0
"""Seconds that a request waits for a first message."""
_SHORT: Final = 0.1
"""The same, where it is only to be seen whether there is one."""
_GRACE: Final = 2.0
"""Seconds after which a request that should have ended is taken to be lost."""
_PAUSE: Final = 0.05

_ENDED: Final = frozenset(("404", "408", "409"))
_GONE: Final = "consumer deleted"


class Pulling:
    """What a consumer delivers.

    Args:
        line: The connection.
        consumer: The subject on which it is asked for messages.
        what: The connector, as its user calls it.
        fetch: Most messages of one request.
    """

    def __init__(self, line: Line, consumer: str, what: str, fetch: int) -> None:
        self._line = line
        self._consumer = consumer
        self._what = what
        self._fetch = fetch
        self._here: deque[Msg] = deque()
        self._wake = asyncio.Event()
        self._inbox = line.client.new_inbox()
        self._subscription: Subscription | None = None
        self._number = 0
        self._open = 0
        self._came = 0
        self._found_none = False
        self._generation = 0
        self._gone = False

    async def begin(self) -> None:
        """Be there for what is delivered."""
        self._line.on_change(self._wake.set)
        self._subscription = await self._line.client.subscribe(f"{self._inbox}.*", cb=self._take_in)

    async def take(self, *, wait: bool) -> list[Msg]:
        """What is here, or the next that come; none where there is none, and that is not waited for.

        Raises:
            ConnectionLostError: The connection was lost for too long.
            ConnectorSetupError: The consumer has been deleted.
        """
        self._found_none = False
        while not self._here:
            self._line.check()
            if self._gone:
                raise ConnectorSetupError(f"{self._what}: its consumer has been deleted")
            if self._found_none and not wait:
                return []
            seconds = _LONG if wait else _SHORT
            if (self._open and self._generation == self._line.generation) or await self._ask(seconds):
                await self._change(seconds + _GRACE)
        here = list(self._here)
        self._here.clear()
        return here

    async def end(self) -> list[Msg]:
        """Take nothing more; what is here and was not taken, with what was under way."""
        if self._subscription is not None:
            with suppress(nats.errors.Error):
                await self._subscription.drain()  # type: ignore[no-untyped-call]  # the client's
        here = list(self._here)
        self._here.clear()
        return here

    async def _ask(self, seconds: float) -> bool:
        """Whether a request was sent."""
        if not self._line.is_up:
            await self._change(_PAUSE)
            return False
        self._number += 1
        self._generation, self._open, self._came = self._line.generation, self._fetch, 0
        request = {"batch": self._fetch, "expires": int(seconds * 1e9)}
        try:
            await self._line.client.publish(
                self._consumer, json.dumps(request).encode(), f"{self._inbox}.{self._number}"
            )
        except nats.errors.Error:
            self._open = 0
            await self._change(_PAUSE)
            return False
        return True

    async def _change(self, seconds: float) -> None:
        """Wait until something has come, or the request is over."""
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            # Nothing was heard of the request: ask anew, and take nothing for its end.
            self._open, self._generation = 0, -1

    async def _take_in(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        if status is None or not message.subject.startswith(self._inbox):
            self._here.append(message)
            self._came += 1
            self._open = max(0, self._open - 1)
        elif status == "503" or (status in _ENDED and message.subject == f"{self._inbox}.{self._number}"):
            self._found_none = status != "503" and not self._came
            self._open = 0
            told = (message.headers or {}).get("Description", "").lower()
            self._gone = self._gone or _GONE in told
            if status == "503":
                # Nobody answers: JetStream is not there yet, or not any more.
                self._generation = -1
        self._wake.set()
