"""Faults that could not have come are refused: a test with them passes whatever the flow does."""

from __future__ import annotations

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.testing import Faults, FeedSource, simulate
from tests.testing.simulated_flows import chain, in_a_process, numbers, processes, slowly


def charging():
    return DataFlow((numbers, stage(slowly, name="charge")))


def test_a_name_that_no_stage_has_is_refused():
    with pytest.raises(ValueError, match="'chrage'") as refused:
        simulate(charging, seeds=5, faults=Faults(only=("charge", "chrage"), raises=1.0))
    told = str(refused.value)
    assert "no flow that ran has a stage 'chrage'" in told
    assert "there are numbers, charge; did you mean 'charge'?" in told


def test_a_stage_of_a_flow_inside_another_is_none_that_is_refused():
    async def outer(n):
        return (await DataFlow(stage(slowly, name="charge")).run(items=[n]))[0]

    def make():
        return DataFlow((numbers, outer))

    report = simulate(make, seeds=5, faults=Faults(only=("charge",), slow=0.5)).raise_for_failures()
    assert report.struck["slow"]


def nothing():
    return DataFlow((FeedSource([]), slowly))


def inline():
    return DataFlow((FeedSource([1]), stage(in_a_process, executor="inline")))


@pytest.mark.parametrize(
    ("make", "faults", "needed"),
    [
        (chain, Faults(dies=1.0), "for dies= a stage with executor='process'"),
        (nothing, Faults(redelivers=1.0), "for redelivers= a source that has given an item"),
        (nothing, Faults(raises=1.0, late=0.1), "for raises= a call of a stage's function; for late= a sink"),
        (inline, Faults(slow=1.0), "for slow= an await in a stage"),
        (processes, Faults(dies=1.0, only=("slowly",)), "what is needed among slowly: for dies="),
    ],
    ids=lambda each: getattr(each, "__name__", repr(each)),
)
def test_faults_that_have_no_place_in_any_run_are_refused(make, faults, needed):
    with pytest.raises(ValueError, match="nothing is tested") as refused:
        simulate(make, seeds=5, faults=faults)
    assert needed in str(refused.value)
    assert repr(faults) in str(refused.value)


def test_some_may_have_no_place_where_others_have_one():
    report = simulate(chain, seeds=5, faults=Faults.every(0.1)).raise_for_failures()
    assert not report.struck["dies"]


def test_what_could_have_come_and_was_not_drawn_is_not_refused():
    assert not simulate(chain, seeds=1, faults=Faults(raises=1e-9)).raise_for_failures().struck


def test_a_failure_is_told_first():
    report = simulate(chain, check=lambda _: False, seeds=1, faults=Faults(dies=1.0))
    assert not report.passed
