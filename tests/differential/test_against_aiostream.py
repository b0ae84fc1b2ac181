"""Our operators and aiostream's on the same random timelines under virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.differential.cases import CASES, SEEDS, TIED, Plan, labelled
from tests.differential.timelines import PACES

stream = pytest.importorskip("aiostream").stream

SHARED = [name for name, case in CASES.items() if case.theirs is not None]


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("name", SHARED)
def test_both_have_the_same_results_and_ours_none_later(name, pace):
    case = CASES[name]

    @settings(max_examples=40)
    @given(case.plans(pace))
    def check(plan):
        ours, theirs = case.run_ours(plan, pace), case.run_theirs(stream, plan, pace)
        if pace == "moments" and case.in_step(plan):
            assert ours == theirs
            return
        assert [result for _, result in ours.results] == [result for _, result in theirs.results]
        assert all(mine <= other for (mine, _), (other, _) in zip(ours.results, theirs.results, strict=True))
        assert ours.ended <= theirs.ended
        assert ours.failed == theirs.failed

    check()


@settings(max_examples=40)
@given(TIED.map(labelled), SEEDS)
def test_a_merge_of_ties_has_the_same_results_at_each_moment(branches, seed):
    plan, case = Plan(branches, seed=seed), CASES["merge"]
    ours, theirs = case.run_ours(plan, "moments"), case.run_theirs(stream, plan, "moments")
    assert sorted(ours.results) == sorted(theirs.results)
    assert ours.ended == theirs.ended


@settings(max_examples=40)
@given(TIED.map(labelled), SEEDS)
def test_the_latest_after_ties_is_the_same(branches, seed):
    plan, case = Plan(branches, seed=seed), CASES["combine_latest"]
    ours, theirs = case.run_ours(plan, "moments"), case.run_theirs(stream, plan, "moments")
    assert dict(ours.results) == dict(theirs.results)
    assert ours.ended == theirs.ended
