"""Verdicts: medians of rounds, and whether ours reaches a floor."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .workload import BEST_PEER, OURS, Contestant, Floor, Measure


@dataclass(frozen=True)
class Medians:
    """Medians over rounds, in seconds: per item, of the processor per item, and to the first result."""

    seconds: float
    cpu: float
    first: float | None = None

    def of(self, measure: Measure) -> float | None:
        """One of them."""
        return {"seconds": self.seconds, "cpu": self.cpu, "first": self.first}[measure]


@dataclass(frozen=True)
class Verdict:
    """What came out for a floor.

    Attributes:
        floor: Which.
        against: Whom ours was compared with; the best peer by its name.
        measured: The ratio, or the seconds where the floor stands alone; none where something that it
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
        figure = f"{self.measured:.3g}" if self.floor.against else f"{self.measured * 1e3:.3g} ms"
        return f"{figure} {'reached' if self.reached else 'MISSED'}"


def medians_of(rounds: Iterable[Mapping[str, Any]]) -> Medians:
    """The medians of what children have told."""
    told = list(rounds)
    firsts = [each["first"] for each in told if each["first"] is not None]
    return Medians(
        statistics.median(each["seconds"] / each["items"] for each in told),
        statistics.median(each["cpu"] / each["items"] for each in told),
        statistics.median(firsts) if firsts else None,
    )


def best_peer(
    contestants: Iterable[Contestant], measured: Mapping[str, Medians], measure: Measure = "seconds"
) -> str:
    """The quickest of those that the floors mean; empty where none was measured."""
    times = {
        each.name: time
        for each in contestants
        if each.role == "peer" and each.name in measured
        if (time := measured[each.name].of(measure)) is not None
    }
    return min(times, key=times.__getitem__, default="")


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
    ours = measured[OURS].of(floor.measure) if OURS in measured else None
    if ours is None:
        return Verdict(floor, against, None)
    if not floor.against:
        return Verdict(floor, "", ours)
    other = measured[against].of(floor.measure) if against in measured else None
    return Verdict(floor, against, None if other is None else other / ours)
