"""Meter: where the workers of a stage leave their time.

A clock is read where a worker really waits, which costs many times as much, and at the end of a stretch of
many items, never for an item of it. A worker that does not wait is busy: in its stage's function, or ready
for its turn of the loop. So three figures say all, and add up to the time that the workers have lived.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from ..histogram import Histogram, Recorder

__all__ = ("UNCOUNTED", "AnyWait", "Meter", "Spent", "Waits")

UNCOUNTED: Final[AbstractContextManager[Any]] = nullcontext()
"""Around a wait that is counted nowhere."""

_QUICK: Final = 2e-5
"""Seconds that an item does not take that has not waited for anything."""

_MOST_EVERY: Final = 16


class Waits:
    """How long workers have waited, in all, for one sort of thing.

    One number is kept: the sum of when waits have ended, less that of when they began. What is missing are
    the ends of those that last, which is now for all of them.

    Args:
        clock: Tells the time.

    Attributes:
        clock: As given.
    """

    _waiting = 0
    _sum = 0.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def begin(self, now: float) -> None:
        """A worker begins to wait."""
        self._waiting += 1
        self._sum -= now

    def end(self, now: float) -> None:
        """One of them goes on."""
        self._waiting -= 1
        self._sum += now

    def __enter__(self) -> None:
        """A worker waits in this block."""
        self.begin(self.clock())

    def __exit__(self, *_: object) -> None:
        """It goes on."""
        self.end(self.clock())

    def seconds(self, now: float) -> float:
        """Worker time up to now, with the waits that last."""
        return self._sum + self._waiting * now


class AnyWait(Waits):
    """How long anybody has waited: of one worker that waits in several places, or of several for the same."""

    _places = 0

    def begin(self, now: float) -> None:
        """As in ``Waits``."""
        self._places += 1
        if self._places == 1:
            super().begin(now)

    def end(self, now: float) -> None:
        """As in ``Waits``."""
        self._places -= 1
        if not self._places:
            super().end(now)


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
        left: Items, of those that come one by one, until one is to be timed.
    """

    _begun: float | None = None
    _ended: float | None = None
    # Most runs are short: what they do not need is not made for each of their stages.
    _waiting: Waits | None = None
    _blocked: Waits | None = None
    _recorder: Recorder | None = None
    _first: tuple[float, int] | None = None
    _every = left = 1

    def __init__(self, clock: Callable[[], float], workers: int) -> None:
        self.clock = clock
        self._workers = workers

    @property
    def waiting(self) -> Waits:
        """Waits for items."""
        if self._waiting is None:
            self._waiting = Waits(self.clock)
        return self._waiting

    @property
    def blocked(self) -> Waits:
        """Waits for room, or for a turn to send."""
        if self._blocked is None:
            self._blocked = Waits(self.clock)
        return self._blocked

    def waits_at_several(self) -> None:
        """Its one worker may wait for items in several places at once."""
        self._waiting = AnyWait(self.clock)

    def counts_any_block(self) -> None:
        """One who waits for room is enough to say why others have nothing to do."""
        self._blocked = AnyWait(self.clock)

    def begin(self, now: float) -> None:
        """Its workers start."""
        self._begun = now

    def end(self) -> None:
        """The last of its workers has ended."""
        self._ended = self.clock()

    def add(self, seconds: float, times: int = 1) -> None:
        """So many items took so long each, from when one is begun to when it is made."""
        recorder = self._recorder
        if recorder is None:
            if self._first is None:
                self._first = seconds, times
                return
            recorder = self._recorder = Recorder()
            recorder.add(*self._first)
        recorder.add(seconds, times)

    @property
    def latency(self) -> Histogram:
        """What items took so far."""
        recorder = self._recorder
        if recorder is None:
            recorder = Recorder()
            if self._first is not None:
                recorder.add(*self._first)
        return recorder.histogram()

    def timed(self) -> int:
        """For how many items the next one stands, of which ``left`` says that it is to be timed.

        Of items that come one by one, each is timed that is slow, as far as the one before it says, and
        one of some that are quick.
        """
        self.left = self._every
        return self._every

    def took(self, began: float, times: int) -> None:
        """The item that stands for so many was begun then, and is made."""
        seconds = self.clock() - began
        self.add(seconds, times)
        self._every = self.left = 1 if seconds > _QUICK else min(2 * self._every, _MOST_EVERY)

    def spent(self) -> Spent:
        """Up to now, or to its end."""
        if self._begun is None:
            return Spent(0.0, 0.0, 0.0, 0.0, Histogram())
        now = self.clock() if self._ended is None else self._ended
        elapsed = now - self._begun
        waiting = 0.0 if self._waiting is None else self._waiting.seconds(now)
        blocked = 0.0 if self._blocked is None else self._blocked.seconds(now)
        busy = self._workers * elapsed - waiting - blocked
        return Spent(elapsed, busy, waiting, blocked, self.latency)
