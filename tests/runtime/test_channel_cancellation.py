"""Cancelling a sender or a receiver at every step: it has happened wholly, or not at all.

Each scenario runs once unharmed to count its steps, and then once for every step and
every task that could be cancelled there, under several schedules.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.routing import Edges
from asyncdataflow.errors import ChannelClosed, EndOfChannel, WouldBlock
from asyncdataflow.operators.protocol import ANY
from asyncdataflow.policy import Buffer
from asyncdataflow.testing.seeded_loop import quiet, run_seeded
from asyncdataflow.testing.virtual_clock import run_virtual

SEEDS = range(8)
ITEMS = 3


@dataclass
class Ledger:
    """What operations have said of themselves."""

    sent: list = field(default_factory=list)
    received: list = field(default_factory=list)


async def produce(send, name, ledger):
    for number in range(ITEMS):
        await send((name, number))
        ledger.sent.append((name, number))


async def consume(receiver, release, ledger):
    while True:
        try:
            item = await receiver.receive()
        except EndOfChannel:
            return
        ledger.received.append(item)
        if release is not None:
            try:
                await asyncio.sleep(0)
            finally:
                release()


def one_edge(buffer, *, held=False):
    """Two producers and two consumers on one channel."""

    def tasks(ledger):
        channel = Channel(buffer, held=held)
        release = channel.release if held else None
        receivers = [channel.receiver() for _ in range(2)]
        senders = [channel.sender() for _ in range(2)]
        work = [produce(sender.send, name, ledger) for name, sender in enumerate(senders)]
        work += [consume(receiver, release, ledger) for receiver in receivers]
        return work, [sender.close for sender in senders], [channel]

    return tasks


def any_of_two(ledger):
    """Two producers that send to whichever of two channels is free, and a consumer at each."""
    channels = [Channel(Buffer(1)) for _ in range(2)]
    outlets = [Edges([[channel.sender()] for channel in channels]) for _ in range(2)]

    def sending(outlet):
        return lambda item: outlet.deliver([(ANY, item)])

    work = [produce(sending(outlet), name, ledger) for name, outlet in enumerate(outlets)]
    work += [consume(channel.receiver(), None, ledger) for channel in channels]
    return work, [outlet.close for outlet in outlets], channels


WORLDS = {
    "capacity 1": one_edge(Buffer(1)),
    "capacity 2": one_edge(Buffer(2)),
    "bytes": one_edge(Buffer(9, bytes=3, size=lambda item: 1 + item[1])),
    "held": one_edge(Buffer(1), held=True),
    "any": any_of_two,
}


async def scenario(world, at, victim):
    """Steps, ledger, what lies there and who is done when task ``victim`` is cancelled after step ``at``."""
    loop = asyncio.get_running_loop()
    ledger = Ledger()
    work, closings, channels = world(ledger)
    tasks = [asyncio.create_task(each) for each in work]
    for task, close in zip(tasks, closings, strict=False):
        # Not in the task: one that is cancelled before its first step never runs.
        task.add_done_callback(lambda _, close=close: close())
    if at is not None:
        loop.hooks[at] = tasks[victim].cancel
    await quiet()
    steps = loop.steps
    done = [each.done() for each in tasks]
    lying = []
    for channel in channels:
        statistics = channel.statistics()
        assert not (statistics.items and statistics.waiting_receivers), "an item beside who waits for one"
        assert not (statistics.items + statistics.held < statistics.capacity and statistics.waiting_senders)
        while channel.ready:
            lying.append(channel.take())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return steps, ledger, lying, done


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_an_operation_cancelled_at_any_step_did_not_happen(world):
    """Invariants 1, 2 and 3: nothing lost, nothing twice, nobody waits beside what it waits for."""
    checked = 0
    for seed in SEEDS:
        steps, ledger, _, done = run_seeded(seed, scenario(world, None, 0))
        assert all(done)
        assert Counter(ledger.sent) == Counter(ledger.received)
        for at in range(1, steps + 1):
            for victim in range(4):
                _, ledger, lying, done = run_seeded(seed, scenario(world, at, victim))
                case = f"seed {seed}, task {victim} cancelled after step {at}"
                assert Counter(ledger.sent) == Counter(ledger.received) + Counter(lying), case
                if world is not any_of_two:
                    # There is one more of its kind: whoever is left goes on to the end.
                    assert all(done), case
                checked += 1
    assert checked > 100


@pytest.mark.parametrize("seconds", [0.0, 1.0])
@pytest.mark.parametrize("late", [False, True], ids=["sent in time", "sent at the deadline"])
def test_a_receive_that_runs_out_of_time_has_taken_nothing(seconds, late):
    """Invariant 2, for ``asyncio.timeout``."""

    async def main():
        channel = Channel(Buffer(1))
        sender, receiver = channel.sender(), channel.receiver()
        taken = []

        async def take():
            try:
                async with asyncio.timeout(seconds):
                    taken.append(await receiver.receive())
            except TimeoutError:
                pass

        taking = asyncio.create_task(take())
        await asyncio.sleep(seconds if late else seconds / 2)
        sender.send_nowait("a")
        await taking
        with suppress(WouldBlock):
            taken.append(receiver.receive_nowait())
        assert taken == ["a"]

    run_virtual(main())


def test_a_woken_receiver_that_is_cancelled_passes_the_item_on():
    """Invariant 2, in its smallest form: the one that janus gets wrong before CPython 3.13."""

    async def main():
        channel = Channel(Buffer(1))
        sender, receiver = channel.sender(), channel.receiver()
        first, second = (asyncio.create_task(receiver.receive()) for _ in range(2))
        await quiet()
        sender.send_nowait("a")
        first.cancel()
        assert await second == "a"
        with pytest.raises(asyncio.CancelledError):
            await first

    run_virtual(main())


def test_a_woken_sender_that_is_cancelled_passes_the_slot_on():
    """Invariant 2, the other side."""

    async def main():
        channel = Channel(Buffer(1))
        sender, receiver = channel.sender(), channel.receiver()
        sender.send_nowait(0)
        first, second = (asyncio.create_task(sender.send(number)) for number in (1, 2))
        await quiet()
        assert receiver.receive_nowait() == 0
        first.cancel()
        await second
        assert receiver.receive_nowait() == 2
        with pytest.raises(asyncio.CancelledError):
            await first

    run_virtual(main())


def test_a_heavy_sender_that_is_cancelled_lets_lighter_ones_behind_it_pass():
    """Invariant 3: under a byte bound the first in the queue may be the only one that does not fit."""

    async def main():
        channel = Channel(Buffer(9, bytes=4))
        sender, receiver = channel.sender(), channel.receiver()
        sender.send_nowait(b"aaa")
        heavy, light = (asyncio.create_task(sender.send(item)) for item in (b"bbb", b"c"))
        await quiet()
        assert not light.done()
        heavy.cancel()
        await light
        assert [receiver.receive_nowait(), receiver.receive_nowait()] == [b"aaa", b"c"]
        with pytest.raises(asyncio.CancelledError):
            await heavy

    run_virtual(main())


def test_a_sender_cancelled_when_everybody_has_left_is_cancelled():
    """A cancellation is never turned into ``ChannelClosed``."""

    async def main():
        channel = Channel(Buffer(1))
        sender, receiver = channel.sender(), channel.receiver()
        sender.send_nowait(0)
        waiting = asyncio.create_task(sender.send(1))
        await quiet()
        receiver.close()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(ChannelClosed):
            await sender.send(2)

    run_virtual(main())
