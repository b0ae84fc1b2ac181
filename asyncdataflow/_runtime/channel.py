"""Channel: a bounded edge on the loop, with counted senders and receivers, and its two kinds of ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from ..errors import EndOfChannel, WouldBlock
from ..policy import Buffer, Overflow
from ..stats import ChannelStatistics
from .baton import Baton, Tally
from .clock import Turn, time_of
from .meter import UNCOUNTED, Meter
from .sending import Sending

__all__ = ("Channel", "Receiver", "Sender", "Tagged")

T = TypeVar("T")


class Channel(Sending[T]):
    """A bounded queue between tasks of one loop; used through its two kinds of ends.

    Args:
        buffer: Its bounds.
        overflow: What happens to an item that finds no room.
        name: Whose edge it is.
        held: The slot of an item that was taken is free only after :meth:`release`.
        tagged: Items are ``(tag, item)``.
        baton: The run's; a channel of its own has one of its own.

    Attributes:
        on_abandoned: Called when its last receiver has closed.
        meter: Where it is counted how long its receivers wait, where that is.
    """

    def __init__(
        self,
        buffer: Buffer,
        overflow: Overflow = Overflow.BLOCK,
        *,
        name: str = "",
        held: bool = False,
        tagged: bool = False,
        baton: Baton | None = None,
    ) -> None:
        if baton is None:
            baton = Baton(time_of(asyncio.get_running_loop()))
        super().__init__(buffer, overflow, name, tagged=tagged, baton=baton)
        self.on_abandoned: Callable[[], None] | None = None
        self.meter: Meter | None = None
        self._keeps_slots = held
        self._receivers = 0

    def sender(self, tag: int | None = None) -> Sender[T]:
        """A new sending end; the channel ends when the last one is closed.

        Args:
            tag: Sent along with each item, as ``(tag, item)``.
        """
        self._senders += 1
        return Sender(self) if tag is None else Tagged(self, tag)

    def receiver(self) -> Receiver[T]:
        """A new receiving end; the channel is abandoned when the last one is closed."""
        self._receivers += 1
        return Receiver(self)

    def statistics(self) -> ChannelStatistics:
        """A snapshot."""
        holder = self.baton.holder
        lifted, coming = (0, 0) if holder is None else holder.moved(self)
        return ChannelStatistics(
            items=len(self._store.items) + coming,
            held=self._store.held,
            promised=self._store.claims,
            capacity=self._capacity,
            waiting_senders=len(self._putters),
            waiting_receivers=len(self._getters),
            open_senders=self._senders,
            open_receivers=self._receivers,
            taken=self._taken + lifted,
            dropped=self._store.dropped,
        )

    def tell_of_drops(self, tell: Callable[[T], None]) -> None:
        """Call with each item that its policy drops."""
        self._store.on_drop = tell

    @property
    def is_private(self) -> bool:
        """One stage sends into it, and one takes out of it."""
        return self._senders == self._receivers == 1

    @property
    def abandoned(self) -> bool:
        """Every receiver has closed."""
        return self._abandoned

    @property
    def ready(self) -> int:
        """Items that lie there and were promised to nobody."""
        if self.baton.holder is not None:
            self.baton.drop()
        ready = len(self._store.items) - self._grants
        return ready if ready > 0 else 0

    def take_more(self, most: int) -> list[T]:
        """Up to so many of the items that lie there and were promised to nobody."""
        items = self._store.pop_more(min(most, self.ready))
        if self._keeps_slots:
            self._store.held += len(items)
        self.lifted(len(items))
        return items

    def take(self) -> T:
        """The first item; only where one is neither missing nor promised."""
        if self.baton.holder is not None:
            self.baton.drop()
        item = self._store.pop()
        if self._keeps_slots:
            self._store.held += 1
        self.lifted(1)
        return item

    def take_out(self, wanted: Callable[[T], bool]) -> T | None:
        """Take out the item that is wanted, wherever it lies; it counts as dropped.

        Nothing of an edge that is more than a number of items: another item's size would be let go.
        """
        self.baton.drop()
        items = self._store.items
        place = next((at for at, each in enumerate(items) if self.is_bare and wanted(each)), None)
        if place is None:
            return None
        item = items[place]
        del items[place]
        self._store.dropped += 1
        self.wake_senders()
        return item

    def ended(self) -> bool:
        """Every sender has closed and every item was taken."""
        self.baton.drop()
        return not self._senders and not self._store.items

    def release(self) -> None:
        """Free the slot of an item taken from a channel that keeps slots."""
        if self.baton.holder is not None:
            self.baton.drop()
        self._store.held -= 1
        if self._putters:
            self.wake_senders()

    async def wait_for_item(self) -> None:
        """Wait until it is worth looking again; cancelled, nothing has happened."""
        self.baton.drop()
        if self._taken >= self.marked and self.on_mark is not None:
            self.on_mark()
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._wait_in_line(waiter)
        try:
            with UNCOUNTED if self.meter is None else self.meter.waiting:
                promised = await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):
                    self._getters.remove(waiter)
            elif waiter.result():
                self.baton.drop()
                self.accept()
                self._wake_getters()
            raise
        if promised:
            # While the item is promised still: what a stretch leaves is promised to who waits for it.
            self.baton.drop()
            self.accept()

    def sender_closed(self) -> None:
        """One sender fewer; with the last, those who wait for items learn of the end."""
        self.baton.drop()
        self._senders = max(self._senders - 1, 0)
        if not self._senders and not self._store.items:
            self._wake_all_getters()

    def end(self) -> None:
        """End it although senders may be left, whose workers were left behind."""
        self.baton.drop()
        self._senders = 0
        if not self._store.items:
            self._wake_all_getters()

    def receiver_closed(self) -> None:
        """One receiver fewer; with the last, what lies there is let go and senders are told."""
        self.baton.drop()
        self._receivers -= 1
        if self._receivers:
            return
        self._abandoned = True
        self._store.items.clear()
        while self._putters:
            self._promise_slot()
        if self.on_abandoned is not None:
            self.on_abandoned()


class Sender(Generic[T]):
    """The sending end of a channel.

    Args:
        channel: The channel.

    Attributes:
        channel: As given.
        meter: Where it is counted how long who sends here waits, where that is.
        tally: What who sends here has done with and sent, where that is counted.
    """

    __slots__ = ("_open", "channel", "meter", "tally")

    def __init__(self, channel: Channel[T]) -> None:
        self.channel = channel
        self.meter: Meter | None = None
        self.tally: Tally | None = None
        self._open = True

    @property
    def free(self) -> Callable[[], int]:
        """What tells how many items find room in this very step, in a stretch; once all ends are made."""
        return self.channel.free if self.channel.is_private else self._share

    def _share(self) -> int:
        """Of a channel that others send into as well."""
        return self.channel.share(self, self.tally)

    def put(self, item: T) -> bool:
        """Send if that needs no waiting; false where it does."""
        return self.channel.put(item)

    async def wait_to_put(self, item: T) -> None:
        """Send after waiting, where :meth:`put` has just said so."""
        await self.channel.wait_to_put(item)

    def deposit(self, item: T) -> asyncio.Future[bool]:
        """Send as soon as there is a slot, where :meth:`put` has just said that there is none."""
        return self.channel.deposit(item)

    def line_up(self, item: T) -> asyncio.Future[bool]:
        """Send as soon as there is a slot, in a stretch that has filled the channel."""
        return self.channel.line_up(item)

    def laying(self) -> Callable[[T], None]:
        """What sends in a stretch."""
        return self.channel.laying()

    def lay_all(self, items: Sequence[T]) -> None:
        """Send what a stretch has made."""
        self.channel.lay_all(items)

    def put_into_claimed(self, items: Sequence[T]) -> None:
        """Send into as many slots claimed."""
        self.channel.put_into_claimed(items)

    def send_nowait(self, item: T) -> None:
        """Send; raises ``WouldBlock`` where that means waiting, ``ChannelClosed`` where nobody wants it."""
        if not self.put(item):
            raise WouldBlock(self.channel.name)

    async def send(self, item: T) -> None:
        """Send, waiting while the channel is full; cancelled, nothing was sent.

        Raises:
            ChannelClosed: Every receiver has closed.
            BufferFullError: The channel is full and its policy is to fail.
        """
        if not self.put(item):
            with UNCOUNTED if self.meter is None else self.meter.blocked:
                await self.wait_to_put(item)

    def close(self) -> None:
        """Send no more; what was sent is still received. Idempotent."""
        if self._open:
            self._open = False
            self.channel.sender_closed()


class Tagged(Sender[Any]):
    """A sender into a channel that several branches share, which says from which each item is."""

    __slots__ = ("_port",)

    def __init__(self, channel: Channel[Any], port: int) -> None:
        super().__init__(channel)
        self._port = port

    def put(self, item: Any) -> bool:
        """Send ``(port, item)``."""
        return self.channel.put((self._port, item))

    async def wait_to_put(self, item: Any) -> None:
        """Send ``(port, item)`` after waiting."""
        await self.channel.wait_to_put((self._port, item))

    def laying(self) -> Callable[[Any], None]:
        """What sends ``(port, item)`` in a stretch."""
        lay, port = self.channel.laying(), self._port
        return lambda item: lay((port, item))

    def lay_all(self, items: Sequence[Any]) -> None:
        """Send ``(port, item)`` for each that a stretch has made."""
        self.channel.lay_all([(self._port, item) for item in items])

    def deposit(self, item: Any) -> asyncio.Future[bool]:
        """Send ``(port, item)`` as soon as there is a slot."""
        return self.channel.deposit((self._port, item))

    def line_up(self, item: Any) -> asyncio.Future[bool]:
        """As above, in a stretch that has filled the channel."""
        return self.channel.line_up((self._port, item))

    def put_into_claimed(self, items: Sequence[Any]) -> None:
        """Send ``(port, item)`` for each into as many slots claimed."""
        self.channel.put_into_claimed([(self._port, item) for item in items])


class Receiver(Generic[T]):
    """The receiving end of a channel; any number of workers may share one."""

    __slots__ = ("_open", "_turn", "channel")

    def __init__(self, channel: Channel[T]) -> None:
        self.channel = channel
        self._open = True
        self._turn: Turn | None = None

    def receive_nowait(self) -> T:
        """The next item; raises ``WouldBlock`` where none lies there, ``EndOfChannel`` at the end."""
        channel = self.channel
        if channel.ready:
            return channel.take()
        if channel.ended() or not self._open:
            raise EndOfChannel(channel.name)
        raise WouldBlock(channel.name)

    @property
    def turn_left(self) -> int:
        """Items that may be taken before it is asked for one more by :meth:`receive`."""
        left = 0 if self._turn is None else self._turn.left
        return left - 1 if left > 1 else 1

    async def receive(self, since: int = 0) -> T:
        """The next item, waiting for one; cancelled, it has taken nothing.

        Gives the loop back now and then even when items always lie there.

        Args:
            since: Items taken since the last time in another way.

        Raises:
            EndOfChannel: Every sender has closed and every item was received.
        """
        channel, turn, items = self.channel, self._turn, 1 + since
        if turn is None:  # Most workers take theirs in stretches.
            turn = self._turn = Turn(asyncio.get_running_loop())
        if not channel.ready and turn.is_idle_after(items, items):
            await turn.give_way()
        elif turn.due(items):
            await turn.rest()
        while not (ready := channel.ready) and turn.patience:
            await turn.give_way()
        if not ready:
            await self.wait()
            turn.begin()
        return channel.take()

    async def wait(self) -> None:
        """Wait until an item lies there.

        Raises:
            EndOfChannel: As in :meth:`receive`.
        """
        channel = self.channel
        while not channel.ready:
            if self.over:
                raise EndOfChannel(channel.name)
            await channel.wait_for_item()

    @property
    def over(self) -> bool:
        """No item comes any more."""
        return not self._open or self.channel.ended()

    def close(self) -> None:
        """Receive no more; once every receiver has closed, senders are told. Idempotent."""
        if self._open:
            self._open = False
            self.channel.receiver_closed()
