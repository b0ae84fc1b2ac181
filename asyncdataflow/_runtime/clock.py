"""Time as the runtime sees it: the loop's clock, so that a virtual loop governs everything."""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Callable, Generator
from typing import Final, Protocol

from ..policy import Rate
from .meter import Waits

__all__ = ("Limiter", "Shared", "Turn", "time_of")

_TURN_SECONDS: Final = 0.001
_TURN_ITEMS: Final = 1024
_MOST_STRIDE: Final = 128

_WAKE_SECONDS: Final = 1e-5
"""What it takes at most, as a rule, to tell a worker that there is an item."""

_BRISK: Final = 8
"""Items at once; who has done fewer had better wait for a wake-up than look again."""

_PATIENCE: Final = 2
"""In one step of the loop everybody else has had a turn, in two a neighbour that had to wait itself."""


def time_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """The clock to measure short stretches with.

    uvloop's own stands still within a turn of the loop. A loop that governs time says so
    with an attribute ``governs_time``.
    """
    return loop.time if getattr(loop, "governs_time", False) else time.monotonic


class Shared(Protocol):
    """What workers that give way have in common: how many do, and what each looks at when it goes on."""

    awake: int

    def drop(self) -> None:
        """One of them goes on."""


class Turn:
    """Tells a worker that never suspends when to give the loop back: after about 1 ms.

    Reading the clock costs as much as a trivial item, so it is read every few items
    only: the stride doubles while twice as many fit into what is left of the turn, and
    halves where as many do not. The
    count bounds a turn as well, because under a virtual clock no time ever passes
    within one.

    While items come many at once, neighbours that take turns at being asleep cost each other
    a wake-up and a step of the loop every time. So who has just done many looks again once the
    others have had their turn, before it waits to be woken.

    Args:
        loop: The loop.
        wakes: How many it may have to wake with an item. That takes time, which is no reason to give
            the loop back: who woke a thousand with each item would never send two at once.

    Attributes:
        left: Items to be done before it has to be asked again.
        now: What time it was when last it was looked.
        patience: How often it is worth to :meth:`give_way` before waiting to be woken.
    """

    __slots__ = ("_count", "_looked", "_most", "_since", "_stride", "_time", "left", "now", "patience")

    def __init__(self, loop: asyncio.AbstractEventLoop, wakes: int = 0) -> None:
        self._time = time_of(loop)
        self._most = _TURN_SECONDS + wakes * _WAKE_SECONDS
        self._stride = 1
        self.begin()

    def begin(self) -> None:
        """The worker has really waited: others had their turn meanwhile."""
        self.now = self._since = self._looked = self._time()
        self._count = 0
        self.left = self._stride
        self.patience = 0

    def look(self) -> float:
        """Look what time it is; the seconds since last it was looked."""
        now = self._time()
        took, self.now = now - self.now, now
        return took

    @types.coroutine
    def give_way(
        self, waits: Waits | None = None, shared: Shared | None = None
    ) -> Generator[None, None, None]:
        """Let the others have their turn; cancelled, nothing has happened.

        Args:
            waits: What the worker waits for, in one place, from when last it was looked what time it is.
            shared: What it has in common with the others, of a worker.
        """
        if waits is None or shared is None:
            yield
            now = self._time()
        else:
            # What ``waits`` does by itself costs three calls.
            waits.workers += 1
            waits.sum -= self.now
            shared.awake += 1
            try:
                yield
            except asyncio.CancelledError:
                shared.drop()
                raise
            finally:
                now = self._time()
                waits.workers -= 1
                waits.sum += now
                shared.awake -= 1
            shared.drop()
        self.now = self._since = self._looked = now
        self._count = 0
        self.left = self._stride
        self.patience -= 1

    @types.coroutine
    def rest(self) -> Generator[None, None, None]:
        """Give the loop back, as it is time to: what the others do meanwhile is not of this worker's turn."""
        yield
        self.now = self._since = self._looked = self._time()

    def is_idle_after(self, items: int, most: int) -> bool:
        """Whether to :meth:`give_way` at once: these were many, and all there was to do.

        Args:
            items: How many it did.
            most: How many it might have done.
        """
        if items < _BRISK or items < most:
            return False
        self.patience = _PATIENCE
        return True

    def due(self, items: int = 1, now: float | None = None) -> bool:
        """Count items; true when it is time to :meth:`rest`.

        Args:
            items: Items done.
            now: What time it is, where that is known.
        """
        self.left -= items
        self.patience = _PATIENCE if items >= _BRISK else 0
        if self.left > 0:
            return False
        self._count += self._stride
        now = self._time() if now is None else now
        took, spent = now - self._looked, now - self._since
        self._looked = now
        if spent < self._most and self._count < _TURN_ITEMS:
            if spent + 2 * took < self._most:
                self._stride = min(self._stride * 2, _MOST_STRIDE)
            elif spent + took > self._most:
                self._stride = max(self._stride // 2, 1)
            self.left = self._stride
            return False
        self._stride = max(self._stride // 2, 1)
        self.left = self._stride
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
