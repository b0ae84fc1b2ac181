"""What is promised of items, and which definitions cannot keep it."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from asyncdataflow import (
    AckableSource,
    DataFlow,
    DefinitionError,
    DeliveryError,
    Sink,
    TransactionalSink,
    balance,
    batch,
    combine_latest,
    concat,
    dead_letter,
    filter_,
    flatten,
    merge,
    operators,
    partition,
    route,
    scan,
    split,
    stage,
    take,
    through,
    until,
    zip_,
)
from asyncdataflow.operators import map_batches
from asyncdataflow.testing import QueueSource


async def same(item):
    return item


async def several(item):
    yield item


class NoPositions(AckableSource):
    def open(self, after=None):
        raise NotImplementedError


class Upserts(Sink):
    effect = "idempotent"

    @asynccontextmanager
    async def open(self):
        yield same


class Appends(Upserts):
    effect = "plain"


class Lists(Upserts):
    chunk = 5


class Ledger(TransactionalSink):
    def open(self):
        raise NotImplementedError


QUEUE = QueueSource(range(3), max_unacked=10)

KEPT = {
    "plain, at least once": ((QUEUE, same), "at_least_once"),
    "plain, at most once": ((range(3), same), "at_most_once"),
    "answered, at most once": ((QUEUE, through(lambda items: items)), "at_most_once"),
    "idempotent": ((QUEUE, same, Upserts()), "exactly_once"),
    "idempotent branches": ((QUEUE, {"a": Upserts(), "b": [several, Upserts()]}), "exactly_once"),
    "positions": ((QUEUE, stage(same, concurrency=3), batch(5), Ledger()), "exactly_once"),
    "positions of two sources": (
        ((stage(QUEUE, name="a"), stage(QueueSource(), name="b")), Ledger()),
        "exactly_once",
    ),
    "batches behind what expands": ((QUEUE, several, batch(11)), None),
    "a batch in time": ((QUEUE, batch(100, seconds=1)), None),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_a_definition_can_keep_is_promised(name):
    definition, delivery = KEPT[name]
    assert DataFlow(definition, delivery=delivery).delivery == delivery


REFUSED = {
    "a source that cannot be told": (
        (range(3), same),
        "at_least_once",
        ["definition[0] (range)", 'delivery="at_least_once"', "AckableSource"],
    ),
    "one of two sources": (((QUEUE, range(3)), same), "at_least_once", ["definition[0][1] (range)"]),
    "a stream taken as a whole": (
        (QUEUE, through(lambda items: items)),
        None,
        ["definition[1]", "definition[0] (QueueSource)", 'delivery="at_most_once"'],
    ),
    "a batch that never fills": (
        (QUEUE, batch(11)),
        None,
        ["definition[1] (batch)", "max_unacked=10", "seconds="],
    ),
    "results": (
        (QUEUE, same),
        "exactly_once",
        ["definition[1] (same)", "definition[0] (QueueSource)", "idempotent"],
    ),
    "a sink that appends": ((QUEUE, Appends()), "exactly_once", ["definition[1] (Appends)"]),
    "a branch that appends": (
        (QUEUE, {"a": Upserts(), "b": Appends()}),
        "exactly_once",
        ["definition[1]['b'] (Appends)"],
    ),
    "dead letters": (
        (QUEUE, stage(same, on_error=dead_letter(same)), Upserts()),
        "exactly_once",
        ["definition[1].on_error (same", "idempotent"],
    ),
    "positions of none": (
        (NoPositions(), Ledger()),
        None,
        ["definition[1] (Ledger)", "definition[0] (NoPositions)"],
    ),
    "positions of a plain source": ((range(3), Ledger()), None, ["definition[0] (range)", "AckableSource"]),
    "positions out of order": (
        (QUEUE, stage(same, concurrency=2, ordered=False), Ledger()),
        None,
        ["definition[1] (same)", "ordered=True"],
    ),
    "positions of half an item": ((QUEUE, several, Ledger()), None, ["definition[1] (several)"]),
    "positions of one branch": ((QUEUE, (same, Ledger())), None, ["definition[0] (QueueSource)", "branches"]),
    "positions beside dead letters": (
        (QUEUE, stage(same, on_error=dead_letter(Upserts())), Ledger()),
        None,
        ["definition[1] (same)", "dead letters"],
    ),
    "positions of two of one name": (
        ((QueueSource(), QueueSource()), Ledger()),
        None,
        ["definition[0][0] (QueueSource)", "stage(…, name=…)"],
    ),
    "positions behind a state": (
        (QUEUE, scan(lambda total, item: total + item), Ledger()),
        None,
        ["definition[1] (scan)", "knows more than the item"],
    ),
    "positions behind the latest of each": (
        ((stage(QUEUE, name="a"), stage(QueueSource(), name="b")), combine_latest(), Ledger()),
        None,
        ["definition[1] (combine_latest)", "knows more than the item"],
    ),
    "a state that nobody stores": (
        (QUEUE, scan(lambda total, item: total + item), batch(2), Upserts()),
        "exactly_once",
        ["definition[1] (scan)", "stored nowhere", "definition[0] (QueueSource)"],
    ),
    "positions that nobody asks for": ((QUEUE, Ledger()), "at_most_once", ["definition[1] (Ledger)"]),
    "batches of batches": (
        (QUEUE, batch(4), batch(3)),
        None,
        ["definition[2] (batch#2)", "holds 12 messages"],
    ),
    "what is kept of a branch": (
        ((QueueSource(max_unacked=1), QUEUE), combine_latest()),
        None,
        ["combine_latest", "max_unacked=1"],
    ),
    "no room at all": ((QueueSource(max_unacked=0), same), None, ["max_unacked= is at least 1, not 0"]),
    "a key of lists": ((QUEUE, stage(Lists(), concurrency=2, key=len)), None, ["key=", "chunk=5"]),
    "positions by several workers": ((QUEUE, stage(Ledger(), concurrency=2)), None, ["concurrency is 1"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_is_refused_by_name(name):
    definition, delivery, told = REFUSED[name]
    with pytest.raises(DefinitionError) as refused:
        DataFlow(definition, delivery=delivery)
    for each in told:
        assert each in str(refused.value)


A, B = stage(QUEUE, name="a"), stage(QueueSource(), name="b")

BEHIND_AN_ANSWERED_SOURCE = {
    # What it keeps is not settled, and comes again: with a position, and with an idempotent sink.
    "batch": ((QUEUE, batch(3)), True, True),
    "concat": (((A, B), concat()), True, True),
    "filter_": ((QUEUE, filter_(bool)), True, True),
    "map_batches": ((QUEUE, map_batches(list, 3)), True, True),
    "merge": (((A, B), merge()), True, True),
    "take": ((QUEUE, take(3)), True, True),
    "until": ((QUEUE, until(bool)), True, True),
    "zip_": (((A, B), zip_()), True, True),
    "combine_latest": (((A, B), combine_latest()), False, True),
    # Some of what is made of an item may be stored without the rest.
    "balance": ((QUEUE, balance(), (same, same)), False, True),
    "flatten": ((QUEUE, flatten()), False, True),
    "partition": ((QUEUE, partition(bool), (same, same)), False, True),
    "route": ((QUEUE, route(str), {"0": same, "1": same}), False, True),
    "split": ((QUEUE, split(lambda item: {"a": item, "b": item}), {"a": same, "b": same}), False, True),
    # What it knows of the items before is nowhere else.
    "scan": ((QUEUE, scan(lambda total, item: total + item)), False, False),
    "through": ((QUEUE, through(lambda items: items)), False, False),
}
"""Of each operator: whether a run can go on behind it where another was killed (E57)."""


def can_be_promised(*definition):
    try:
        DataFlow(definition, delivery="exactly_once")
    except DeliveryError:
        return False
    return True


@pytest.mark.parametrize("name", BEHIND_AN_ANSWERED_SOURCE)
def test_an_operator_that_knows_more_than_its_items_is_refused_or_gets_them_again(name):
    definition, with_positions, by_key = BEHIND_AN_ANSWERED_SOURCE[name]
    assert can_be_promised(*definition, Ledger()) is with_positions
    assert can_be_promised(*definition, Upserts()) is by_key


def test_of_each_operator_it_is_said():
    assert set(BEHIND_AN_ANSWERED_SOURCE) == {*operators.__all__} - {"BARE"}


def test_a_delivery_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match="'at_most_once', 'at_least_once', 'exactly_once' is needed, not 'maybe'"
    ):
        DataFlow((range(3),), delivery="maybe")


def test_items_of_a_run_cannot_be_answered():
    assert list(DataFlow((same, same), delivery="at_most_once").iterate(items=[1])) == [1]
    with pytest.raises(DefinitionError, match=r"items= \(items\).*AckableSource"):
        DataFlow((stage(same, concurrency=2),), delivery="at_least_once")
