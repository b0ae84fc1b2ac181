"""Lanes: what may catch a mutant, quick first; run beside the package that they are to look at.

``python -m tests.mutants.lanes seeds`` prints a JSON object with ``after`` and ``how`` and ends
with 1 where something does not hold, and ends with 0 where everything does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from asyncdataflow import Buffer
from asyncdataflow._runtime.channel import Channel
from asyncdataflow.errors import BrokenRuleError
from asyncdataflow.testing import Report, check_channel
from tests.simulation.shape import MODES
from tests.simulation.shapes import SHAPES

__all__ = ("LANES", "Lane")

ROUNDS = 6
SEEDS_A_ROUND = 2
SUITE = (
    "tests/runtime",
    "tests/threads",
    "tests/processes",
    "tests/operators",
    "tests/property/test_low_water.py",
    "tests/property/test_acks.py",
    "tests/property/test_channel_interleavings.py",
    "tests/property/test_channel_model.py",
    "tests/property/test_topologies.py",
    "tests/test_bound_in_runs.py",
    "tests/test_leaving_at_every_step.py",
    "tests/test_errors_reach_the_consumer.py",
    "tests/test_process_stages.py",
)

Found = tuple[str, str]
"""After how much, and what was found."""


@dataclass(frozen=True)
class Lane:
    """One of them.

    Attributes:
        name: Its name.
        command: What the interpreter is called with.
        seconds: Real seconds after which it hangs: then it has caught a mutant too.
    """

    name: str
    command: tuple[str, ...]
    seconds: float


def _lane(name: str, seconds: float) -> Lane:
    return Lane(name, ("-m", "tests.mutants.lanes", name), seconds)


LANES = (
    _lane("seeds", 300.0),
    _lane("kit", 100.0),
    Lane("suite", ("-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *SUITE), 900.0),
    # Longer than all others together: only where none of them has seen anything.
    _lane("sweep", 1800.0),
)


def seeds() -> Found | None:
    """All shapes round after round, so that what any of them finds quickly is found quickly."""
    ran = 0
    for round_ in range(ROUNDS):
        for name, shape in SHAPES.items():
            for place, mode in enumerate(MODES):
                first = (round_ * len(MODES) + place) * SEEDS_A_ROUND
                with _watched(f"{name}, {mode}", 25.0):
                    report = shape.simulate(mode, range(first, first + SEEDS_A_ROUND))
                ran += report.runs
                if not report.passed:
                    return _found(report, ran, "seeds", f"{name}, {mode}")
    return None


def sweep() -> Found | None:
    """Each shape cancelled, and raising, at every step of one seed."""
    ran = 0
    for name, shape in SHAPES.items():
        if not shape.withstands.drains:
            with _watched(name, 100.0):
                report = shape.sweep(0)
            ran += report.runs
            if not report.passed:
                return _found(report, ran, "steps", name)
    return None


def kit() -> Found | None:
    """The conformance kit of channels on our own."""
    with _watched("the kit", 60.0):
        try:
            check_channel(lambda capacity: Channel(Buffer(capacity)))
        except BrokenRuleError as broken:
            return "check_channel", _first_line(str(broken).partition("\n")[2] or str(broken))
    return None


@contextmanager
def _watched(what: str, seconds: float) -> Iterator[None]:
    """Within so many real seconds it has come to its end, or this process ends."""

    def give_up() -> None:
        _tell(f"{seconds:g} s", f"{what}: no end")
        os._exit(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(after: str, how: str) -> None:
    sys.stdout.write(json.dumps({"after": after, "how": how}) + "\n")
    sys.stdout.flush()


def _found(report: Report, ran: int, of: str, where: str) -> Found:
    error = report.failures[0].error
    seen = _first_line(str(error)) or "the claim does not hold"
    return f"{ran} {of}", f"{where}, {report.failures[0].where}: {type(error).__name__}: {seen}"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def main(arguments: list[str]) -> int:
    """Run one lane."""
    (name,) = arguments
    found = {"seeds": seeds, "sweep": sweep, "kit": kit}[name]()
    if found is None:
        return 0
    _tell(*found)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
