"""The speed table: asyncdataflow, what one writes by hand, and peers, on the same workloads.

    PYTHONPATH=benchmarks python -m speed --only W1 --only W2/ours --rounds 7 --json seen.json

A contestant runs in a child process of its own, in turn with the others, round after round. Times are
medians, per item: what is slow gets fewer items. It exits with an error where something of ours that was
to be reached was not; ``--quick`` only tries that everything works, and judges nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torture.table import machine

from . import plot
from .packages import interpreter, why_not
from .rounds import Cell, run_rounds
from .table import data, markdown, verdicts_of
from .workload import Contestant, Workload
from .workloads import chosen

QUICK = 100
"""What ``--quick`` divides the items by."""


def main() -> int:
    """Measure, print, and fail where ours did not come out right, or missed what is strictly asked for."""
    asked = arguments()
    command = " ".join(["python -m speed", *sys.argv[1:]])
    seen: list[dict[str, Any]] = []
    wrong = False
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{machine()} Load before: {load}. `{command}`\n", flush=True)
    for workload, contestants in asked.only:
        cells = measure(workload, contestants, asked)
        print(markdown(workload, cells), flush=True)
        seen.append(data(workload, cells))
        keep(seen, command, asked)
        wrong |= any(each.failure for each in cells if each.contestant.role == "ours")
        if asked.strict and not asked.quick:
            wrong |= any(each.reached is False for each in verdicts_of(workload, cells))
    return int(wrong)


def keep(seen: list[dict[str, Any]], command: str, asked: argparse.Namespace) -> None:
    """Write what was measured so far, so that nothing of a long run is lost with its end."""
    if asked.json is not None:
        told = {"command": command, "machine": machine(), "workloads": seen}
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if asked.plot is not None:
        plot.write(seen[-1:], asked.plot)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m speed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, help="5 if not said")
    parser.add_argument("--items", type=int, help="in place of each workload's own number")
    parser.add_argument(
        "--only", action="append", default=[], help="W1, or W1/ours; may be said several times"
    )
    parser.add_argument("--json", type=Path, help="a file for all that was measured")
    parser.add_argument("--plot", type=Path, help="a folder for drawings of it")
    parser.add_argument("--strict", action="store_true", help="fail where a floor is missed")
    parser.add_argument("--quick", action="store_true", help="one round of few items")
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (1 if asked.quick else 5)
    try:
        asked.only = chosen(asked.only)
    except ValueError as error:
        parser.error(f"--only: {error}")
    return asked


def measure(workload: Workload, contestants: Sequence[Contestant], asked: argparse.Namespace) -> list[Cell]:
    """All rounds of a workload."""
    items = asked.items or (max(1, workload.items // QUICK) if asked.quick else None)
    cells = [
        Cell(workload, each, workload.items_of(each, items), failure=why_not(each)) for each in contestants
    ]
    run_rounds(cells, asked.rounds, interpreter, lambda line: print(line, file=sys.stderr, flush=True))
    return cells


if __name__ == "__main__":
    sys.exit(main())
