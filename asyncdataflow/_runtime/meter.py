"""Meter: where the workers of a stage leave their time.

A clock is read where a worker really waits, which costs many times as much, and at the end of a stretch of
many items, never for an item of it. A worker that does not wait is busy: in its stage's function, or waiting for its
turn of the loop. So three figures say all, and add up to the time that the workers have lived.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from typing import Any, Final

from ..histogram import Histogram, Recorder

__all__ = ("UNCOUNTED", "Meter", "Spent", "Waits")

UNCOUNTED: Final[AbstractContextManager[Any]] = nullcontext()
"""Around a wait that is counted nowhere."""

_QUICK: Final = 2e-5
"""Seconds that an item does not take that has not waited for anything."""

_MOST_EVERY: Final = 16


class Waits:
    """How long workers have waited, in all, for one sort of thing.

    Args:
        clock: Tells the time.
        most: Workers: one that waits in several places at once counts once.

    Attributes:
        clock: As given.
        most: As given.
    """

    __slots__ = ("_seconds", "_since", "_waiting", "clock", "most")

    def __init__(self, clock: Callable[[], float], most: int) -> None:
        self.clock = clock
        self.most = most
        self._waiting = 0
        self._since = self._seconds = 0.0

    def begin(self, now: float) -> None:
        """A worker begins to wait."""
        waiting = self._waiting
        if waiting:
            self._seconds = self.seconds(now)
        self._since = now
        self._waiting = waiting + 1

    def end(self, now: float) -> None:
        """One of them goes on."""
        self._seconds = self.seconds(now)
        self._since = now
        self._waiting -= 1

    def __enter__(self) -> None:
        """A worker waits in this block."""
        self.begin(self.clock())

    def __exit__(self, *_: object) -> None:
        """It goes on."""
        self.end(self.clock())

    def seconds(self, now: float) -> float:
        """Worker time up to now, with the waits that last."""
        waiting = self._waiting
        return self._seconds + (waiting if waiting < self.most else self.most) * (now - self._since)


@dataclass(slots=True)
class Spent:
    """Where the time of a stage's workers went, in seconds; see ``StageStats``."""

    elapsed: float
    busy: float
    waiting: float
    blocked: float
    latency: Histogram

    def pass_on(self, seconds: float) -> None:
        """So much work was done for it by the worker of another stage, which its own has waited for."""
        seconds = min(max(seconds, -self.busy), self.waiting + self.blocked)
        blocked = max(seconds - self.waiting, 0.0)
        self.busy += seconds
        self.blocked -= blocked
        self.waiting -= seconds - blocked


class Meter:
    """Of one stage.

    Args:
        clock: Tells the time.
        workers: How many it has.

    Attributes:
        clock: As given.
        waiting: Waits for items.
        blocked: Waits for room, or for a turn to send.
        latency: Seconds from when an item is begun to when it is made.
    """

    __slots__ = ("_begun", "_ended", "_every", "_left", "_workers", "blocked", "clock", "latency", "waiting")

    def __init__(self, clock: Callable[[], float], workers: int) -> None:
        self.clock = clock
        self.waiting = Waits(clock, workers)
        self.blocked = Waits(clock, workers)
        self.latency = Recorder()
        self._workers = workers
        self._every = self._left = 1
        self._begun: float | None = None
        self._ended: float | None = None

    def begin(self, now: float) -> None:
        """Its workers start."""
        self._begun = now

    def end(self) -> None:
        """The last of its workers has ended."""
        self._ended = self.clock()

    def timed(self) -> int:
        """For how many items the next one stands; 0 where it is not to be timed.

        Of items that come one by one, each is timed that is slow, as far as the one before it says, and
        one of some that are quick.
        """
        self._left -= 1
        if self._left:
            return 0
        self._left = self._every
        return self._every

    def took(self, began: float, times: int) -> None:
        """The item that stands for so many was begun then, and is made."""
        seconds = self.clock() - began
        self.latency.add(seconds, times)
        self._every = self._left = 1 if seconds > _QUICK else min(2 * self._every, _MOST_EVERY)

    def spent(self) -> Spent:
        """Up to now, or to its end."""
        if self._begun is None:
            return Spent(0.0, 0.0, 0.0, 0.0, Histogram())
        now = self.clock() if self._ended is None else self._ended
        elapsed = now - self._begun
        waiting, blocked = self.waiting.seconds(now), self.blocked.seconds(now)
        busy = self._workers * elapsed - waiting - blocked
        return Spent(elapsed, busy, waiting, blocked, self.latency.histogram())
