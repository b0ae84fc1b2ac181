"""Threads beside other senders: slots are promised for what they make ahead, and never all of them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asyncdataflow import DataFlow, merge, stage
from asyncdataflow._runtime.chunked import Chunked
from asyncdataflow._threads.job import LaneIterator

ITEMS = 2_000
DEADLINE = 20


def left(item):
    return "left", item


def right(item):
    return "right", item


async def on_the_loop(item):
    return "loop", item


def numbers():
    yield from range(ITEMS)


def letters():
    for each in range(ITEMS):
        yield str(each)


@pytest.fixture
def counted(monkeypatch):
    """Ways to a thread and back: chunks posted, and leave given to make items ahead."""
    ways = []

    def counting(cls, name):
        real = getattr(cls, name)

        def count(self, *args):
            ways.append(name)
            return real(self, *args)

        monkeypatch.setattr(cls, name, count)

    counting(Chunked, "_post")
    counting(LaneIterator, "_grant")
    return ways


@pytest.mark.parametrize(
    "definition",
    [
        (range(ITEMS), (left, right)),
        (range(ITEMS), (left, right, on_the_loop), merge),
        ((numbers, letters),),
        ((numbers, letters), merge, on_the_loop),
    ],
    ids=["stages, to the run", "stages, merged", "sources, to the run", "sources, merged"],
)
async def test_threads_beside_each_other_do_not_go_item_by_item(counted, definition):
    """Each way costs as much as a hundred items; what is slow to begin with is found out at first."""
    async with DataFlow(definition).stream() as run:
        results = [each async for each in run]
    assert len(results) == len(set(results)) >= 2 * ITEMS
    assert len(counted) < len(results) / 5


@pytest.mark.parametrize("buffer", [1, 2, 3, 8])
async def test_a_thread_that_waits_for_what_another_sends_keeps_no_slot_from_it(buffer):
    """Its chunk is promised slots, and comes to its end only when the consumer has what is beside it."""
    seen = threading.Event()

    def waits(item):
        assert seen.wait(DEADLINE)
        return "waited", item

    branches = (stage(waits, buffer=8), stage(on_the_loop, buffer=8))
    flow = DataFlow((range(20), branches, merge(buffer=buffer)))
    results = []
    async with flow.stream(buffer=1) as run:
        async for each in run:
            results.append(each)
            if results.count(("loop", 5)):
                seen.set()
    assert sorted(results) == sorted((kind, n) for n in range(20) for kind in ("loop", "waited"))


async def test_a_source_that_ends_or_fails_leaves_no_slot_promised():
    """What it was promised and did not use is for those that go on."""

    def few():
        yield from range(3)

    gone = asyncio.Event()

    async def many():
        await gone.wait()
        for number in range(100, 130):
            yield number

    flow = DataFlow(((few, many), merge(buffer=16)))
    async with flow.stream(buffer=1) as run:
        results, promised = [], []
        async for each in run:
            results.append(each)
            if each == 2:
                gone.set()
            if each == 102:
                merged = run._execution.works[2].inlets[0].channel
                promised.append(merged.statistics().promised)
    assert sorted(results) == [0, 1, 2, *range(100, 130)]
    # One may be of a sender that was just woken.
    assert promised[0] < 2


async def test_an_item_that_lies_there_has_one_slot_and_not_the_promised_one_beside_it():
    """Else an edge would hold half of what it may."""
    go_on = threading.Event()

    def four_then_more():
        yield from range(4)
        assert go_on.wait(DEADLINE)
        yield from range(4, 40)

    async def other():
        yield 100

    received = []
    async with DataFlow(((four_then_more, other), merge(buffer=16))).stream() as run:
        async for each in run:
            received.append(each)
            if {0, 1, 2, 3} <= set(received) and not go_on.is_set():
                merged = run._execution.works[2].inlets[0].channel
                promised = merged.statistics().promised
                go_on.set()
    assert sorted(received) == [*range(40), 100]
    # Of the eight that were promised at first, one for each that has come is taken.
    assert promised <= 4
