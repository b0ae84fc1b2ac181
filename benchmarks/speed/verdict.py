"""Verdicts: medians of rounds, and whether ours reaches a floor."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .workload import BEST_PEER, UNITS, Contestant, Floor, Measure


@dataclass(frozen=True)
class Medians:
    """Medians over rounds: seconds, bytes at the peak; per item (and step) the first two."""

    seconds: float
    cpu: float
    first: float | None = None
    peak: float | None = None
    p50: float | None = None
    p99: float | None = None

    def of(self, measure: Measure) -> float | None:
        """One of them."""
        figure: float | None = getattr(self, measure)
        return figure


@dataclass(frozen=True)
class Verdict:
    """What came out for a floor.

    Attributes:
        floor: Which.
        against: Whom ours was compared with; the best peer by its name.
        measured: The ratio, or the figure where the floor stands alone; none where something that it
            needs was not measured.
    """

    floor: Floor
    against: str
    measured: float | None

    @property
    def reached(self) -> bool | None:
        """Whether it is; nothing where that is not known."""
        if self.measured is None:
            return None
        if not self.floor.against:
            return self.measured <= self.floor.least
        return self.measured >= self.floor.least

    def __str__(self) -> str:
        if self.measured is None:
            return "not judged"
        figure = f"{self.measured:.3g}" if self.floor.against else UNITS[self.floor.measure](self.measured)
        return f"{figure} {'reached' if self.reached else 'MISSED'}"


def medians_of(rounds: Iterable[Mapping[str, Any]], steps: int = 1) -> Medians:
    """The medians of what children have told.

    Args:
        rounds: A child's figures each.
        steps: What times per item are divided by.
    """
    told = list(rounds)

    def median(measure: Measure) -> float | None:
        seen = [each[measure] for each in told if each.get(measure) is not None]
        return statistics.median(seen) if seen else None

    return Medians(
        statistics.median(each["seconds"] / each["items"] / steps for each in told),
        statistics.median(each["cpu"] / each["items"] / steps for each in told),
        *(median(each) for each in ("first", "peak", "p50", "p99")),
    )


def best_peer(
    contestants: Iterable[Contestant], measured: Mapping[str, Medians], measure: Measure = "seconds"
) -> str:
    """The one with the least, of those that the floors mean; empty where none was measured."""
    figures = {
        each.name: figure
        for each in contestants
        if each.role == "peer" and each.name in measured
        if (figure := measured[each.name].of(measure)) is not None
    }
    return min(figures, key=figures.__getitem__, default="")


def judge(floor: Floor, contestants: Iterable[Contestant], measured: Mapping[str, Medians]) -> Verdict:
    """Compare ours with a floor.

    Args:
        floor: Which.
        contestants: All of the workload.
        measured: The medians of those that ran and came out right.
    """
    against = floor.against
    if against == BEST_PEER:
        against = best_peer(contestants, measured, floor.measure)
    ours = measured[floor.of].of(floor.measure) if floor.of in measured else None
    if ours is None:
        return Verdict(floor, against, None)
    if not floor.against:
        return Verdict(floor, "", ours)
    other = measured[against].of(floor.measure) if against in measured else None
    return Verdict(floor, against, None if other is None else other / ours)
