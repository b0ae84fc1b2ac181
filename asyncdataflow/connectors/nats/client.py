"""Line: one connection to NATS, which its client makes again when it was lost; told apart by generations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from ...errors import ConnectionLostError
from ..checks import refuse_unless_seconds
from ..extra import need
from ..intake import finish

# Without the extra this module can be imported, and nothing of it be made: `need` says why.
with suppress(ImportError):
    from nats.aio.client import Client

__all__ = ("Line", "Servers", "subject_of")

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_PAUSE: Final = 0.25
_LONGEST_CONNECTING: Final = 10.0
_PING_INTERVAL: Final = 20


class Servers:
    """Where a cluster is, without a way to read its password out of a representation or a message.

    Args:
        servers: An address, ``nats://host:port``, or several of one cluster.
        options: More for the client: ``tls=``, ``user_credentials=``, ``token=`` and the like.
        reconnect: Seconds for which a lost connection is tried again; 0: it is not.
        what: The connector, as its user calls it.

    Raises:
        MissingExtraError: nats-py is not installed.
        ValueError: An address is none, or an option is the connector's own.
    """

    def __init__(
        self, servers: str | Sequence[str], options: Mapping[str, Any] | None, reconnect: float, what: str
    ) -> None:
        need("nats", "nats", what)
        self.what = what
        self._servers = [servers] if isinstance(servers, str) else list(servers)
        if not self._servers or not all(map(_is_address, self._servers)):
            raise ValueError(f"{what}: servers= are addresses such as nats://127.0.0.1:4222")
        if reconnect != 0:
            refuse_unless_seconds(f"{what}: reconnect=", reconnect)
        self._options = dict(options or {})
        own = _OWN.intersection(self._options)
        if own:
            raise ValueError(f"{what}: options= cannot set {min(own)}: the connector does")
        self.patience = reconnect

    def __repr__(self) -> str:
        return f"Servers of {self.what}"

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Line]:
        """Enter to connect; leave to disconnect.

        Raises:
            ConnectionLostError: None of the servers can be reached, or lets us in.
        """
        line = Line(self)
        connecting = asyncio.create_task(self._connect(line))
        try:
            try:
                await asyncio.wait([connecting])
                connecting.result()
            except TimeoutError:
                reason = type(line.client.last_error or TimeoutError()).__name__
                raise ConnectionLostError(f"{self.what}: cannot connect: {reason}") from None
            yield line
        finally:
            line.closing = True
            connecting.cancel()
            await finish(asyncio.create_task(line.close(connecting)))

    async def _connect(self, line: Line) -> None:
        # Its own attempts have no end before the first that succeeds.
        async with asyncio.timeout(max(1.0, min(self.patience, _LONGEST_CONNECTING))):
            await line.client.connect(
                servers=self._servers,
                disconnected_cb=line.lost,
                reconnected_cb=line.found,
                error_cb=line.noted,
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_PAUSE,  # type: ignore[arg-type]  # it is slept for
                pending_size=0,
                **{"ping_interval": _PING_INTERVAL, "name": "asyncdataflow", **self._options},
            )


_OWN: Final = frozenset(
    (
        "servers",
        "disconnected_cb",
        "reconnected_cb",
        "error_cb",
        "allow_reconnect",
        "max_reconnect_attempts",
        "reconnect_time_wait",
        "pending_size",
    )
)


def _is_address(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(urlsplit(text if "//" in text else f"//{text}").hostname)
    except ValueError:
        return False


class Line:
    """One connection. Nothing is kept to be sent later while it is lost: what was to be sent fails.

    Attributes:
        client: The client.
        generation: Grows with each loss: what was delivered before belongs to another session.
        closing: It is being left: a loss is no loss.
    """

    def __init__(self, servers: Servers) -> None:
        self.client = Client()
        self.generation = 0
        self.closing = False
        self._servers = servers
        self._lost_at: float | None = None
        self._loss: asyncio.Future[None] | None = None
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have something called when the connection is lost, and when it is had back."""
        self._listeners.append(listener)

    @property
    def is_up(self) -> bool:
        """There is a connection, as far as is known."""
        return self._lost_at is None and self.client.is_connected

    def check(self) -> None:
        """Raise ``ConnectionLostError`` where the connection has been lost for too long."""
        lost = self._lost_at is not None and _now() - self._lost_at >= self._servers.patience
        if lost or self.client.is_closed:
            reason = type(self.client.last_error).__name__ if self.client.last_error else "no answer"
            raise ConnectionLostError(
                f"{self._servers.what}: the connection was lost, and not had back within "
                f"{self._servers.patience:g} s: {reason}"
            )

    async def until_lost(self, works: Iterable[Coroutine[Any, Any, T]]) -> list[asyncio.Task[T]]:
        """Have things done at once; those that wait when the connection is lost are cancelled.

        What is to come on a lost connection comes on no other.
        """
        tasks = [asyncio.create_task(each) for each in works]
        if not tasks:
            return []
        loss = self._loss = self._loss or asyncio.get_running_loop().create_future()
        ended = asyncio.create_task(_all_ended(tasks))
        try:
            await asyncio.wait([ended, loss], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not ended.done():
                for each in tasks:
                    each.cancel()
            await finish(ended)
        return tasks

    async def lost(self) -> None:
        """The client has noticed."""
        if not self.closing:
            _LOG.info("%s: the connection is lost", self._servers.what)
            self.generation += 1
            self._lost_at = _now()
            if self._loss is not None:
                self._loss.set_result(None)
                self._loss = None
            self._tell()

    async def found(self) -> None:
        """The client has connected again."""
        self._lost_at = None
        self._tell()

    async def noted(self, error: Exception) -> None:
        """The client has seen an error, which it goes on after; its text may quote a payload."""
        _LOG.debug("%s: %s", self._servers.what, type(error).__name__)

    async def close(self, connecting: asyncio.Task[None]) -> None:
        """Disconnect, whatever the state."""
        await asyncio.wait([connecting])
        with suppress(Exception):
            await self.client.close()
        # Its own tasks were cancelled just now.
        for _ in range(3):
            await asyncio.sleep(0)

    def _tell(self) -> None:
        for each in self._listeners:
            each()


async def _all_ended(tasks: list[asyncio.Task[T]]) -> None:
    await asyncio.wait(tasks)


def _now() -> float:
    return asyncio.get_running_loop().time()


def subject_of(what: str, option: str, subject: object, *, wildcards: bool = False) -> str:
    """A subject as it was given.

    Raises:
        ValueError: It is none.
    """
    tokens = subject.split(".") if isinstance(subject, str) else [""]
    named = all(each and not any(c.isspace() or ord(c) < 33 for c in each) for each in tokens)
    if not named or (not wildcards and {"*", ">"} & set(tokens)):
        raise ValueError(f"{what}: {option}= is a subject such as orders.new, not {subject!r}")
    return str(subject)
