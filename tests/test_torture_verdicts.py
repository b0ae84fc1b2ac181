"""The torture table tells what is wrong with a package: fakes that do wrong run as packages do."""

from __future__ import annotations

import pytest

from benchmarks.torture.case import BREAKS, FLOWS, INTERRUPTED, MIXED, POISON, RAISES, SLOW_SINK, Case
from benchmarks.torture.cells import Cell, fill
from benchmarks.torture.parent import Package, Patience, run_child

FAKES = "hangs right loses doubles swallows raises leaks_a_thread leaks_a_process leaks_a_task leaks_a_source"
FAKES = [*FAKES.split(), "pulls_all", "dies", "ignores_ctrl_c"]
"""In the order of `tests/torture_fakes.py`, which runs in a child process."""

FAKE = Package("fake", "tests.torture_fakes")
SHORT = Patience(deadline=0.8, grace=0.05)
LONG = Patience(deadline=30, grace=0.05)


def verdict(fake, flow, patience=LONG):
    number = FAKES.index(fake)
    [only] = run_child(FAKE, flow, range(number, number + 1), patience)
    return only


@pytest.mark.parametrize(
    ("fake", "flow", "words"),
    [
        ("right", MIXED, ()),
        ("right", BREAKS, ()),
        ("right", INTERRUPTED, ()),
        ("right", SLOW_SINK, ()),
        ("right", POISON, ("swallowed",)),  # what this run draws is a stage that raises
        ("loses", MIXED, ("lost",)),
        ("doubles", MIXED, ("lost",)),
        ("swallows", RAISES, ("swallowed",)),
        ("raises", MIXED, ("raised",)),
        ("leaks_a_thread", MIXED, ("leaked",)),
        ("leaks_a_process", MIXED, ("leaked",)),
        ("leaks_a_task", MIXED, ("leaked",)),
        ("leaks_a_source", BREAKS, ("leaked",)),
        ("pulls_all", SLOW_SINK, ("unbounded",)),
        ("dies", MIXED, ("died",)),
        ("ignores_ctrl_c", INTERRUPTED, ("swallowed",)),
    ],
)
def test_a_run_is_judged_by_what_is_wrong_with_it(fake, flow, words):
    told = verdict(fake, flow)
    assert told.words == words, told.detail


def test_a_run_beyond_its_deadline_has_hung_and_the_next_has_a_child_of_its_own():
    cell = Cell(FAKE, MIXED, FAKES.index("raises") + 1, most_hung=20)
    fill([cell], SHORT, 1, lambda: None)
    assert str(cell) == "hung 1, lost 3, raised 1 of 6"  # `swallows` loses where nothing is raised


def test_a_cell_is_left_where_enough_has_hung():
    cell = Cell(FAKE, MIXED, len(FAKES), most_hung=1)
    fill([cell], SHORT, 1, lambda: None)
    assert str(cell) == "hung 1 of 1"


def test_the_same_number_gives_every_package_the_same_case():
    drawn = [
        {name: getattr(Case(flow, 5, print), name) for name in ("count", "special")} for flow in FLOWS[:3]
    ]
    assert drawn[0] == drawn[1] == drawn[2]
