"""Reserve: workers of a stage that have not started, because no item has lain there yet for one more.

They stand behind those who wait for items, so that one is started only where nobody waits and an item
lies there that nobody is awake for: while calls do not suspend, the first worker makes them all, and
a stage of which a thousand may be at work at once begins with one task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from .channel import Channel
from .meter import Meter
from .reading import Loop

__all__ = ("Reserve",)


class Reserve:
    """Of one stage; stands once for each of them in the queue of receivers, like a future there.

    Args:
        channel: Where they take items from.
        meter: The stage's: they wait for items.
        loop: What one does.
        start: Called with that to start one.
    """

    __slots__ = ("_channel", "_loop", "_meter", "_start")

    def __init__(
        self, channel: Channel[Any], meter: Meter, loop: Loop, start: Callable[[Loop], None]
    ) -> None:
        self._channel = channel
        self._meter = meter
        self._loop = loop
        self._start = start

    def stand_by(self, workers: int) -> None:
        """So many wait from now on."""
        self._channel.station(self, workers)
        self._meter.waiting.begin(workers)

    def done(self) -> bool:
        """Nobody has to be started any more: what those who wait are told of is the end."""
        return not self._channel.queue

    def set_result(self, promised: bool) -> None:
        """An item is promised to one of them."""
        # Not now: with an eager task factory it would begin to work in the middle of what promises it.
        asyncio.get_running_loop().call_soon(self._start, self._begin)

    def _begin(self) -> Coroutine[Any, Any, None]:
        """The life of one."""
        self._meter.waiting.__exit__()
        self._channel.baton.drop()
        self._channel.accept()
        return self._loop()
