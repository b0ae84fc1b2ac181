"""One fault at every step, exhaustively."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.testing import simulate, sweep
from tests.testing.simulated_flows import WORLDS, numbers


@pytest.mark.parametrize("make", WORLDS)
def test_no_rule_is_broken_whichever_step_it_is(make):
    steps = range(1, 400, 7)
    report = sweep(make, seed=1, steps=steps).raise_for_failures()
    assert report.runs == 1 + 2 * len(steps)
    assert report.ended["cut short"] > 5
    assert report.ended["failed by a fault"] > 1


def test_every_step_is_taken():
    report = sweep(lambda: DataFlow((numbers, int)), ways=["cancel"]).raise_for_failures()
    assert report.runs == 1 + simulate(lambda: DataFlow((numbers, int)), seeds=1).steps


@pytest.mark.leaks("tasks", reason="a worker that is left behind is the point")
def test_the_steps_at_which_it_cannot_be_cancelled_are_found():
    async def stubborn(n):
        if n == 3:
            for _ in range(20):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.5)
        return n

    def make():
        return DataFlow((numbers, stubborn))

    report = sweep(make, ways=["cancel"])
    assert 0 < len(report.failures) < report.runs / 2
    first = report.failures[0]
    assert "stubborn" in str(first.error)
    assert first.rerun == f"sweep(make, seed=0, ways=['cancel'], steps=[{first.where.split()[-1]}])"


@pytest.mark.parametrize(
    "options", [{"ways": ["foo"]}, {"ways": "cancel"}, {"ways": []}, {"steps": []}], ids=str
)
def test_what_would_test_nothing_is_refused(options):
    with pytest.raises(ValueError, match=r"sweep\("):
        sweep(lambda: DataFlow((numbers, int)), **options)


def test_steps_may_be_an_iterator():
    report = sweep(lambda: DataFlow((numbers, int)), steps=iter([3, 4]))
    assert report.runs == 1 + 2 * 2


def test_a_flow_that_fails_by_itself_is_not_swept():
    async def fails(n):
        raise LookupError(n)

    assert sweep(lambda: DataFlow((numbers, fails))).runs == 1
