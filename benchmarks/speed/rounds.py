"""Rounds: every contestant once, each in a child process, then every one again."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .verdict import Medians, medians_of
from .workload import Contestant, Workload

ROOT: Final = Path(__file__).resolve().parents[2]

LONGEST: Final = 300.0
"""Seconds for one child."""


@dataclass
class Cell:
    """What has come out for one contestant."""

    workload: Workload
    contestant: Contestant
    items: int
    rounds: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""
    """Why it is left out: its first failure."""

    place: Path = ROOT
    """The folder that ours is imported from."""

    @property
    def medians(self) -> Medians | None:
        """Of its rounds; nothing where it has failed."""
        return medians_of(self.rounds, self.contestant.steps) if self.rounds and not self.failure else None


def run_rounds(
    cells: Sequence[Cell], rounds: int, interpreter: Callable[[Contestant], str], told: Callable[[str], None]
) -> None:
    """Measure all cells in turn, as often as asked for, so that each sees the same machine.

    Args:
        cells: Of one workload.
        rounds: How often.
        interpreter: The Python of a contestant.
        told: Takes a line on how far it is.
    """
    for number in range(rounds):
        # Nobody is always behind the same neighbour, whose heat and caches it would inherit.
        turn = number % len(cells)
        for cell in (*cells[turn:], *cells[:turn]):
            if not cell.failure:
                told(f"{cell.workload.name}/{cell.contestant.name}, round {number + 1} of {rounds}")
                measure(cell, interpreter(cell.contestant))


def measure(cell: Cell, python: str) -> None:
    """Have a child measure a cell once more, or say why it could not."""
    command = (python, "-m", "speed.child", cell.workload.name, cell.contestant.name, str(cell.items))
    try:
        done = subprocess.run(
            command,
            cwd=ROOT / "benchmarks",
            env=_environment(cell),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        cell.failure = f"no end in {LONGEST:g} s"
        return
    except OSError as error:
        cell.failure = f"not started: {error}"
        return
    if done.returncode != 0:
        cell.failure = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return
    cell.rounds.append(json.loads(done.stdout))


def _environment(cell: Cell) -> dict[str, str]:
    """Ours is the checkout's package; a peer does not see it: one of them has our import name.

    A checkout is to have its bytecode as what is installed has, or every worker process compiles it anew.
    """
    places = [ROOT / "benchmarks", *([] if cell.contestant.package else [cell.place])]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, places))}
