"""Runs: what ``make simulate`` does with one shape."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from asyncdataflow.testing import Report

from .shape import seeds_of
from .shapes import SHAPES

__all__ = ("Result", "run_shape")

SWEPT = (0, 1)
"""Seeds of which every step is struck."""


@dataclass
class Result:
    """What one shape came to.

    Attributes:
        shape: Its name.
        seeds: How many were run.
        swept: Steps at which something was put in, one after another.
        steps: Steps of all runs.
        struck: Faults of all runs.
        failures: Each with the line that runs it again.
        seconds: Real time.
    """

    shape: str
    seeds: int = 0
    swept: int = 0
    steps: int = 0
    seconds: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, report: Report, *, again: str) -> None:
        """One report of it."""
        self.steps += report.steps
        self.struck.update(report.struck)
        for each in report.failures:
            where = each.where.removeprefix("seed ")
            self.failures.append(f"run it again with: {again.format(where)}\n{each}")


def run_shape(name: str, seeds: int) -> Result:
    """All of one shape."""
    result = Result(name)
    began = time.monotonic()
    command = f"python -m tests.simulation --shape {name}"
    for acks in (False, True) if SHAPES[name].is_followed else (False,):
        told = " --acks" if acks else ""
        for mode, share in seeds_of(seeds // 2 if acks else seeds).items():
            report = SHAPES[name].simulate(mode, share, acks=acks)
            result.seeds += report.runs
            result.add(report, again=f"{command}{told} --mode {mode} --seed {{}}")
        for seed in SWEPT:
            if not SHAPES[name].withstands.drains:
                report = SHAPES[name].sweep(seed, acks=acks)
                result.swept += report.runs
                result.add(report, again=f"{command}{told} --sweep {seed}  # {{}}")
    result.seconds = time.monotonic() - began
    return result
