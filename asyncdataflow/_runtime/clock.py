"""Time as the runtime sees it: the loop's clock, so that a virtual loop governs everything."""

from __future__ import annotations

import asyncio
from typing import Final

from ..policy import Rate

__all__ = ("Limiter", "Turn")

_TURN_SECONDS: Final = 0.001
_TURN_ITEMS: Final = 1024


class Turn:
    """Tells a worker that never suspends when to give the loop back: after about 1 ms.

    Reading the clock costs as much as a trivial item, so it is read every few items
    only: the stride doubles while items are quick and halves while they are slow. The
    count bounds a turn as well, because under a virtual clock no time ever passes
    within one.
    """

    __slots__ = ("_count", "_left", "_since", "_stride", "_time")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._time = loop.time
        self._since = self._time()
        self._stride = self._left = 1
        self._count = 0

    def due(self) -> bool:
        """Count one item; true when it is time for ``await asyncio.sleep(0)``."""
        self._left -= 1
        if self._left:
            return False
        self._count += self._stride
        spent = self._time() - self._since
        if spent < _TURN_SECONDS and self._count < _TURN_ITEMS:
            self._stride = (
                min(self._stride * 2, 128) if spent < _TURN_SECONDS / 4 else max(self._stride // 2, 1)
            )
            self._left = self._stride
            return False
        self._stride = max(self._stride // 2, 1)
        self._left = self._stride
        self._count = 0
        self._since += spent
        return True


class Limiter:
    """At most ``rate.items`` begun in ``rate.seconds``: the generic cell rate algorithm.

    One number is kept, the time at which the bucket would be empty, so that any count
    of workers share it without a queue of their own (ITU-T I.371, as in GCRA limiters).
    """

    __slots__ = ("_empty_at", "_interval", "_loop", "_slack")

    def __init__(self, rate: Rate, loop: asyncio.AbstractEventLoop) -> None:
        self._interval = rate.seconds / rate.items
        self._slack = self._interval * (rate.burst - 1)
        self._loop = loop
        self._empty_at = loop.time()

    async def wait(self) -> None:
        """Return when the next item may begin; callers are served in the order they came."""
        now = self._loop.time()
        start = max(self._empty_at, now)
        self._empty_at = start + self._interval
        delay = start - self._slack - now
        if delay > 0:
            await asyncio.sleep(delay)
