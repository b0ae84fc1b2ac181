"""The tables as Markdown, and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .rounds import Cell
from .verdict import Medians, Verdict, best_peer, judge
from .workload import BEST_PEER, LIMIT, UNITS, Measure, Workload

ALWAYS: Final[Sequence[Measure]] = ("seconds", "cpu")
"""The columns of every table; the others stand where a floor or the ranking asks for them."""


def measured_of(cells: Sequence[Cell]) -> dict[str, Medians]:
    """Medians by contestant."""
    return {each.contestant.name: each.medians for each in cells if each.medians is not None}


def verdicts_of(workload: Workload, cells: Sequence[Cell]) -> list[Verdict]:
    """One for each floor."""
    return [judge(floor, workload.contestants, measured_of(cells)) for floor in workload.floors]


def columns_of(workload: Workload) -> list[Measure]:
    """What a workload's table tells."""
    asked = {workload.ranks, *ALWAYS, *(each.measure for each in workload.floors)}
    return [each for each in UNITS if each in asked]


def markdown(workload: Workload, cells: Sequence[Cell]) -> str:
    """A workload's table: its contestants, then its floors, then who cannot."""
    columns = columns_of(workload)
    measured = measured_of(cells)
    others = others_of(workload, measured)
    head = [
        "",
        "items",
        *(UNITS[each].head for each in columns),
        *(f"of the {each}" for each in others),
        "note",
    ]
    rows = [head, ["---"] * len(head), *(_row(workload, cell, measured, columns, others) for cell in cells)]
    lines = [f"### {workload.name}: {workload.what}", "", *_table(rows), ""]
    verdicts = verdicts_of(workload, cells)
    if verdicts:
        floors = [[str(each.floor), each.against if each.measured else "", str(each)] for each in verdicts]
        lines += [*_table([["must reach", "against", "measured"], ["---"] * 3, *floors]), ""]
    lines += [f"- {name}: {why}." for name, why in workload.cannot.items()]
    return "\n".join(lines).rstrip() + "\n"


def others_of(workload: Workload, measured: Mapping[str, Medians]) -> dict[str, Medians | None]:
    """Whom a workload's contestants are told in ratios of: the limit, the best peer, where it has such."""
    roles = {each.role for each in workload.contestants}
    best = best_peer(workload.contestants, measured, workload.ranks)
    return {
        **({LIMIT: measured.get(LIMIT)} if "limit" in roles else {}),
        **({BEST_PEER: measured.get(best)} if "peer" in roles else {}),
    }


def _row(
    workload: Workload,
    cell: Cell,
    measured: Mapping[str, Medians],
    columns: Sequence[Measure],
    others: Mapping[str, Medians | None],
) -> list[str]:
    name, medians = cell.contestant.name, measured.get(cell.contestant.name)
    if medians is None:
        why = f"left out: {cell.failure}" if cell.failure else "not run"
        return [name, f"{cell.items:,}", *[""] * (len(columns) + len(others)), why]
    ratios = [_ratio(other, medians, workload.ranks) for other in others.values()]
    figures = [_figure(each, medians) for each in columns]
    return [name, f"{cell.items:,}", *figures, *ratios, cell.contestant.note]


def _figure(measure: Measure, medians: Medians) -> str:
    figure = medians.of(measure)
    return "" if figure is None else f"{figure * UNITS[measure].scale:,.2f}"


def _ratio(other: Medians | None, medians: Medians, measure: Measure) -> str:
    theirs = None if other is None else other.of(measure)
    own = medians.of(measure)
    return f"{theirs / own:.3g}" if theirs and own else ""


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in rows]


def data(workload: Workload, cells: Sequence[Cell]) -> dict[str, Any]:
    """All that was measured."""
    return {
        "workload": workload.name,
        "what": workload.what,
        "ranks": workload.ranks,
        "contestants": [
            {
                "name": cell.contestant.name,
                "role": cell.contestant.role,
                "package": cell.contestant.package,
                "items": cell.items,
                "median": None if cell.medians is None else cell.medians.of(workload.ranks),
                "failure": cell.failure,
                "rounds": cell.rounds,
            }
            for cell in cells
        ],
        "floors": [
            {
                "floor": str(each.floor),
                "of": each.floor.of,
                "against": each.against,
                "least": each.floor.least,
                "measure": each.floor.measure,
                "measured": each.measured,
                "reached": each.reached,
            }
            for each in verdicts_of(workload, cells)
        ],
    }
