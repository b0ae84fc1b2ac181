"""Where what a stage makes goes: one outlet for each stage, over the senders of its edges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ..errors import ChannelClosed
from ..operators.protocol import ALL, ANY, Delivery
from .baton import Tally, Way
from .channel import Channel, Sender
from .fan import Fan
from .forks import Forks
from .meter import UNCOUNTED, Meter

__all__ = ("Discard", "Edges", "LineUp", "Outlet", "Results", "send_to_all", "send_to_any")

LineUp = Callable[[Any], "asyncio.Future[bool]"]
"""Sends as soon as there is a slot: the future tells that it was sent, or, with false, nobody wanted it."""


class Outlet(Protocol):
    """What a worker needs of the way out.

    Attributes:
        keeps_none: A returned ``None`` is an item here, not the absence of a result.
        channels: The channels behind it.
        ways: What a stretch puts into.
    """

    keeps_none: bool
    channels: Sequence[Channel[Any]]
    ways: Sequence[Way]

    async def send(self, value: Any) -> None:
        """Send to every branch; raises ``ChannelClosed`` where no branch wants more."""

    async def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Send each value to its branch."""

    def room(self) -> int:
        """Items that are sure to find room at once."""

    def free(self) -> int:
        """Items that find room in this very step, in a stretch."""

    def is_full(self) -> bool:
        """To send means to wait."""

    def laying(self) -> Callable[[Any], None] | None:
        """What sends in a stretch; ``None`` where it takes more than to put an item into each edge."""

    def forks(self) -> Forks | None:
        """What chooses a branch for each item, in a stretch; ``None`` as for :meth:`laying`."""

    def lining_up(self) -> LineUp | None:
        """What sends in a stretch that has filled what is behind; ``None`` where that is not one edge."""

    def claimable(self, held: int) -> int:
        """For how many items that are not made yet slots may be promised, beside those that are."""

    def claim(self, most: int, held: int) -> int:
        """Promise slots for up to so many items; how many, which may be none."""

    def unclaim(self, count: int) -> None:
        """So many of them are needed no more."""

    def put(self, values: Sequence[Any]) -> int:
        """Send into slots claimed, as many as there are values; how many were no results.

        Raises ``ChannelClosed`` where no branch wants more.
        """

    def counts(self, meter: Meter, tally: Tally) -> None:
        """Count there how long workers wait to send; it is told here what they have done with and sent."""

    def close(self) -> None:
        """Send no more."""


class Discard:
    """The way out of a dead-letter sink: nobody takes what it returns."""

    keeps_none = False
    channels: Sequence[Channel[Any]] = ()
    ways: Sequence[Way] = ()

    async def send(self, value: Any) -> None:
        """Let it go."""

    async def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Let them go."""

    def room(self) -> int:
        """Nothing is ever in the way, but nothing says how much is wanted either."""
        return 0

    def free(self) -> int:
        """As above."""
        return 0

    def is_full(self) -> bool:
        """Never."""
        return False

    def laying(self) -> None:
        """Nothing takes what it returns."""

    def forks(self) -> None:
        """There are no branches."""

    def lining_up(self) -> None:
        """Nothing ever has to."""

    def claimable(self, held: int) -> int:
        """There are no slots."""
        return 0

    def claim(self, most: int, held: int) -> int:
        """None."""
        return 0

    def unclaim(self, count: int) -> None:
        """There are none."""

    def put(self, values: Sequence[Any]) -> int:
        """Let them go."""
        return 0

    def counts(self, meter: Meter, tally: Tally) -> None:
        """Nobody waits."""

    def close(self) -> None:
        """There is nothing to close."""


class Results:
    """The way out of a last stage.

    Args:
        sender: Into the output edge.
        place: Its place among the outputs, which goes with each value; ``None`` where there is only one.
    """

    keeps_none = False

    def __init__(self, sender: Sender[Any], place: int | None) -> None:
        self.channels: Sequence[Channel[Any]] = (sender.channel,)
        self.ways: Sequence[Way] = self.channels
        self._sender = sender
        self._place = place

    @property
    def free(self) -> Callable[[], int]:
        """What tells how many results find room in this very step, in a stretch; once all edges are made."""
        return self._sender.free

    async def send(self, value: Any) -> None:
        """Send with the place."""
        await self._sender.send(value if self._place is None else (self._place, value))

    async def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Send each; there are no branches to choose from."""
        for _, value in deliveries:
            await self.send(value)

    def room(self) -> int:
        """The output edge's, where this is its only sender."""
        return self._sender.channel.room

    def is_full(self) -> bool:
        """The output edge is."""
        return self._sender.channel.is_full

    def laying(self) -> Callable[[Any], None]:
        """With the place."""
        lay = self._sender.channel.laying()
        place = self._place
        return lay if place is None else lambda value: lay((place, value))

    def forks(self) -> Forks:
        """All goes the same way."""
        return Forks(self.channels, [self.laying()])

    def lining_up(self) -> LineUp | None:
        """With the place."""
        line_up, place = self._sender.line_up, self._place
        return line_up if place is None else lambda value: line_up((place, value))

    def claimable(self, held: int) -> int:
        """In the output edge."""
        return self._sender.channel.claimable(self._sender, held)

    def claim(self, most: int, held: int) -> int:
        """In the output edge."""
        count = min(most, self.claimable(held))
        self._sender.channel.claim(count)
        return count

    def unclaim(self, count: int) -> None:
        """In the output edge."""
        self._sender.channel.unclaim(count)

    def put(self, values: Sequence[Any]) -> int:
        """Send each with the place; ``None`` is no result, and its slot is free again."""
        channel, place = self._sender.channel, self._place
        results = [value for value in values if value is not None]
        absent = len(values) - len(results)
        if absent:
            channel.unclaim(absent)
        channel.put_into_claimed(results if place is None else [(place, value) for value in results])
        if channel.abandoned:
            raise ChannelClosed(channel.name)
        return absent

    def counts(self, meter: Meter, tally: Tally) -> None:
        """For room in the output edge."""
        self._sender.meter, self._sender.tally = meter, tally

    def close(self) -> None:
        """Close the sender."""
        self._sender.close()


class Edges:
    """The way out of any other stage: the edges into each branch of the next group.

    A broadcast gives the value to every edge in one step, in its queue where it is full,
    and then waits: one full branch keeps nothing from another that could go on (a diamond
    would stand still otherwise), and every branch sees one order however many workers send.
    """

    keeps_none = True

    def __init__(self, branches: Sequence[Sequence[Sender[Any]]]) -> None:
        self._branches = [list(each) for each in branches]
        self._all = [sender for branch in self._branches for sender in branch]
        self._only = self._all[0] if len(self._all) == 1 else None
        self.channels: Sequence[Channel[Any]] = [sender.channel for sender in self._all]
        self._are_apart = len(set(self.channels)) == len(self.channels)
        self.ways: Sequence[Way] = self.channels
        if self._only is not None:
            self._lay = self._only.laying()
        else:
            fan = Fan(self._all)
            self.ways, self._lay = (fan,), fan.queue.append

    @property
    def free(self) -> Callable[[], int]:
        """What tells how many items find room in this very step, in a stretch; once all edges are made."""
        if self._only is None:
            return self._least_free
        return self._only.free

    async def send(self, value: Any) -> None:
        """Send to every branch."""
        if self._only is not None:
            await self._only.send(value)
        elif not await send_to_all([(sender, value) for sender in self._all]):
            raise self._nobody_left()

    async def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Send each value to its branch; a branch that wants no more is passed over."""
        if self.channels and all(each.abandoned for each in self.channels):
            raise self._nobody_left()
        together: list[tuple[Sender[Any], Any]] = []
        for branch, value in deliveries:
            if branch == ANY:
                await send_to_any(self._all, value)
            else:
                to = self._all if branch == ALL else self._branches[branch]
                together += [(sender, value) for sender in to]
        if together:
            await send_to_all(together)

    def room(self) -> int:
        """The least room of any edge."""
        return min((each.room for each in self.channels), default=0)

    def is_full(self) -> bool:
        """One that is wanted is."""
        return any(each.is_full for each in self.channels)

    def _least_free(self) -> int:
        """The least of any edge that is wanted."""
        return min((each.free() for each in self.channels if not each.abandoned), default=0)

    def laying(self) -> Callable[[Any], None] | None:
        """Into every edge, unless two of them share a channel, or one is bounded by more than a number."""
        return self._lay if self._are_bare else None

    def forks(self) -> Forks | None:
        """As above; nor if a branch begins with several stages."""
        if not self._are_bare or len(self._all) > len(self._branches):
            return None
        return Forks(self.channels, [sender.laying() for sender in self._all])

    @property
    def _are_bare(self) -> bool:
        return self._are_apart and all(each.is_bare for each in self.channels)

    def lining_up(self) -> LineUp | None:
        """Into the edge, if there is only one."""
        return None if self._only is None else self._only.line_up

    def claimable(self, held: int) -> int:
        """In every edge; none where two of them share a channel, in which each would count the same slots."""
        return min((each.channel.claimable(each, held) for each in self._all if self._are_apart), default=0)

    def claim(self, most: int, held: int) -> int:
        """In every edge."""
        count = min(most, self.claimable(held))
        for channel in self.channels:
            channel.claim(count)
        return count

    def unclaim(self, count: int) -> None:
        """In every edge."""
        for channel in self.channels:
            channel.unclaim(count)

    def put(self, values: Sequence[Any]) -> int:
        """Send each to every branch that wants it."""
        for sender in self._all:
            sender.put_into_claimed(values)
        if all(each.abandoned for each in self.channels):
            raise self._nobody_left()
        return 0

    def _nobody_left(self) -> ChannelClosed:
        return ChannelClosed(", ".join(each.name for each in self.channels))

    def counts(self, meter: Meter, tally: Tally) -> None:
        """For room in any edge."""
        for sender in self._all:
            sender.meter, sender.tally = meter, tally

    def close(self) -> None:
        """Close every sender."""
        for sender in self._all:
            sender.close()


async def send_to_all(sends: Sequence[tuple[Sender[Any], Any]]) -> int:
    """Send each value to its sender, all in one step; how many of them were wanted."""
    waiting: list[tuple[Channel[Any], asyncio.Future[bool]]] = []
    wanted = 0
    for sender, value in sends:
        if sender.channel.abandoned:
            continue
        wanted += 1
        if not sender.put(value):
            waiting.append((sender.channel, sender.deposit(value)))
    meter = sends[0][0].meter if waiting else None
    try:
        with UNCOUNTED if meter is None else meter.blocked:
            for _, waiter in waiting:
                wanted -= not await waiter
    except asyncio.CancelledError:
        for channel, waiter in waiting:
            if not waiter.done() or waiter.cancelled():
                channel.take_back(waiter)
        raise
    return wanted


async def send_to_any(senders: Sequence[Sender[Any]], item: Any) -> None:
    """Send to the freest of several channels, waiting while all are full.

    Raises:
        ChannelClosed: Every one of them is abandoned.
    """
    while True:
        wanted = [each.channel for each in senders if not each.channel.abandoned]
        if not wanted:
            raise ChannelClosed(", ".join(each.channel.name for each in senders))
        free = [each for each in wanted if each.has_room(item)]
        for channel in sorted(free or wanted, key=lambda each: each.load):
            if channel.put(item):
                return
        waiter: asyncio.Future[Channel[Any]] = asyncio.get_running_loop().create_future()
        sizes = {channel: channel.measure(item) for channel in wanted}
        for channel in wanted:
            channel.enlist(waiter, sizes[channel])
        meter = senders[0].meter
        try:
            with UNCOUNTED if meter is None else meter.blocked:
                chosen = await waiter
        except asyncio.CancelledError:
            for channel in wanted:
                channel.withdraw(waiter, sizes[channel])
            raise
        for channel in wanted:
            if channel is not chosen:
                channel.withdraw(waiter, sizes[channel])
        with suppress(ChannelClosed):
            chosen.put_claimed(item, sizes[chosen])
            return
