"""Where a stage's values go: to every branch, to one, to whichever is free, and to none that has left."""

from __future__ import annotations

import asyncio
import random

import pytest

from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.routing import Discard, Edges, Results
from asyncdataflow.errors import ChannelClosed, EndOfChannel
from asyncdataflow.operators.protocol import ALL, ANY
from asyncdataflow.policy import Buffer, Overflow
from asyncdataflow.testing.seeded_loop import quiet, run_seeded
from asyncdataflow.testing.virtual_clock import run_virtual


def branches(*capacities, **options):
    """An outlet over one edge a branch, and the receiving ends."""
    channels = [
        Channel(Buffer(each), name=f"branch {place}", **options) for place, each in enumerate(capacities)
    ]
    return Edges([[channel.sender()] for channel in channels]), [channel.receiver() for channel in channels]


def lying(receiver):
    """Take what lies there now, and not what these slots let in."""
    return [receiver.receive_nowait() for _ in range(receiver.channel.statistics().items)]


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_broadcast_gives_the_very_object_to_every_branch(count):
    """Invariant 15: by reference."""
    outlet, receivers = branches(*[2] * count)
    item = object()
    await outlet.send(item)
    assert [lying(each) for each in receivers] == [[item]] * count


def test_a_full_branch_keeps_nothing_from_another_that_could_go_on():
    """Invariant 7: else a diamond would stand still."""

    async def main():
        outlet, (full, other) = branches(1, 5)
        await outlet.send(0)
        sending = asyncio.create_task(outlet.send(1))
        await quiet()
        assert not sending.done()
        assert lying(other) == [0, 1]
        assert lying(full) == [0]
        await sending
        assert (lying(full), lying(other)) == ([1], [])

    run_virtual(main())


@pytest.mark.parametrize("first", [0, 1, 2])
def test_several_full_branches_may_free_in_any_order(first):
    """Invariants 3 and 7: a slot that is freed while the sender waits for another branch's is used."""

    async def main():
        outlet, receivers = branches(1, 1, 1)
        await outlet.send(0)
        sending = asyncio.create_task(outlet.send(1))
        await quiet()
        for place in (first, (first + 1) % 3, (first + 2) % 3):
            assert not sending.done()
            assert lying(receivers[place]) == [0]
            await quiet()
        await sending
        assert [lying(each) for each in receivers] == [[1]] * 3

    run_virtual(main())


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("whole", [True, False], ids=["broadcast", "one value each"])
def test_a_branch_that_was_full_for_a_moment_is_not_held_back_by_one_that_stays_full(whole, order):
    """Invariant 7: the waits are for all at once, not for one after the other."""

    async def main():
        outlet, receivers = branches(1, 1)
        moment, stays = (receivers[place] for place in order)

        async def send(item):
            await (outlet.send(item) if whole else outlet.deliver([(place, item) for place in range(2)]))

        await send(0)
        sending = asyncio.create_task(send(1))
        await quiet()
        assert lying(moment) == [0]
        await quiet()
        assert lying(moment) == [1]
        assert not sending.done()
        assert lying(stays) == [0]
        await sending
        assert lying(stays) == [1]

    run_virtual(main())


@pytest.mark.parametrize("leaving", [0, 1])
def test_a_branch_that_leaves_while_a_broadcast_waits_is_passed_over(leaving):
    """Invariant 11: whichever of the full branches leaves, the other still gets the item."""

    async def main():
        outlet, receivers = branches(1, 1)
        await outlet.send(0)
        sending = asyncio.create_task(outlet.send(1))
        await quiet()
        receivers[leaving].close()
        await quiet()
        staying = receivers[1 - leaving]
        assert lying(staying) == [0]
        await sending
        assert lying(staying) == [1]

    run_virtual(main())


def test_a_broadcast_fails_once_every_branch_has_left():
    """Invariant 11: while it waits, and when it comes later."""

    async def main():
        outlet, receivers = branches(1, 1)
        await outlet.send(0)
        sending = asyncio.create_task(outlet.send(1))
        await quiet()
        for receiver in receivers:
            receiver.close()
        with pytest.raises(ChannelClosed, match="branch 0, branch 1"):
            await sending
        with pytest.raises(ChannelClosed):
            await outlet.send(2)

    run_virtual(main())


async def test_a_named_branch_alone_gets_what_is_delivered_to_it():
    """Invariant 16."""
    outlet, receivers = branches(5, 5, 5)
    await outlet.deliver([(0, "a"), (2, "c")])
    await outlet.deliver([(ALL, "all")])
    await outlet.deliver([])
    await outlet.deliver([(1, "b")])
    assert [lying(each) for each in receivers] == [["a", "all"], ["all", "b"], ["c", "all"]]


def test_a_branch_that_has_left_takes_nothing_and_holds_nothing_up():
    async def main():
        outlet, (left, other) = branches(1, 1)
        left.close()
        for number in range(3):
            await outlet.deliver([(0, number)])
        await outlet.deliver([(1, "b")])
        assert lying(other) == ["b"]
        other.close()
        with pytest.raises(ChannelClosed):
            await outlet.deliver([(1, "late")])

    run_virtual(main())


async def test_whichever_is_free_gets_it():
    outlet, (first, second) = branches(2, 2)
    for number in range(4):
        await outlet.deliver([(ANY, number)])
    assert (len(lying(first)), len(lying(second))) == (2, 2)
    waiting = asyncio.create_task(second.receive())
    await asyncio.sleep(0)
    await outlet.deliver([(ANY, "to who waits")])
    assert await waiting == "to who waits"


@pytest.mark.parametrize("freed", [0, 1])
def test_whoever_frees_first_gets_what_waits_for_any(freed):
    async def main():
        outlet, receivers = branches(1, 1)
        await outlet.deliver([(ANY, 0)])
        await outlet.deliver([(ANY, 1)])
        sending = asyncio.create_task(outlet.deliver([(ANY, "next")]))
        await quiet()
        lying(receivers[freed])
        await sending
        assert lying(receivers[freed]) == ["next"]
        assert len(lying(receivers[1 - freed])) == 1

    run_virtual(main())


def test_who_waits_for_any_outlives_branches_that_leave():
    """Invariant 11."""

    async def main():
        outlet, (first, second) = branches(1, 1)
        for number in range(2):
            await outlet.deliver([(ANY, number)])
        sending = asyncio.create_task(outlet.deliver([(ANY, 2)]))
        await quiet()
        first.close()
        await quiet()
        assert not sending.done()
        assert len(lying(second)) == 1
        await sending
        assert lying(second) == [2]
        second.close()
        with pytest.raises(ChannelClosed):
            await outlet.deliver([(ANY, 3)])

    run_virtual(main())


@pytest.mark.parametrize("seed", range(30))
def test_every_branch_gets_every_item_in_order_whatever_the_pace_of_each(seed):
    """Invariants 1, 7, 8, 10 and 15, with branches of capacity 1 that take at their own pace."""

    async def main():
        outlet, receivers = branches(1, 1, 2)
        taken = [[] for _ in receivers]

        async def take(place):
            while True:
                try:
                    taken[place].append(await receivers[place].receive())
                except EndOfChannel:
                    return
                await asyncio.sleep((seed + place * 7) % 3 * taken[place][-1] % 4)

        async def send():
            for number in range(12):
                await outlet.send(number)
            outlet.close()

        await asyncio.gather(send(), *(take(place) for place in range(3)))
        assert taken == [list(range(12))] * 3

    run_seeded(seed, main())


@pytest.mark.parametrize("whole", [True, False], ids=["broadcast", "one value each"])
def test_every_branch_sees_one_order_however_many_workers_send(whole):
    """Invariants 8 and 15: else a zip behind them would pair what does not belong together."""

    async def main(seed):
        draw = random.Random(seed)
        outlet, receivers = branches(1, 1, 2)
        taken = [[] for _ in receivers]

        async def take(place):
            while True:
                try:
                    taken[place].append(await receivers[place].receive())
                except EndOfChannel:
                    return
                await asyncio.sleep(draw.randrange(3))

        async def send(name):
            for number in range(4):
                item = (name, number)
                await (outlet.send(item) if whole else outlet.deliver([(place, item) for place in range(3)]))
                await asyncio.sleep(draw.randrange(2))

        async def send_all():
            await asyncio.gather(*(send(name) for name in range(3)))
            outlet.close()

        await asyncio.gather(send_all(), *(take(place) for place in range(3)))
        assert sorted(taken[0]) == [(name, number) for name in range(3) for number in range(4)]
        assert taken[0] == taken[1] == taken[2], f"seed {seed}"

    # First in, first out: of two senders woken in one turn, the first puts first.
    for seed in range(40):
        run_virtual(main(seed))


async def test_a_drop_policy_holds_for_its_own_branch_only():
    """Invariant 12."""
    lossy = Channel(Buffer(1), Overflow.DROP_NEWEST, name="lossy")
    whole = Channel(Buffer(5), name="whole")
    outlet = Edges([[lossy.sender()], [whole.sender()]])
    for number in range(4):
        await outlet.send(number)
    assert (lying(lossy.receiver()), lossy.statistics().dropped) == ([0], 3)
    assert (lying(whole.receiver()), whole.statistics().dropped) == ([0, 1, 2, 3], 0)


async def test_room_is_that_of_the_fullest_branch():
    outlet, (first, _) = branches(2, 4)
    assert outlet.room() == 2
    await outlet.send("a")
    assert outlet.room() == 1
    lying(first)
    assert outlet.room() == 2


async def test_closing_ends_every_branch_behind_what_lies_there():
    """Invariant 10."""
    outlet, receivers = branches(1, 1)
    await outlet.send("last")
    outlet.close()
    for receiver in receivers:
        assert await receiver.receive() == "last"
        with pytest.raises(EndOfChannel):
            await receiver.receive()


async def test_results_carry_the_place_of_their_stage():
    channel = Channel(Buffer(3), held=True)
    outlet, receiver = Results(channel.sender(), 4), channel.receiver()
    assert outlet.room() == 3
    await outlet.send("a")
    await outlet.deliver([(ALL, "b"), (ALL, "c")])
    assert outlet.room() == 0
    outlet.close()
    assert lying(receiver) == [(4, "a"), (4, "b"), (4, "c")]
    with pytest.raises(EndOfChannel):
        await receiver.receive()


async def test_what_nobody_takes_is_let_go():
    outlet = Discard()
    await outlet.send("a")
    await outlet.deliver([(ALL, "b")])
    outlet.close()
    assert (outlet.room(), outlet.channels) == (0, ())
