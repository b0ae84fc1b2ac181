"""The cells of the table: a package and a flow each, filled by children that run in turn and side by side."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from .oracle import HUNG, WORDS, Verdict
from .parent import Package, Patience, run_child

A_CHILD: Final = 25
"""Runs that one child does in turn, at most."""


@dataclass
class Cell:
    """What has come out for one flow in one package."""

    package: Package
    flow: str
    wanted: int
    most_hung: int
    runs: int = 0
    right: int = 0
    words: Counter[str] = field(default_factory=Counter)
    details: dict[int, str] = field(default_factory=dict)
    """What was wrong, by the number of the run."""

    def add(self, number: int, verdict: Verdict) -> None:
        """Count one run."""
        self.runs += 1
        self.right += not verdict.words
        self.words.update(verdict.words)
        if verdict.words:
            self.details[number] = verdict.detail

    @property
    def is_given_up(self) -> bool:
        """Whether enough runs have hung to leave the rest."""
        return self.words[HUNG] >= self.most_hung

    def __str__(self) -> str:
        if self.right == self.runs:
            return f"ok {self.right}/{self.runs}"
        told = ", ".join(f"{word} {self.words[word]}" for word in WORDS if self.words[word])
        return f"{told} of {self.runs}"


def fill(cells: Sequence[Cell], patience: Patience, side_by_side: int, progress: Callable[[], None]) -> None:
    """Do the runs of all cells, in turn among the cells, so that each sees the same machine."""
    lock, stopped = threading.Lock(), threading.Event()

    def work(cell: Cell, numbers: range) -> None:
        while numbers and not cell.is_given_up and not stopped.is_set():
            verdicts = run_child(cell.package, cell.flow, numbers, patience)
            with lock:
                for number, verdict in zip(numbers, verdicts, strict=False):
                    cell.add(number, verdict)
                progress()
            numbers = numbers[len(verdicts) :]

    with ThreadPoolExecutor(side_by_side) as pool:
        futures = [pool.submit(work, cell, numbers) for cell, numbers in in_turn(cells)]
        try:
            for future in futures:
                future.result()
        finally:
            stopped.set()  # Ctrl-C waits for the children that run, not for those to come


def in_turn(cells: Sequence[Cell]) -> Iterator[tuple[Cell, range]]:
    """A child's runs of each cell, then of each again, as long as there are any."""
    shares = [
        [(cell, range(first, min(first + A_CHILD, cell.wanted))) for first in range(0, cell.wanted, A_CHILD)]
        for cell in cells
    ]
    for turn in zip_longest(*shares):
        yield from (each for each in turn if each is not None)
