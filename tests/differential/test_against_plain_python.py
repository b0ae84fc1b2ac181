"""Our operators on random timelines under virtual time: what itertools and heapq make of them."""

from __future__ import annotations

import itertools
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, zip_
from asyncdataflow.errors import UnevenZipError
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.differential import models
from tests.differential.cases import CASES, SEEDS, SEVERAL, TIED, Plan, labelled
from tests.differential.timelines import PACES, Timeline


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_every_result_at_its_moment(name, pace):
    case = CASES[name]

    @settings(max_examples=40)
    @given(case.plans(pace))
    def check(plan):
        assert case.run_ours(plan, pace) == case.expected(plan)

    check()


@settings(max_examples=40)
@given(TIED.map(labelled), st.sampled_from([1, 2, 128]), SEEDS)
def test_a_merge_of_ties_keeps_the_order_of_each_branch(branches, buffer, seed):
    plan = Plan(branches, buffer=buffer, seed=seed)
    seen, expected = CASES["merge"].run_ours(plan, "moments"), models.merge(branches)
    assert sorted(seen.results) == sorted(expected.results)
    for port, branch in enumerate(branches):
        assert [item for _, item in seen.results if item[0] == port] == branch.values
    assert seen.ended == expected.ended


@settings(max_examples=40)
@given(TIED.map(labelled), st.sampled_from([1, 2, 128]), SEEDS)
def test_the_latest_after_ties_is_the_latest_of_each_branch(branches, buffer, seed):
    plan = Plan(branches, buffer=buffer, seed=seed)
    seen, expected = CASES["combine_latest"].run_ours(plan, "moments"), models.combine_latest(branches)
    # The last result of a moment is whole; how many there are is free only when the first is.
    assert dict(seen.results) == dict(expected.results)
    assert moments_after_the_first(seen) == moments_after_the_first(expected)


def moments_after_the_first(seen):
    moments = list(map(itemgetter(0), seen.results))
    return list(itertools.dropwhile(lambda moment: moment == moments[0], moments))


@settings(max_examples=40)
@given(SEVERAL, st.sampled_from(PACES))
def test_an_uneven_zip_says_how_far_it_came_and_who_ended(branches, pace):
    rounds = min(len(branch.items) for branch in branches)
    ended = [str(port) for port, branch in enumerate(branches) if len(branch.items) == rounds]
    if len(ended) == len(branches):
        return
    flow = DataFlow((tuple(branch.source(pace) for branch in branches), zip_))
    with pytest.raises(UnevenZipError) as told:
        run_virtual(flow.run())
    assert f"after {rounds} items of each branch, {', '.join(ended)} ended" in str(told.value)


def test_seeds_see_more_than_one_order_of_ties():
    """Else what holds for every seed holds for one order."""
    branches = labelled((Timeline(((1.0, None),), 1.0),) * 3)
    runs = (CASES["merge"].run_ours(Plan(branches, seed=seed), "moments") for seed in range(40))
    assert len({tuple(item for _, item in seen.results) for seen in runs}) == 6
