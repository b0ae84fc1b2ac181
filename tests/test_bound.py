"""How far an endless source can be ahead, told from the graph alone."""

from __future__ import annotations

import itertools

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.bound import bound, slots
from asyncdataflow.operators import batch, combine_latest, concat, filter_, merge, scan, split, zip_
from asyncdataflow.policy import dead_letter
from asyncdataflow.stage import stage
from tests.definitions import graph_of, plain

endless = itertools.count()
more = itertools.count()
get = plain("get", "")


def step(name="step", **options):
    """A plain function as a stage, its edge holding 10 items unless said otherwise."""
    return stage(plain(name), **{"buffer": 10, **options})


def expand(item):
    yield item


OUT = 5
CHAIN = 1 + 10 + 1 + OUT  # a source's hand, an edge, a worker's hand, the output edge


@pytest.mark.parametrize(
    ("definition", "most"),
    [
        (endless, 1 + OUT),
        ((endless, step()), CHAIN),
        ((endless, step(), step()), CHAIN + 11),
        ((endless, plain("step")), 1 + 128 + 1 + OUT),
        ((endless, step(buffer=1)), 1 + 1 + 1 + OUT),
        ((endless, step(concurrency=4)), 1 + 10 + 8 + OUT),
        ((endless, step(concurrency=4, ordered=False)), 1 + 10 + 4 + OUT),
        ((endless, step(concurrency=4, key=len)), 1 + 10 + 7 + OUT),
        ((endless, step(concurrency=4, key=len, ordered=False)), 1 + 10 + 7 + OUT),
        ((endless, stage(expand, buffer=10, concurrency=4)), 1 + 10 + 4 + OUT),
        ((endless, filter_(bool, buffer=10)), CHAIN),
        ((endless, scan(lambda state, item: item, buffer=10)), CHAIN),
        # All senders into one port share its channel.
        (((endless, more), step()), 2 + 10 + 1 + OUT),
        (((endless, more), merge(buffer=10), step()), 2 + 10 + 1 + 10 + 1 + OUT),
        ((([endless, step()], more), merge(buffer=10)), 2 + 11 + 10 + 1 + OUT),
        (((endless, more), concat(buffer=10)), 2 + 10 + 10 + 1 + OUT),
        # Branches of a broadcast add up; they share the output edge.
        ((endless, (step("one"), step("two"))), 1 + 11 + 11 + OUT),
        ((endless, split(buffer=10), (step("one"), step("two"))), 1 + 11 + 11 + 11 + OUT),
        # Behind a batch each thing stands for several source items.
        ((endless, batch(3, buffer=10)), 1 + 10 + 3 + 3 * OUT),
        ((endless, batch(3, buffer=10), step()), 1 + 10 + 3 + 3 * (10 + 1) + 3 * OUT),
        (
            (endless, batch(3, buffer=10), batch(4, buffer=10), step()),
            1 + 10 + 3 + 3 * (10 + 4) + 12 * (10 + 1) + 12 * OUT,
        ),
        ((([endless, batch(3, buffer=10)], more), step()), 2 + 13 + 3 * (10 + 1) + 3 * OUT),
        # Behind a zip, for one of each branch.
        (((endless, more), zip_(buffer=10)), 2 + 10 + 10 + 2 + 2 * OUT),
        (((endless, more), zip_(buffer=10), step()), 2 + 20 + 2 + 2 * 11 + 2 * OUT),
        ((([endless, batch(3, buffer=10)], more), zip_(buffer=10)), 2 + 13 + 30 + 10 + 4 + 4 * OUT),
        (((endless, more), stage(plain("both", "x, y"), buffer=10)), 2 + 20 + 2 + 2 * 11 + 2 * OUT),
        (((endless, more), combine_latest(buffer=10)), 2 + 10 + 2 + 2 * OUT),
        # Dead letters wait, too.
        ((endless, step(on_error=dead_letter(step("rejects")))), CHAIN + 11),
        # A function makes one item only.
        (get, 1),
        ((get, step()), 1),
        (((get, plain("other", "")), step()), 2),
        (((get, endless), step()), 2 + 10 + 1 + OUT),
        (stage(get, many=True), 1 + OUT),
    ],
)
def test_bound(definition, most):
    assert bound(graph_of(definition), buffer=OUT) == most


def test_items_of_a_run():
    assert bound(graph_of((step(), step()), feed=True), buffer=OUT) == CHAIN + 11


def test_the_output_edge_holds_128_by_default():
    assert bound(graph_of(endless)) == 1 + 128


@pytest.mark.parametrize(
    ("options", "hands"),
    [
        ({}, 1),
        ({"ordered": False}, 1),
        ({"concurrency": 3}, 6),
        ({"concurrency": 3, "ordered": False}, 3),
        ({"concurrency": 3, "key": len}, 5),
        ({"key": len}, 1),
    ],
)
def test_slots(options, hands):
    graph = graph_of((endless, step(**options)))
    assert slots(graph.stages[1]) == hands


def test_of_a_run_that_is_given_items_it_counts_the_edge_that_they_come_by():
    flow = DataFlow((stage(str, buffer=10), stage(len, buffer=20)))
    assert flow.bound(5, items=True) == 1 + 10 + 1 + 20 + 1 + 5
