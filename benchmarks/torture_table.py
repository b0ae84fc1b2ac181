"""The torture table: who hangs, loses, swallows or leaks, of asyncdataflow and its peers.

The same flows, with the same seeded inputs, many times each in child processes with a
deadline. Alone it does a few runs of each; the whole table is

    python benchmarks/torture_table.py --runs 10000 --peer-runs 200 --side-by-side 4

It makes an environment for each peer under ``benchmarks/.environments`` when it first runs, and
leaves a peer out where that fails. It exits with an error where one of our own runs was not right.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from torture import environments, table
from torture.case import (
    BREAKS,
    FLOWS,
    INTERRUPTED,
    MIXED,
    MIXED_PROCESS,
    POISON,
    POISON_PROCESS,
    RAISES,
    SLOW_SINK,
)
from torture.cells import Cell, fill
from torture.parent import Package, Patience

SHARES = {
    MIXED: 0.2,
    MIXED_PROCESS: 0.03,
    RAISES: 0.2,
    BREAKS: 0.2,
    INTERRUPTED: 0.12,
    SLOW_SINK: 0.08,
    POISON: 0.14,
    POISON_PROCESS: 0.03,
}
"""Of all our runs; starting a worker process takes as long as ten runs without."""


def main() -> int:
    """Do the runs, print the table, and fail where one of ours was not right."""
    asked = arguments()
    patience = Patience(asked.deadline)
    cells = [each for each in all_cells(asked) if asked.only in f"{each.package.name}/{each.flow}"]
    fill(cells, patience, asked.side_by_side, Progress(cells))
    command = f"python benchmarks/torture_table.py {' '.join(sys.argv[1:])}".strip()
    print(f"{table.markdown(cells)}\n\n{table.legend(cells, patience, command)}")
    if asked.json:
        asked.json.write_text(json.dumps(table.data(cells, command), indent=1))
    wrong = [each for each in cells if each.package.name == environments.OURS and each.right < each.runs]
    for cell in wrong:
        for number, detail in cell.details.items():
            print(f"{cell.package.name}/{cell.flow}, run {number}: {detail}", file=sys.stderr)
    return int(bool(wrong))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=60, help="of ours, over all flows")
    parser.add_argument("--peer-runs", type=int, default=2, help="of each peer, for each flow")
    parser.add_argument("--only", default="", help='a part of package/flow, as "pypeln/" or "/Ctrl-C"')
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds for one run")
    parser.add_argument("--most-hung", type=int, default=20, help="hung runs after which a cell is left")
    parser.add_argument("--side-by-side", type=int, default=2, help="children at once")
    parser.add_argument("--json", type=Path, help="a file for all that was seen")
    return parser.parse_args()


def all_cells(asked: argparse.Namespace) -> Iterator[Cell]:
    """Ours first, then each peer's."""
    ours = environments.ours()
    runs = {flow: max(1, round(asked.runs * SHARES[flow])) for flow in FLOWS}
    runs[MIXED] = max(1, runs[MIXED] + asked.runs - sum(runs.values()))
    yield from (Cell(ours, flow, runs[flow], asked.most_hung) for flow in FLOWS)
    for package in peers(asked.only) if asked.peer_runs else ():
        yield from (Cell(package, flow, asked.peer_runs, asked.most_hung) for flow in FLOWS)


def peers(only: str) -> Iterator[Package]:
    """The peers that are asked for and can be had."""
    for name in environments.PINNED:
        if any(only in f"{name}/{flow}" for flow in FLOWS):
            try:
                yield environments.peer(name)
            except subprocess.CalledProcessError as error:
                print(f"{name} is left out: its environment cannot be made\n{error.stderr}", file=sys.stderr)


class Progress:
    """Tells on standard error how far it is, at every twentieth."""

    def __init__(self, cells: list[Cell]) -> None:
        self._cells = cells
        self._told = 0

    def __call__(self) -> None:
        """Say so where another twentieth is done."""
        wanted = sum(cell.wanted for cell in self._cells)
        done = sum(cell.wanted if cell.is_given_up else cell.runs for cell in self._cells)
        wrong = sum(cell.runs - cell.right for cell in self._cells)
        if done * 20 // wanted > self._told:
            self._told = done * 20 // wanted
            print(f"{done:,} of {wanted:,} runs, {wrong:,} not right", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
