"""Pairs: ours now and at the last release, measured in turn, and whether it became slower.

What seems to have lost is measured once more, longer. It has lost where both times the median of the paired
ratios and the ratio of the best rounds say so.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .rounds import Cell, measure
from .workload import Contestant, Measure, Workload

LEAST: Final = 0.9
"""What the release took, divided by what we take now: less is a loss."""

NOISE: Final[Mapping[Measure, float]] = {"peak": 1e6, "p50": 20e-6}
"""What a figure may be above the release's in any case: so much is the machine's, not ours."""

FEWER: Final = 4
"""What each row's items are divided by: a ratio needs fewer than a figure."""

ENOUGH: Final = 5000
"""Items below which no row goes for that."""


@dataclass(frozen=True)
class Pair:
    """A contestant of ours, now and then."""

    now: Cell
    then: Cell

    @property
    def name(self) -> str:
        """As ``--only`` takes it."""
        return f"{self.now.workload.name}/{self.now.contestant.name}"

    def measure(self, rounds: int) -> None:
        """Measure both in turn, first the one and then the other."""
        for number in range(rounds):
            for cell in (self.now, self.then) if number % 2 else (self.then, self.now):
                if self.now.failure or self.then.failure:
                    return
                measure(cell, sys.executable)

    def begin_anew(self) -> None:
        """Forget what was measured."""
        self.now.rounds.clear()
        self.then.rounds.clear()

    @property
    def ratios(self) -> list[float]:
        """Then divided by now, round by round; over 1 where we have become faster."""
        return [
            then / now if then and now else 1.0
            for now, then in zip(self._figures(self.now), self._figures(self.then), strict=True)
        ]

    @property
    def lost(self) -> bool:
        """Whether it became slower, beyond what is noise: in the middle and at best."""
        now, then = self._figures(self.now), self._figures(self.then)
        if min(now) <= min(then) + NOISE.get(self.now.workload.ranks, 0.0):
            return False
        return statistics.median(self.ratios) < LEAST and min(then) / min(now) < LEAST

    @staticmethod
    def _figures(cell: Cell) -> list[float]:
        ranks = cell.workload.ranks
        return [each[ranks] / (each["items"] if ranks in ("seconds", "cpu") else 1) for each in cell.rounds]

    def __str__(self) -> str:
        if self.now.failure or self.then.failure:
            return f"not compared: {self.now.failure or 'the release: ' + self.then.failure}"
        ratios = self.ratios
        told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        return f"{told} LOST" if self.lost else told


def judged(pair: Pair, rounds: int) -> bool:
    """Measure a pair, once more where it seems to have lost; whether it is all right."""
    pair.measure(rounds)
    if pair.now.failure:
        return False
    if pair.then.failure or not pair.lost:
        return True
    print(f"{pair.name}: {pair}; once more, {2 * rounds} rounds", file=sys.stderr, flush=True)
    pair.begin_anew()
    pair.measure(2 * rounds)
    return not pair.now.failure and (bool(pair.then.failure) or not pair.lost)


def pairs_of(asked: Sequence[tuple[Workload, Sequence[Contestant]]], place: Path) -> list[Pair]:
    """All that is ours in what is asked for."""
    return [
        Pair(Cell(workload, each, items), Cell(workload, each, items, place=place))
        for workload, contestants in asked
        for each in contestants
        if each.role == "ours"
        for items in (items_of(workload, each),)
    ]


def items_of(workload: Workload, contestant: Contestant) -> int:
    """Fewer than the workload's own, where these are many."""
    most = workload.items_of(contestant)
    return min(most, max(most // FEWER, ENOUGH))
