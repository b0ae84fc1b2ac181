"""Places and claims: whatever is taken beyond the places has a slot of its own behind."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.hands import Hands
from asyncdataflow._runtime.routing import Edges
from asyncdataflow.policy import Buffer


class Way:
    """An edge behind a stage, and the stage's hands."""

    def __init__(self, places, slots):
        self.channel = Channel(Buffer(slots))
        self.inlet = self.channel.receiver()
        self.outlet = Edges([[self.channel.sender()]])
        self.hands = Hands(places, self.outlet)

    async def take(self, wanted):
        await self.hands.reserve()
        taken = self.hands.take(wanted)
        self.hands.unreserve()
        return taken

    @property
    def room(self):
        return self.channel.room


async def waits(awaitable):
    task = asyncio.ensure_future(awaitable)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_all_have_a_slot_where_there_are_enough():
    way = Way(places=1, slots=5)
    assert await way.take(3) == 3
    assert (way.hands.claims, way.room) == (3, 2)
    # And the place is free for the next.
    assert await way.take(9) == 2
    assert (way.hands.claims, way.room) == (5, 0)


async def test_beyond_the_slots_each_has_a_place_and_then_nobody_takes():
    way = Way(places=2, slots=1)
    assert await way.take(4) == 1
    assert await way.take(4) == 1
    assert await way.take(4) == 1
    third = await waits(way.take(4))
    way.hands.free()
    assert await third == 1


async def test_one_takes_at_a_time():
    way = Way(places=3, slots=3)
    await way.hands.reserve()
    second = await waits(way.hands.reserve())
    way.hands.unreserve()
    await second


async def test_who_keeps_the_turn_takes_again_before_those_who_wait_for_it():
    way = Way(places=1, slots=2)
    await way.hands.reserve()
    second = await waits(way.hands.reserve())
    assert way.hands.take(1) == 1
    await way.hands.reserve(again=True)
    assert not second.done()
    way.hands.unreserve()
    await second


async def test_without_a_place_who_keeps_the_turn_waits_behind_the_others():
    way = Way(places=1, slots=1)
    assert await way.take(1) == 1
    await way.hands.reserve()
    second = await waits(way.hands.reserve())
    assert way.hands.take(1) == 1
    third = await waits(way.hands.reserve(again=True))
    way.hands.free()
    await second
    assert not third.done()
    way.hands.unreserve()
    await third


async def test_whatever_leaves_first_uses_a_claim():
    way = Way(places=1, slots=2)
    assert [await way.take(3), await way.take(3)] == [2, 1]
    assert way.hands.use(1) == 1
    way.outlet.put(["first"])
    assert way.hands.use(5) == 1
    way.outlet.put(["second"])
    assert way.hands.use(5) == 0
    assert [way.inlet.receive_nowait() for _ in range(2)] == ["first", "second"]


async def test_what_is_let_go_gives_back_claims_first_and_then_places():
    way = Way(places=1, slots=2)
    assert [await way.take(3), await way.take(3)] == [2, 1]
    waiting = await waits(way.hands.reserve())
    way.hands.let_go(2)
    assert (way.hands.claims, way.room) == (0, 2)
    assert not waiting.done()
    way.hands.let_go(1)
    await waiting


@pytest.mark.parametrize("woken", [False, True])
async def test_a_cancelled_wait_loses_no_place(woken):
    way = Way(places=1, slots=1)
    assert [await way.take(2), await way.take(2)] == [1, 1]
    first, second = await waits(way.hands.reserve()), await waits(way.hands.reserve())
    if woken:
        way.hands.free()
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    if not woken:
        way.hands.free()
    await second


async def test_where_others_send_too_each_of_them_is_left_as_much():
    way = Way(places=1, slots=5)
    others = [way.channel.sender()]
    assert (await way.take(9), way.hands.claims) == (2, 2)
    # And the place is free for the next.
    assert (await way.take(9), way.hands.claims) == (1, 2)
    way.hands.let_go(3)
    others.append(way.channel.sender())
    assert (await way.take(9), way.hands.claims) == (1, 1)
    way.hands.let_go(1)
    for each in others:
        each.close()
    assert (await way.take(9), way.hands.claims) == (5, 5)


async def test_there_is_nothing_to_claim_where_there_are_fewer_slots_than_senders():
    way = Way(places=1, slots=2)
    others = [way.channel.sender() for _ in range(2)]
    assert (await way.take(9), way.hands.claims) == (1, 0)
    for each in others:
        each.close()
