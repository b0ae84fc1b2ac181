"""The tables as Markdown, and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .rounds import Cell
from .verdict import Medians, Verdict, best_peer, judge
from .workload import LIMIT, Workload


def measured_of(cells: Sequence[Cell]) -> dict[str, Medians]:
    """Medians by contestant."""
    return {each.contestant.name: each.medians for each in cells if each.medians is not None}


def verdicts_of(workload: Workload, cells: Sequence[Cell]) -> list[Verdict]:
    """One for each floor."""
    return [judge(floor, workload.contestants, measured_of(cells)) for floor in workload.floors]


def markdown(workload: Workload, cells: Sequence[Cell]) -> str:
    """A workload's table: its contestants, then its floors, then who cannot."""
    measured = measured_of(cells)
    best = best_peer(workload.contestants, measured)
    with_first = any(each.first is not None for each in measured.values())
    head = ["", "items", "µs an item", "µs of CPU", "of the limit", "of the best peer"]
    head += ["ms to the first"] if with_first else []
    rows = [[*head, "note"], ["---"] * (len(head) + 1)]
    rows += [_row(cell, measured, best, with_first=with_first) for cell in cells]
    lines = [f"### {workload.name}: {workload.what}", "", *_table(rows), ""]
    verdicts = verdicts_of(workload, cells)
    if verdicts:
        floors = [[str(each.floor), each.against if each.measured else "", str(each)] for each in verdicts]
        lines += [*_table([["must reach", "against", "measured"], ["---"] * 3, *floors]), ""]
    lines += [f"- {name}: {why}." for name, why in workload.cannot.items()]
    return "\n".join(lines).rstrip() + "\n"


def _row(cell: Cell, measured: dict[str, Medians], best: str, *, with_first: bool) -> list[str]:
    name, medians = cell.contestant.name, cell.medians
    if medians is None:
        why = f"left out: {cell.failure}" if cell.failure else "not run"
        return [name, f"{cell.items:,}", *[""] * (5 if with_first else 4), why]
    limit = f"{measured[LIMIT].seconds / medians.seconds:.3g}" if LIMIT in measured else ""
    peer = f"{measured[best].seconds / medians.seconds:.3g}" if best else ""
    figures = [f"{medians.seconds * 1e6:.2f}", f"{medians.cpu * 1e6:.2f}", limit, peer]
    if with_first:
        figures.append("" if medians.first is None else f"{medians.first * 1e3:.2f}")
    return [name, f"{cell.items:,}", *figures, cell.contestant.note]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in rows]


def data(workload: Workload, cells: Sequence[Cell]) -> dict[str, Any]:
    """All that was measured."""
    return {
        "workload": workload.name,
        "what": workload.what,
        "contestants": [
            {
                "name": cell.contestant.name,
                "package": cell.contestant.package,
                "items": cell.items,
                "failure": cell.failure,
                "rounds": cell.rounds,
            }
            for cell in cells
        ],
        "floors": [
            {
                "floor": str(each.floor),
                "against": each.against,
                "measured": each.measured,
                "reached": each.reached,
            }
            for each in verdicts_of(workload, cells)
        ],
    }
