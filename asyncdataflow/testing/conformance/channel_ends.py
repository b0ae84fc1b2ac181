"""What the two kinds of ends of a channel do and are told, each on its own.

Each of these returns what it saw of a broken rule, under one seed.
"""

from __future__ import annotations

import asyncio
import functools
import reprlib
from contextlib import suppress
from typing import Any, Final

from ...errors import ChannelClosed, EndOfChannel, WouldBlock
from ..seeded_loop import quiet
from .play import AnySender
from .schedules import Channels

__all__ = ("closes_once", "ends_behind_its_items", "holds_its_capacity", "takes_any_item", "tells_senders")

_ITEMS: Final = (
    None,
    0,
    "",
    False,
    (),
    Ellipsis,
    NotImplemented,
    StopAsyncIteration(),
    EndOfChannel(),
    asyncio.CancelledError(),
    10**4000,
    StopIteration,
)


async def holds_its_capacity(channels: Channels, seed: int) -> str | None:
    """Send until it is full, and once more."""
    capacity = 1 + seed % 3
    async with channels.open(capacity) as channel:
        sender, receiver = channel.sender(), channel.receiver()
        for number in range(capacity):
            sender.send_nowait(number)
        try:
            sender.send_nowait(capacity)
        except WouldBlock:
            pass
        else:
            return f"item {capacity + 1} was taken without waiting, with a capacity of {capacity}"
        sending = asyncio.create_task(_sent(sender, capacity))
        await quiet()
        if sending.done():
            return f"sending item {capacity + 1} did not wait, with a capacity of {capacity}"
        taken = [receiver.receive_nowait()]
        await quiet()
        if not sending.done():
            return "a slot was free, and its sender still waited"
        taken += [receiver.receive_nowait() for _ in range(capacity)]
        return None if taken == list(range(capacity + 1)) else f"sent in order, {taken} came"


async def ends_behind_its_items(channels: Channels, seed: int) -> str | None:
    """Close two senders, one after the other, before receivers that wait or that come later."""
    received: list[Any] = []
    ends: list[int] = []

    async def consume(receiver: Any, number: int) -> None:
        for _ in range(2):  # The end, and the end again.
            try:
                while True:
                    received.append(await receiver.receive())
            except EndOfChannel:
                ends.append(number)

    early = seed % 2 == 0
    async with channels.open(3) as channel:
        senders, receivers = [channel.sender() for _ in range(2)], [channel.receiver() for _ in range(3)]
        consumers = [functools.partial(consume, each, number) for number, each in enumerate(receivers)]
        tasks = [asyncio.create_task(each()) for each in consumers if early]
        for number in range(3):
            senders[0].send_nowait(number)
        senders[0].close()
        await quiet()
        if ends:
            return "one of two senders closed, and it ended"
        senders[1].close()
        tasks += [asyncio.create_task(each()) for each in consumers if not early]
        await quiet()
        if sorted(received) != [0, 1, 2]:
            return f"closed with the items 0, 1 and 2 in it, {received} came"
        if any(not each.done() for each in tasks):
            return f"every sender closed, and of 3 receivers that waited {len(set(ends))} heard the end"
        for each in tasks:
            each.result()
    return None


async def tells_senders(channels: Channels, seed: int) -> str | None:
    """Close two receivers, one after the other, before senders that wait or that come later."""
    async with channels.open(1) as channel:
        sender, receivers = channel.sender(), [channel.receiver() for _ in range(2)]
        _fill(sender)
        waiting = [asyncio.create_task(_sent(channel.sender(), number)) for number in (1, 2)]
        await quiet()
        receivers[0].close()
        await quiet()
        if any(each.done() for each in waiting):
            return "one of two receivers closed, and senders were told so"
        receivers[1].close()
        await quiet()
        waiting.append(asyncio.create_task(_sent(sender, 3)))
        await quiet()
        for each, when in zip(waiting, ("that waited", "that waited", "that came later"), strict=True):
            if not each.done():
                return f"every receiver closed, and a sender {when} went on waiting"
            if not isinstance(each.result(), ChannelClosed):
                return f"every receiver closed, and a sender {when} saw {each.result()!r}"
        try:
            sender.send_nowait(4)
        except ChannelClosed:
            return None
        return "every receiver closed, and send_nowait took an item"


def _fill(sender: AnySender) -> None:
    with suppress(WouldBlock):
        for number in range(100):
            sender.send_nowait(number)


async def _sent(sender: AnySender, item: Any) -> Exception | None:
    """How sending ended."""
    try:
        await sender.send(item)
    except Exception as error:  # noqa: BLE001 - looked at by whoever asked
        return error
    return None


async def takes_any_item(channels: Channels, seed: int) -> str | None:
    """Send what a channel may take for its own: nothing, the end, an error."""
    async with channels.open(1) as channel:
        sender, receiver = channel.sender(), channel.receiver()
        for item in _ITEMS:
            receiving = asyncio.create_task(receiver.receive())
            if seed % 2:
                await quiet()
            await sender.send(item)
            await quiet()
            if not receiving.done() or receiving.result() is not item:
                return f"{reprlib.repr(item)} did not come as itself"
    return None


async def closes_once(channels: Channels, seed: int) -> str | None:
    """Close each kind of end twice, beside another one that stays open."""
    async with channels.open(1) as channel:
        senders = [channel.sender() for _ in range(2)]
        receivers = [channel.receiver() for _ in range(2)]
        for _ in range(2):
            senders[0].close()
            receivers[0].close()
        try:
            senders[1].send_nowait(0)
        except ChannelClosed:
            return "a receiver that closed twice closed another"
        if receivers[1].receive_nowait() != 0:
            return "another item came than was sent"
        try:
            receivers[1].receive_nowait()
        except EndOfChannel:
            return "a sender that closed twice closed another"
        except WouldBlock:
            return None
        return "an item came that nobody sent"
