"""Walked: how long the items of a group took, and which of its stages that was.

A walk takes items through several stages, and a clock is read at its two ends only. So what it took is
shared out to its stages by what each takes of a few items, that go through every so often with a look at the
clock between any two stages: work sampling (Tippett, 1935). Until then they count as alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..histogram import Histogram, Recorder

__all__ = ("SAMPLED_ITEMS", "Sample", "Walked")

_EVERY: Final = 64
"""Walks to one that is sampled; the second one is, so that little is told wrong for long."""

SAMPLED_ITEMS: Final = 8
"""Most items of such a walk."""


class Walked:
    """Of one group.

    Args:
        places: How many stages it has.

    Attributes:
        left: Walks until one is to be sampled.
    """

    __slots__ = ("_costs", "_times", "_whole", "left")

    def __init__(self, places: int) -> None:
        self.left = 2
        self._costs = [0.0] * places
        self._times = [0] * places
        self._whole: dict[tuple[int, int], Recorder] = {}

    def of(self, first: int, last: int) -> Recorder:
        """Where to count what items took on the way from a place to a place."""
        known = self._whole.get((first, last))
        if known is None:
            known = self._whole[first, last] = Recorder()
        return known

    def begin(self) -> None:
        """The next sample is some walks away."""
        self.left = _EVERY

    def sampled(self, first: int, seconds: Sequence[float], items: int) -> None:
        """So many items have taken so long in the stages from a place on."""
        for place, took in enumerate(seconds, first):
            self._costs[place] += took
            self._times[place] += items

    def gained(self, place: int) -> float:
        """Seconds of work on a stage that another's worker did, less those that its own did on others."""
        return sum(
            whole.seconds * (self._share(place, first, last) - (place == first))
            for (first, last), whole in self._whole.items()
            if first <= place <= last
        )

    def latency(self, place: int) -> Histogram:
        """What items took in one stage, as far as they have gone by in walks."""
        recorder = Recorder()
        for (first, last), whole in self._whole.items():
            if first <= place <= last:
                recorder.merge(whole.histogram(), self._share(place, first, last))
        return recorder.histogram()

    def _share(self, place: int, first: int, last: int) -> float:
        """What part of a walk is spent in a stage."""
        places = range(first, last + 1)
        costs = [self._costs[each] / self._times[each] if self._times[each] else 0.0 for each in places]
        whole = sum(costs)
        return costs[place - first] / whole if whole else 1 / len(costs)


class Sample:
    """A look at the clock between any two stages of a walk.

    Args:
        clock: Tells the time.
        places: How many stages it has.

    Attributes:
        seconds: What each stage has taken.
    """

    __slots__ = ("_at", "_clock", "_since", "seconds")

    def __init__(self, clock: Callable[[], float], places: int) -> None:
        self._clock = clock
        # What is behind the last stage is no stage's.
        self.seconds = [0.0] * (places + 1)
        self._at = places
        self._since = 0.0

    def begin(self) -> None:
        """A walk begins."""
        self.seconds = [0.0] * len(self.seconds)
        self._at = len(self.seconds) - 1
        self._since = self._clock()

    def entering(self, place: int, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What is called in place of what takes an item into a stage, or behind the last one."""

        def enter(item: Any) -> Any:
            now = self._clock()
            self.seconds[self._at] += now - self._since
            self._since, self._at = now, place
            return function(item)

        return enter
