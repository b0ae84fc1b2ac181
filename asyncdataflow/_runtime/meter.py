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
    """How long workers have waited, in all, for one sort of thing: the sum of ends less that of begins.

    What is missing are the ends of those that last, which is now for all of them.

    Args:
        clock: Tells the time.

    Attributes:
        clock: As given.
        workers: How many wait now.
        sum: That number.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.workers = 0
        self.sum = 0.0

    def begin(self, workers: int, now: float) -> None:
        """So many begin to wait, as if each had entered the block."""
        self.workers += workers
        self.sum -= workers * now

    def __enter__(self) -> None:
        """A worker waits in this block."""
        self.workers += 1
        self.sum -= self.clock()

    def __exit__(self, *_: object) -> None:
        """It goes on."""
        self.workers -= 1
        self.sum += self.clock()

    def seconds(self, now: float) -> float:
        """Worker time up to now, with the waits that last."""
        return self.sum + self.workers * now


class AnyWait(Waits):
    """How long anybody has waited: of one worker that waits in several places, or of several for the same."""

    _places = 0

    def __enter__(self) -> None:
        """As in ``Waits``."""
        self._places += 1
        if self._places == 1:
            super().__enter__()

    def __exit__(self, *_: object) -> None:
        """As in ``Waits``."""
        self._places -= 1
        if not self._places:
            super().__exit__()


@dataclass(slots=True, eq=False, repr=False, match_args=False)
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


class _WhenNeeded:
    """Waits that are made when first they are asked for: most runs are short, and do without."""

    def __set_name__(self, owner: type[Meter], name: str) -> None:
        self._name = name

    def __get__(self, meter: Meter, owner: type[Meter]) -> Waits:
        made = Waits(meter.clock)
        setattr(meter, self._name, made)
        return made


class Meter:
    """Of one stage.

    Args:
        clock: Tells the time.
        workers: How many it has.

    Attributes:
        clock: As given.
        waiting: Waits for items.
        blocked: Waits for room, or for a turn to send.
        recorder: How long items took, from when one is begun to when it is made.
        begun: When its workers have started.
        ended: When the last of them has ended.
        left: Items, of those that come one by one, until one is to be timed.
    """

    begun: float | None = None
    ended: float | None = None
    _every = left = 1
    waiting = _WhenNeeded()
    blocked = _WhenNeeded()

    def __init__(self, clock: Callable[[], float], workers: int) -> None:
        self.clock = clock
        self.recorder = Recorder()
        self._workers = workers

    def waits_at_several(self) -> None:
        """Its one worker may wait for items in several places at once."""
        self.__dict__["waiting"] = AnyWait(self.clock)

    def counts_block(self, blocked: AnyWait) -> None:
        """One who waits for room is enough to say why others have nothing to do."""
        self.__dict__["blocked"] = blocked

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
        self.recorder.add(seconds, times)
        self._every = self.left = 1 if seconds > _QUICK else min(2 * self._every, _MOST_EVERY)

    def spent(self) -> Spent:
        """Up to now, or to its end."""
        if self.begun is None:
            return Spent(0.0, 0.0, 0.0, 0.0, Histogram())
        now = self.clock() if self.ended is None else self.ended
        elapsed = now - self.begun
        waiting, blocked = self.waiting.seconds(now), self.blocked.seconds(now)
        busy = self._workers * elapsed - waiting - blocked
        return Spent(elapsed, busy, waiting, blocked, self.recorder.histogram())
