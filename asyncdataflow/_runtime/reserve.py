"""Reserve: workers of a stage that have not started, because no item has lain there yet for one more.

They stand behind those who wait for items, so that one is started only where an item lies there that nobody
is awake for: while calls do not suspend the first worker makes them all.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from .channel import Channel
from .reading import Loop

__all__ = ("Reserve",)


class Reserve:
    """Of one stage; stands once for each of them in the queue of receivers, like a future there.

    Args:
        channel: Where they take items from.
        loop: What one does.
        start: Called with that to start one.
    """

    __slots__ = ("_at_once", "_channel", "_context", "_loop", "_start")

    def __init__(self, channel: Channel[Any], loop: Loop, start: Callable[[Loop], None]) -> None:
        self._channel = channel
        self._loop = loop
        self._start = start
        # The run's own, like that of the others: not that of whoever promises an item.
        self._context = contextvars.copy_context()
        self._at_once = 1

    def done(self) -> bool:
        """Nobody has to be started any more: what those who wait are told of is the end."""
        return not self._channel.queue

    def set_result(self, promised: bool) -> None:
        """An item is promised to one of them."""
        assert promised, "only groups send away who waits"  # noqa: S101 - no stage of one has a reserve
        # Not now: with an eager task factory it would begin to work in the middle of what promises it.
        asyncio.get_running_loop().call_soon(self._begin, context=self._context)

    def _begin(self) -> None:
        """Start it, and more beside it: one by one a thousand would take as many turns of the loop."""
        self._start(self._promised)
        for _ in range(self._channel.call_up(min(self._at_once - 1, self._channel.ready))):
            self._start(self._loop)
        self._at_once *= 2

    def _promised(self) -> Coroutine[Any, Any, None]:
        """The life of one to whom an item is promised."""
        self._channel.baton.drop()
        self._channel.accept()
        return self._loop()
