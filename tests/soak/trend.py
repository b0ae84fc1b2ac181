"""How fast a figure grows, and within which bounds that is known.

The slope is Theil and Sen's: the median of the slopes between all pairs of windows, each the median of its
samples. Its interval (95 %) is Sen's, from Kendall's variance, made wider by how much neighbouring windows
have in common (their autocorrelation): memory grows in steps, and one step among many windows is no trend.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ("WINDOWS", "Trend", "trend")

WINDOWS = 40
_FEWEST = 12
_Z = 1.96


@dataclass(frozen=True)
class Trend:
    """A slope, in units a second.

    Attributes:
        slope: The most likely.
        low: Below this it hardly is.
        high: Above this it hardly is.
        level: The median of the figure.
    """

    slope: float
    low: float
    high: float
    level: float

    def is_zero(self, small: float) -> bool:
        """The interval holds zero, or what it has most likely come to is small.

        Args:
            small: Units a second that are no more than nothing.
        """
        return self.low <= 0 <= self.high or abs(self.slope) <= small


def trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """How fast it grows; ``None`` where there is too little to say.

    Args:
        times: Seconds, ascending.
        values: The figure then.
    """
    xs, ys = _windows(times, values)
    if len(xs) < _FEWEST:
        return None
    slopes = sorted(
        (y - x) / (t - s) for (s, x), (t, y) in itertools.combinations(zip(xs, ys, strict=True), 2)
    )
    slope, count = statistics.median(slopes), len(xs)
    spread = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18 * _widening(xs, ys, slope))
    low = max(math.floor((len(slopes) - spread) / 2), 0)
    high = min(math.ceil((len(slopes) + spread) / 2), len(slopes) - 1)
    return Trend(slope, slopes[low], slopes[high], statistics.median(ys))


def _windows(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    size = max(math.ceil(len(times) / WINDOWS), 1)
    whole = range(0, len(times) - size + 1, size)
    return (
        [statistics.fmean(times[start : start + size]) for start in whole],
        [statistics.median(values[start : start + size]) for start in whole],
    )


def _widening(xs: Sequence[float], ys: Sequence[float], slope: float) -> float:
    """By how much the variance is larger than that of windows that know nothing of each other."""
    rest = [y - slope * x for x, y in zip(xs, ys, strict=True)]
    middle = statistics.fmean(rest)
    rest = [each - middle for each in rest]
    square = sum(each * each for each in rest)
    if not square:
        return 1.0
    common = sum(one * other for one, other in itertools.pairwise(rest)) / square
    return (1 + common) / (1 - common) if common > 0 else 1.0
