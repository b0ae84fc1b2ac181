"""A channel's ends, bounds, policies and endings, one operation at a time."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.supervise import Counters
from asyncdataflow.errors import BufferFullError, ChannelClosed, EndOfChannel, WouldBlock
from asyncdataflow.policy import Buffer, Overflow
from asyncdataflow.testing.seeded_loop import quiet
from asyncdataflow.testing.virtual_clock import run_virtual


def opened(items=2, *, overflow=Overflow.BLOCK, held=False, **bounds):
    channel = Channel(Buffer(items, **bounds), overflow, name="the edge", held=held)
    return channel, channel.sender(), channel.receiver()


def drained(receiver):
    taken = []
    while True:
        try:
            taken.append(receiver.receive_nowait())
        except (WouldBlock, EndOfChannel):
            return taken


async def all_of(receiver):
    taken = []
    while True:
        try:
            taken.append(await receiver.receive())
        except EndOfChannel:
            return taken


@pytest.mark.parametrize("items", [0, -1, None, 1.5, True, float("inf")])
def test_no_edge_is_without_a_bound(items):
    """Invariant 5."""
    with pytest.raises(ValueError, match="at least 1"):
        Buffer(items)


@pytest.mark.parametrize("size", [0, -5, 2.5])
def test_a_byte_bound_is_a_positive_number(size):
    """Invariant 5."""
    with pytest.raises(ValueError, match="at least 1"):
        Buffer(4, bytes=size)


async def test_items_leave_in_the_order_they_came():
    """Invariant 8."""
    _, sender, receiver = opened(5)
    for item in range(5):
        sender.send_nowait(item)
    assert drained(receiver) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "item",
    [None, 0, "", False, ValueError("an item"), StopIteration(), 10**5000, object],
    ids=lambda item: type(item).__name__,
)
async def test_any_object_is_an_item(item):
    """Invariant 21: there are no sentinels in the stream."""
    _, sender, receiver = opened()
    await sender.send(item)
    assert await receiver.receive() is item


async def test_what_would_have_to_wait_says_so():
    _, sender, receiver = opened(1)
    with pytest.raises(WouldBlock):
        receiver.receive_nowait()
    sender.send_nowait("a")
    with pytest.raises(WouldBlock):
        sender.send_nowait("b")
    assert drained(receiver) == ["a"]


def test_a_sender_waits_only_while_it_is_full():
    async def main():
        channel, sender, receiver = opened(1)
        await sender.send("a")
        waiting = asyncio.create_task(sender.send("b"))
        await quiet()
        assert (waiting.done(), channel.statistics().waiting_senders) == (False, 1)
        assert receiver.receive_nowait() == "a"
        await waiting
        assert drained(receiver) == ["b"]

    run_virtual(main())


def test_a_newcomer_does_not_overtake_a_woken_sender():
    """Invariant 8: the slot belongs to who has waited, although it has not run yet."""

    async def main():
        _, sender, receiver = opened(1)
        sender.send_nowait(0)
        waiting = asyncio.create_task(sender.send(1))
        await quiet()
        assert receiver.receive_nowait() == 0
        with pytest.raises(WouldBlock):
            sender.send_nowait(2)
        await waiting
        assert drained(receiver) == [1]

    run_virtual(main())


def test_a_newcomer_does_not_overtake_a_woken_receiver():
    async def main():
        _, sender, receiver = opened(1)
        waiting = asyncio.create_task(receiver.receive())
        await quiet()
        sender.send_nowait("promised")
        with pytest.raises(WouldBlock):
            receiver.receive_nowait()
        assert await waiting == "promised"

    run_virtual(main())


def test_waiting_senders_and_receivers_are_served_in_turn():
    """Invariants 8 and 9."""

    async def main():
        _, sender, receiver = opened(1)
        receivers = [asyncio.create_task(receiver.receive()) for _ in range(4)]
        senders = [asyncio.create_task(sender.send(item)) for item in range(4)]
        assert await asyncio.gather(*receivers) == [0, 1, 2, 3]
        await asyncio.gather(*senders)

    run_virtual(main())


@pytest.mark.parametrize("capacity", [1, 2, 7])
@pytest.mark.parametrize("inputs", [2, 5])
def test_every_ready_input_of_a_merge_is_served_in_every_round(inputs, capacity):
    """Invariant 9: among any ``inputs + capacity`` items in a row there is one of each input."""

    async def main():
        channel, first, receiver = opened(capacity)
        senders = [first, *(channel.sender() for _ in range(inputs - 1))]

        async def produce(port):
            while True:
                await senders[port].send(port)

        producers = [asyncio.create_task(produce(port)) for port in range(inputs)]
        # Warmed up: whoever runs first fills the edge alone.
        for _ in range(2 * capacity):
            await receiver.receive()
        served = [await receiver.receive() for _ in range(20 * inputs)]
        for producer in producers:
            producer.cancel()
        await asyncio.gather(*producers, return_exceptions=True)
        window = inputs + capacity
        for at in range(len(served) - window):
            assert set(served[at : at + window]) == set(range(inputs)), served

    run_virtual(main())


@pytest.mark.parametrize("receivers", [1, 2, 5])
@pytest.mark.parametrize("waiting", [True, False], ids=["waiting", "coming later"])
@pytest.mark.parametrize("lying", [0, 1, 3])
def test_the_end_reaches_every_receiver_once_and_behind_what_was_sent(receivers, waiting, lying):
    """Invariant 10: no sentinel that one of them could steal."""

    async def main():
        channel, sender, receiver = opened(3)
        ends = [receiver, *(channel.receiver() for _ in range(receivers - 1))]
        tasks = [asyncio.create_task(all_of(each)) for each in ends] if waiting else []
        await quiet()
        for item in range(lying):
            sender.send_nowait(item)
        sender.close()
        tasks = tasks or [asyncio.create_task(all_of(each)) for each in ends]
        taken = await asyncio.gather(*tasks)
        assert sorted(itertools.chain.from_iterable(taken)) == list(range(lying))
        for each in ends:
            with pytest.raises(EndOfChannel):
                await each.receive()
            with pytest.raises(EndOfChannel):
                each.receive_nowait()

    run_virtual(main())


def test_it_ends_with_the_last_sender_only():
    """Invariant 10."""

    async def main():
        channel, first, receiver = opened()
        second = channel.sender()
        first.close()
        first.close()
        waiting = asyncio.create_task(receiver.receive())
        await quiet()
        assert not waiting.done()
        second.send_nowait("late")
        assert await waiting == "late"
        second.close()
        with pytest.raises(EndOfChannel):
            await receiver.receive()

    run_virtual(main())


def test_a_sender_that_waits_still_gets_its_item_through_before_the_end():
    """Invariant 10: a close beside it does not cut off who is already waiting."""

    async def main():
        channel, first, receiver = opened(1)
        second = channel.sender()
        first.send_nowait(0)
        waiting = asyncio.create_task(second.send(1))
        await quiet()
        first.close()
        taken = [await receiver.receive(), await receiver.receive()]
        await waiting
        second.close()
        assert taken == [0, 1]
        with pytest.raises(EndOfChannel):
            await receiver.receive()

    run_virtual(main())


@pytest.mark.parametrize("senders", [1, 3])
def test_once_every_receiver_has_closed_sending_fails_at_once(senders):
    """Invariant 11: for who waits and for who comes later."""

    async def main():
        channel, first, receiver = opened(1)
        second_receiver = channel.receiver()
        gone = []
        channel.on_abandoned = lambda: gone.append(True)
        first.send_nowait("lies there")
        waiting = [asyncio.create_task(first.send(number)) for number in range(senders)]
        await quiet()
        receiver.close()
        receiver.close()
        await quiet()
        assert (channel.abandoned, gone) == (False, [])
        assert not any(each.done() for each in waiting)
        second_receiver.close()
        assert (channel.abandoned, gone) == (True, [True])
        failures = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in failures] == [ChannelClosed] * senders
        assert "the edge" in str(failures[0])
        with pytest.raises(ChannelClosed, match="the edge"):
            first.send_nowait("late")
        with pytest.raises(ChannelClosed):
            await first.send("late")
        assert channel.statistics().items == 0

    run_virtual(main())


@pytest.mark.parametrize(
    ("overflow", "left"), [(Overflow.DROP_OLDEST, [3, 4]), (Overflow.DROP_NEWEST, [0, 1])]
)
async def test_a_full_edge_drops_by_its_policy_and_counts_it(overflow, left):
    """Invariant 12."""
    channel, sender, receiver = opened(2, overflow=overflow)
    for item in range(5):
        await sender.send(item)
    assert channel.statistics().dropped == 3
    assert drained(receiver) == left
    assert channel.statistics().taken == 2


async def test_a_full_edge_that_is_to_fail_fails_and_keeps_what_it_has():
    channel, sender, receiver = opened(2, overflow=Overflow.FAIL)
    await sender.send(0)
    await sender.send(1)
    with pytest.raises(BufferFullError, match="the edge"):
        await sender.send(2)
    assert channel.statistics().dropped == 0
    assert drained(receiver) == [0, 1]
    await sender.send(3)
    assert drained(receiver) == [3]


def test_a_dropped_item_wakes_no_receiver_twice():
    """Invariant 3: a woken receiver whose item was dropped for a newer one gets the newer one."""

    async def main():
        _, sender, receiver = opened(1, overflow=Overflow.DROP_OLDEST)
        waiting = [asyncio.create_task(receiver.receive()) for _ in range(2)]
        await quiet()
        sender.send_nowait("old")
        sender.send_nowait("new")
        await quiet()
        assert [each.done() for each in waiting] == [True, False]
        assert waiting[0].result() == "new"
        sender.close()
        with pytest.raises(EndOfChannel):
            await waiting[1]

    run_virtual(main())


def test_a_byte_bound_holds_senders_back_and_one_oversize_item_passes_alone():
    async def main():
        channel, sender, receiver = opened(10, bytes=4)
        sender.send_nowait(b"aa")
        sender.send_nowait(b"bb")
        with pytest.raises(WouldBlock):
            sender.send_nowait(b"c")
        oversize = asyncio.create_task(sender.send(b"oversize"))
        await quiet()
        assert receiver.receive_nowait() == b"aa"
        await quiet()
        assert not oversize.done()
        assert receiver.receive_nowait() == b"bb"
        await oversize
        with pytest.raises(WouldBlock):
            sender.send_nowait(b"")
        assert receiver.receive_nowait() == b"oversize"
        sender.send_nowait(b"dddd")
        assert channel.statistics().items == 1

    run_virtual(main())


async def test_bytes_are_measured_as_the_buffer_says():
    _, sender, receiver = opened(10, bytes=3, size=len)
    sender.send_nowait([1, 2])
    with pytest.raises(WouldBlock):
        sender.send_nowait([3, 4])
    sender.send_nowait([3])
    assert drained(receiver) == [[1, 2], [3]]


async def test_dropping_the_oldest_makes_room_in_bytes_too():
    """Invariant 12: as many as have to go, each counted."""
    channel, sender, receiver = opened(10, overflow=Overflow.DROP_OLDEST, bytes=4)
    for item in (b"a", b"b", b"c", b"ddd"):
        sender.send_nowait(item)
    assert channel.statistics().dropped == 2
    assert drained(receiver) == [b"c", b"ddd"]


def test_a_kept_slot_is_free_only_when_it_is_released():
    """An item in its taker's hands still counts, as the results of a run do."""

    async def main():
        channel, sender, receiver = opened(1, held=True)
        sender.send_nowait("a")
        assert receiver.receive_nowait() == "a"
        assert channel.statistics().held == 1
        waiting = asyncio.create_task(sender.send("b"))
        await quiet()
        assert not waiting.done()
        channel.release()
        await waiting
        assert drained(receiver) == ["b"]

    run_virtual(main())


async def test_a_tagged_sender_says_where_an_item_is_from():
    channel = Channel(Buffer(2))
    first, second = channel.sender(0), channel.sender(1)
    await first.send("a")
    assert second.put("b")
    waiting = asyncio.create_task(first.wait_to_put("c"))
    receiver = channel.receiver()
    taken = [await receiver.receive() for _ in range(3)]
    await waiting
    assert taken == [(0, "a"), (1, "b"), (0, "c")]


def test_an_ended_channel_wakes_who_waits_although_a_sender_is_open():
    """How a run ends whose workers were left behind."""

    async def main():
        channel, _, receiver = opened()
        waiting = asyncio.create_task(receiver.receive())
        await quiet()
        channel.end()
        with pytest.raises(EndOfChannel):
            await waiting

    run_virtual(main())


async def test_room_is_what_nobody_else_can_take_first():
    channel, sender, receiver = opened(3)
    assert channel.room == 3
    sender.send_nowait("a")
    assert channel.room == 2
    receiver.receive_nowait()
    assert channel.room == 3
    second = channel.sender()
    assert channel.room == 0
    second.close()
    assert channel.room == 3


async def test_the_only_sender_may_take_all_there_is():
    channel, _, _ = opened(90)
    assert channel.share("first") == 90


async def test_of_several_who_look_each_is_told_of_its_share():
    channel, sender, receiver = opened(90)
    channel.sender()
    assert [channel.share(each) for each in ("first", "second", "third")] == [90, 45, 30]
    sender.send_nowait("a")
    receiver.receive_nowait()
    assert channel.share("first") == 30
    for each in range(70):
        sender.send_nowait(each)
    assert channel.share("first") == 20


async def test_a_sender_that_looks_no_more_has_no_share():
    channel, sender, receiver = opened(90)
    channel.sender()
    channel.share("first")
    shares = [channel.share("second")]
    for _ in range(2):
        sender.send_nowait("a")
        receiver.receive_nowait()
        shares.append(channel.share("second"))
    assert shares == [45, 45, 90]


async def test_no_share_is_less_than_is_worth_it_while_there_is_as_much():
    channel, sender, _ = opened(16)
    channel.sender()
    assert [channel.share(each) for each in range(4)] == [16, 8, 8, 8]
    for each in range(11):
        sender.send_nowait(each)
    assert channel.share(4) == 5


async def test_who_takes_items_and_sends_nothing_has_no_share_until_it_sends():
    channel, sender, _ = opened(90)
    for _ in range(9):
        channel.sender()
    filtering, tally = "one that filters", Counters()
    for each in range(9):
        channel.share(each)
    told = [channel.share(filtering, tally)]
    tally.received += 9
    told.append(channel.share(filtering, tally))  # It has them in hand.
    tally.settled += 9
    told.append(channel.share(filtering, tally))
    sender.send_nowait("a")
    tally.settled += 9
    tally.sent += 1
    told.append(channel.share(filtering, tally))
    tally.settled += 8
    told.append(channel.share(filtering, tally))
    assert told == [9, 9, 90, 9, 89]


@pytest.mark.parametrize("options", [{"bytes": 100}, {"overflow": Overflow.DROP_OLDEST}], ids=repr)
async def test_no_room_is_promised_where_it_cannot_be_known(options):
    channel, _, _ = opened(3, **options)
    assert channel.room == 0


def test_a_receiver_that_always_finds_items_still_gives_the_loop_back():
    """Invariant 33."""

    async def main():
        _, sender, receiver = opened(1)
        turns = []

        async def other():
            while True:
                turns.append(True)
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        for item in range(5000):
            sender.send_nowait(item)
            await receiver.receive()
        beside.cancel()
        assert len(turns) >= 3

    run_virtual(main())
