"""Histogram: how long things took, in buckets that are fixed, so that it is small and can be added up.

Each power of two of seconds is parted into sixteen buckets of one width (HdrHistogram: Gil Tene), so that a
quantile is known to a thirty-second of itself, from a tenth of a microsecond to a day and a half.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

__all__ = ("NOTHING_SEEN", "RELATIVE_ERROR", "Histogram", "Recorder")

_LEAST: Final = -23
_MOST: Final = 17
_PARTS: Final = 16

_BOUNDS: Final = [
    2.0**power * (1 + part / _PARTS) for power in range(_LEAST, _MOST) for part in range(_PARTS)
] + [2.0**_MOST]
"""Where buckets begin; what lies below the first is told as 0, what lies above the last as the last."""

RELATIVE_ERROR: Final = 1 / (2 * _PARTS)
"""Most by which a quantile differs from the truth, as a share of it."""


_bucket: Final = partial(bisect_right, _BOUNDS)

_QUICK: Final = 2e-5
"""Seconds that nobody wants to tell apart from one item to the next, at the price of a quarter of that."""

_MOST_TOGETHER: Final = 1024

_MOST_EACH: Final = 256

_ONE_OF: Final = 8
"""Of as many single ones as that, as many stand for all in the distribution; count and sum are exact."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long.

    Two of them are added up by ``+``, as of several runs or workers.

    Attributes:
        count: How many were seen.
        seconds: What they took in all.
        counts: Pairs of a bucket's number and how many it has, in order of the buckets.

    Example:
        >>> from asyncdataflow.histogram import Recorder
        >>> seen = Recorder()
        >>> for milliseconds in range(1, 101):
        ...     seen.add(milliseconds / 1000)
        >>> taken = seen.histogram()
        >>> taken.count, round(taken.mean, 4), round(taken.quantile(0.9), 2)
        (100, 0.0505, 0.09)
    """

    count: int = 0
    seconds: float = 0.0
    counts: tuple[tuple[int, int], ...] = ()

    @property
    def mean(self) -> float:
        """Seconds on average; 0 where nothing was seen."""
        return self.seconds / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Seconds within which this share of them was done, to a thirty-second; 0 where nothing was seen.

        Args:
            share: From 0 to 1: 0.5 is the median.

        Raises:
            ValueError: ``share`` is no share.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"quantile(share): from 0 to 1 is needed, not {share!r}")
        left = max(math.ceil(share * self.count), 1)
        for bucket, times in self.counts:
            left -= times
            if left <= 0:
                return _middle(bucket)
        return 0.0

    def within(self, seconds: float) -> int:
        """How many took less than that; exact where it is a power of two."""
        last = bisect_right(_BOUNDS, seconds)
        return _sum(each for each in self.counts if each[0] < last)

    def __add__(self, other: Histogram) -> Histogram:
        """What both have seen."""
        recorder = Recorder()
        recorder.merge(self)
        recorder.merge(other)
        return recorder.histogram()


NOTHING_SEEN: Final = Histogram()


class Recorder:
    """What is seen is counted here."""

    _seconds = 0.0
    _together = 0.0
    _times = 0

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._each: list[float] = []

    def add(self, seconds: float, times: int = 1) -> None:
        """So many took so long each."""
        self._seconds += seconds * times
        bucket = bisect_right(_BOUNDS, seconds)
        try:
            self._counts[bucket] += times
        except KeyError:
            self._counts[bucket] = times

    def add_together(self, seconds: float, times: int) -> None:
        """So many took so long in all; quick ones count with the mean of those before and behind them."""
        if seconds > _QUICK * times:
            self.add(seconds / times, times)
            return
        self._together += seconds
        self._times += times
        if self._times >= _MOST_TOGETHER:
            self._part()

    def each(self) -> list[float]:
        """Where to put what single ones took, no more than a few hundred until it is asked for once more."""
        each = self._each
        if len(each) >= _MOST_EACH:
            many = len(each) // _ONE_OF * _ONE_OF
            self._count(each[:many:_ONE_OF], _ONE_OF)
            self._seconds += sum(each[:many])
            del each[:many]
        return each

    @property
    def seconds(self) -> float:
        """What all took."""
        return self._seconds + self._together + sum(self._each)

    def _part(self) -> None:
        """Count those that were added together."""
        times, self._times = self._times, 0
        seconds, self._together = self._together, 0.0
        if times:
            self.add(seconds / times, times)

    def _count(self, each: Iterable[float], times: int) -> None:
        """Each of these stands for so many."""
        counts = self._counts
        for bucket, found in Counter(map(_bucket, each)).items():
            counts[bucket] = counts.get(bucket, 0) + found * times

    def merge(self, other: Histogram, share: float = 1.0) -> None:
        """All that another has seen, or the same share of each: then what is told is twice as coarse."""
        for bucket, times in other.counts:
            own = bucket if share == 1.0 else bisect_right(_BOUNDS, _middle(bucket) * share)
            self._counts[own] = self._counts.get(own, 0) + times
        self._seconds += other.seconds * share

    def histogram(self) -> Histogram:
        """What was seen so far."""
        self._part()
        self._count(self._each, 1)
        self._seconds += sum(self._each)
        self._each.clear()
        counts = tuple(sorted(self._counts.items()))
        return Histogram(_sum(counts), self.seconds, counts)


def _sum(counts: Iterable[tuple[int, int]]) -> int:
    return sum(times for _, times in counts)


def _middle(bucket: int) -> float:
    """What stands for all in a bucket."""
    if not bucket:
        return 0.0
    if bucket == len(_BOUNDS):
        return _BOUNDS[-1]
    return (_BOUNDS[bucket - 1] + _BOUNDS[bucket]) / 2
