"""A broadcast in stretches: what lies in its edges, whenever anybody looks."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow._runtime.baton import Baton, Stretch
from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.routing import Edges
from asyncdataflow._runtime.supervise import Counters
from asyncdataflow.errors import WouldBlock
from asyncdataflow.policy import Buffer
from asyncdataflow.testing import run_virtual


class Branches:
    """Edges of a broadcast, with both their ends."""

    def __init__(self, *capacities, tag=None):
        self.baton = Baton()
        self.channels = [Channel(Buffer(items=each), baton=self.baton) for each in capacities]
        self.receivers = [each.receiver() for each in self.channels]
        self.edges = Edges([[each.sender(tag)] for each in self.channels])
        self.lay = self.edges.laying()
        self.tally = Counters()
        self.stretch = Stretch(self.baton, None, self.edges.ways, self.tally, works=False)

    def put(self, *items):
        self.stretch.begin()
        for item in items:
            self.lay(item)

    def lying(self):
        return [each.statistics().items for each in self.channels]

    def taken(self):
        return [list(self._each(receiver)) for receiver in self.receivers]

    @staticmethod
    def _each(receiver):
        try:
            while True:
                yield receiver.receive_nowait()
        except WouldBlock:
            return


def on_a_loop(test):
    async def main():
        test()

    return lambda: asyncio.run(main())


@on_a_loop
def test_what_a_stretch_has_put_is_counted_in_every_edge_before_it_lies_there():
    branches = Branches(4, 8)
    branches.put("a", "b")
    assert branches.baton.holder is branches.stretch
    assert branches.lying() == [2, 2]
    assert branches.taken() == [["a", "b"], ["a", "b"]]
    assert branches.tally.sent == 2


@on_a_loop
def test_who_waits_for_the_first_is_told_of_it_and_the_rest_is_counted_once():
    branches = Branches(4, 8)
    branches.put("a")
    branches.stretch.wake_receivers()
    assert branches.lying() == [1, 1]
    branches.lay("b")
    branches.stretch.end()
    assert branches.lying() == [2, 2]
    assert branches.tally.sent == 2


@on_a_loop
def test_as_many_fit_as_fit_into_the_fullest_edge_that_is_wanted():
    branches = Branches(2, 5, 7)
    assert branches.edges.free() == 2
    branches.receivers[0].close()
    assert branches.edges.free() == 5
    branches.put("a")
    branches.stretch.end()
    assert branches.lying() == [0, 1, 1]
    for each in branches.receivers:
        each.close()
    assert branches.edges.free() == 0


@on_a_loop
def test_a_branch_that_leaves_in_the_middle_of_a_stretch_gets_no_more():
    branches = Branches(4, 4)
    branches.put("a")
    branches.receivers[0].close()
    assert branches.baton.holder is None
    assert branches.lying() == [0, 1]


@on_a_loop
def test_a_tag_goes_with_each():
    branches = Branches(4, 4, tag=3)
    branches.put("a", "b")
    assert branches.taken() == [[(3, "a"), (3, "b")]] * 2


class Thing:
    """Can be referred to weakly."""


@on_a_loop
def test_nothing_keeps_an_item_behind_the_edges():
    branches = Branches(4, 4)
    things = [Thing(), Thing()]
    known = [weakref.ref(each) for each in things]
    branches.put(*things)
    del things
    branches.taken()
    gc.collect()
    assert [each() for each in known] == [None, None]


@pytest.mark.parametrize("looks_at", [1, 2, 5, 20])
def test_a_source_that_asks_the_run_sees_what_it_has_sent_to_every_branch(looks_at):
    seen = []

    async def sink(_):
        pass

    async def main():
        async def source():
            for number in range(30):
                if number == looks_at:
                    stats = run.stats()
                    seen.extend((stats.stages["source"].sent, *(stats.stages[each].queued for each in "ab")))
                yield number

        flow = DataFlow((source, (stage(sink, name="a"), stage(sink, name="b"))))
        async with flow.stream() as run:
            await run.wait()

    run_virtual(main())
    assert seen == [looks_at] * 3


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("branches", [1, 20])
def test_branches_that_end_in_sinks_do_not_share_a_room_that_none_of_them_fills(branches, fuse):
    """All of them may send to the run: shares of its edge would be stretches of eight items."""
    turns = 0

    async def numbers(count):
        for number in range(count):
            yield number

    async def same(item):
        return item

    def sink(_):
        async def keep(item):
            pass

        return keep

    async def count_turns():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def main():
        counting = asyncio.create_task(count_turns())
        flow = DataFlow((numbers, tuple((same, sink(branch)) for branch in range(branches))), fuse=fuse)
        async with flow.stream({"count": 12_800}) as run:
            await run.wait()
        counting.cancel()

    asyncio.run(main())
    assert turns < 12_800 / 128 * 8, turns
