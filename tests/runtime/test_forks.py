"""The edges behind a stage that chooses: where there is room, and who is the freest."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow._runtime.baton import Baton
from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.forks import ForkStretch
from asyncdataflow._runtime.routing import Edges
from asyncdataflow._runtime.supervise import Counters
from asyncdataflow.operators.protocol import ALL, ANY
from asyncdataflow.policy import Buffer, Overflow


class Branches:
    """Edges a, b, …, with both their ends."""

    def __init__(self, *capacities):
        baton = Baton()
        self.channels = [Channel(Buffer(items=each), baton=baton) for each in capacities]
        self.receivers = [each.receiver() for each in self.channels]
        self.forks = Edges([[each.sender()] for each in self.channels]).forks()
        self.forks.name({name: place for place, name in enumerate("abc"[: len(capacities)])}, dict)

    def lying(self):
        return [each.statistics().items for each in self.channels]


async def test_a_stretch_is_as_long_as_all_have_room_or_where_that_is_little_as_the_emptiest_has():
    assert Branches(100, 40).forks.free() == 40
    assert Branches(100, 4).forks.free() == 100
    assert Branches(3, 4).forks.free() == 4


async def test_an_edge_with_less_room_than_the_stretch_is_long_is_looked_at_item_by_item():
    branches = Branches(100, 2)
    forks = branches.forks
    assert forks.free() == 100
    assert sorted(forks.named(2)) == ["a", "b"]
    assert sorted(forks.named(3)) == ["a"]
    for number in range(2):
        assert forks.fits([(1, number)])
        forks.lay([(1, number)])
    assert not forks.fits([(1, 2)])
    assert not forks.fits([(0, 2), (1, 2)])
    assert forks.fits([(0, 2)])
    assert branches.lying() == [0, 2]


async def test_who_waits_to_send_comes_first():
    branches = Branches(1, 1)
    sender = branches.channels[0].sender()
    assert branches.channels[0].put("before")
    waiting = asyncio.create_task(sender.send("waits"))
    await asyncio.sleep(0)
    branches.forks.free()
    assert not branches.forks.fits([(0, "late")])
    assert await branches.receivers[0].receive() == "before"
    await waiting


async def test_a_branch_that_wants_no_more_has_room_for_all_and_keeps_nothing():
    branches = Branches(50, 50)
    forks = branches.forks
    branches.receivers[0].close()
    assert forks.free() == 50
    forks.named(50)["a"]("to nobody")
    forks.lay([(0, "neither"), (1, "kept")])
    assert branches.lying() == [0, 1]
    branches.receivers[1].close()
    assert forks.free() == 0


async def test_the_freest_is_who_waits_then_who_has_the_least_and_never_who_is_full():
    branches = Branches(2, 3, 2)
    forks = branches.forks
    waiting = asyncio.create_task(branches.receivers[2].receive())
    await asyncio.sleep(0)
    forks.free()
    for number in range(7):
        assert forks.fits([(ANY, number)])
        forks.lay([(ANY, number)])
    assert not forks.fits([(ANY, 7)])
    assert [list(each.queue) for each in branches.channels] == [[1, 3], [2, 4, 6], [0, 5]]
    branches.channels[2].laid()
    assert await waiting == 0


async def test_what_goes_to_all_or_twice_to_one_goes_the_long_way_where_there_are_several():
    several, one = Branches(9, 9).forks, Branches(9).forks
    assert several.free() == one.free() == 9
    assert not several.fits([(ALL, "a")])
    assert not several.fits([(0, "a"), (0, "b")])
    assert one.fits([(ALL, "a")])


@pytest.mark.parametrize("overflow", [Overflow.DROP_NEWEST, Overflow.DROP_OLDEST, Overflow.FAIL])
async def test_there_are_none_where_more_than_a_number_bounds_an_edge(overflow):
    lossy, whole = Channel(Buffer(3), overflow), Channel(Buffer(3))
    assert Edges([[lossy.sender()], [whole.sender()]]).forks() is None
    assert Edges([[whole.sender()], [whole.sender()]]).forks() is None
    assert Edges([[whole.sender(), Channel(Buffer(3)).sender()]]).forks() is None


async def test_a_stretch_counts_an_item_once_however_many_branches_it_goes_to():
    branches = Branches(9, 9)
    forks, tally = branches.forks, Counters()
    inlet = Channel(Buffer(9), baton=branches.channels[0].baton)
    for number in range(4):
        assert inlet.put(number)
    stretch = ForkStretch(inlet.baton, inlet, forks.channels, tally, works=True)
    forks.free()
    lying = stretch.lift(4)
    forks.lay([(0, next(lying)), (1, "part")])
    next(lying)
    stretch.filtered += 1
    next(lying)
    assert branches.lying() == [1, 1]
    stretch.interrupt()
    assert (tally.received, tally.sent, tally.filtered, tally.settled) == (3, 1, 1, 2)
