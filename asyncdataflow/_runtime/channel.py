"""Channel: a bounded edge on the loop, with counted senders and receivers.

The state is a deque and two queues of futures. An item is visible the moment it is
appended. Waking is separate from taking: a woken receiver takes its item itself when it
runs, so that one that is cancelled in between has taken nothing and passes the wake-up
on. (``janus`` 2.0.0 on CPython before 3.13 loses it, through ``asyncio.Condition``,
gh-112202; trio avoids the question by delivering before it wakes, which asyncio cannot,
because a task may be cancelled after its future is done.)

Two counts keep newcomers from overtaking who was woken but has not run: ``_grants``
(items promised to receivers) and the store's ``claims`` (slots promised to senders). At rest no
receiver waits beside an item, and no sender beside a free slot.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from ..errors import ChannelClosed, EndOfChannel, WouldBlock
from ..policy import Buffer, Overflow
from ..stats import ChannelStatistics
from .clock import Turn
from .store import Store

__all__ = ("Channel", "Receiver", "Sender", "Tagged")

T = TypeVar("T")

_LATER: Final = object()
"""In the queue of senders: the sender itself appends its item, once it is woken."""


class Channel(Generic[T]):
    """A bounded queue between tasks of one loop; used through its two kinds of ends."""

    def __init__(
        self,
        buffer: Buffer,
        overflow: Overflow = Overflow.BLOCK,
        *,
        name: str = "",
        held: bool = False,
        tagged: bool = False,
    ) -> None:
        self.name = name
        self.on_abandoned: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._capacity = buffer.items
        self._keeps_slots = held
        self._store: Store[T] = Store(name, buffer, overflow, tagged=tagged)
        self._getters: deque[asyncio.Future[None]] = deque()
        self._grants = 0
        self._putters: deque[tuple[asyncio.Future[Any], int, Any]] = deque()
        self._senders = 0
        self._receivers = 0
        self._taken = 0
        self._abandoned = False

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
        return ChannelStatistics(
            items=len(self._store.items),
            held=self._store.held,
            capacity=self._capacity,
            waiting_senders=len(self._putters),
            waiting_receivers=len(self._getters),
            open_senders=self._senders,
            open_receivers=self._receivers,
            taken=self._taken,
            dropped=self._store.dropped,
        )

    @property
    def abandoned(self) -> bool:
        """Every receiver has closed."""
        return self._abandoned

    @property
    def room(self) -> int:
        """Slots that nobody else can take before the only sender does; 0 where there are more."""
        return self._store.room if self._senders == 1 else 0

    @property
    def load(self) -> int:
        """How busy it is, for choosing the freest: a waiting receiver counts below nothing."""
        return len(self._store.items) + self._store.held - len(self._getters)

    def measure(self, item: T) -> int:
        """An item's bytes, where the channel counts them."""
        return self._store.measure(item)

    def has_room(self, item: T) -> bool:
        """It can be put without waiting and without dropping anything."""
        return not self._abandoned and not self._putters and self._store.fits(self._store.measure(item))

    def put(self, item: T) -> bool:
        """Append if there is a slot or the policy makes one; false where the sender has to wait."""
        if self._abandoned:
            raise ChannelClosed(self.name)
        size = self._store.measure(item)
        if self._putters or not self._store.fits(size):
            verdict = self._store.overflows(size)
            if verdict is None:
                return False
            if not verdict:
                return True
        self._append(item, size)
        return True

    async def wait_to_put(self, item: T) -> None:
        """Wait for a slot, then append.

        A slot may be free by now, or nobody may want the item any more, where ``put`` said
        no some steps ago.
        """
        if self._abandoned:
            raise ChannelClosed(self.name)
        size = self._store.measure(item)
        waiter: asyncio.Future[Any] = self._loop.create_future()
        self.enlist(waiter, size)
        self._wake_putters()
        try:
            await waiter
        except asyncio.CancelledError:
            self.withdraw(waiter, size)
            raise
        self.put_claimed(item, size)

    def enlist(self, waiter: asyncio.Future[Any], size: int) -> None:
        """Queue a sender; its future gets this channel as its result when a slot is its own."""
        self._putters.append((waiter, size, _LATER))

    def withdraw(self, waiter: asyncio.Future[Any], size: int) -> None:
        """Take a cancelled sender out, and give a slot that was already its own to the next."""
        if waiter.done() and not waiter.cancelled() and waiter.result() is self:
            self._store.unclaim(size)
        else:
            with suppress(ValueError):
                self._putters.remove((waiter, size, _LATER))
        self._wake_putters()

    def deposit(self, item: T) -> asyncio.Future[bool]:
        """Queue an item itself, which is appended the moment that a slot is free.

        For a broadcast: it cannot wait here while another branch could go on. The future
        tells that it was appended, or, with false, that nobody wants it.
        """
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._putters.append((waiter, self._store.measure(item), item))
        return waiter

    def take_back(self, waiter: asyncio.Future[bool]) -> None:
        """Take a deposited item back, unless it was appended already."""
        waiter.cancel()
        self._putters = deque(each for each in self._putters if each[0] is not waiter)
        self._wake_putters()

    def put_claimed(self, item: T, size: int) -> None:
        """Append into the slot that a waited-for wake-up has promised."""
        self._store.unclaim(size)
        if self._abandoned:
            raise ChannelClosed(self.name)
        self._append(item, size)

    def claim(self, most: int) -> int:
        """Promise up to so many slots to its only sender; none where ``room`` says none."""
        count = min(most, self.room)
        self._store.claims += count
        return count

    def unclaim(self, count: int) -> None:
        """So many of the slots claimed are needed no more."""
        self._store.claims -= count
        self._wake_putters()

    def put_into_claimed(self, items: Sequence[T]) -> None:
        """Append items into as many slots claimed; what nobody wants any more is let go."""
        store = self._store
        store.claims -= len(items)
        if self._abandoned:
            return
        store.items.extend(items)
        if self._getters:
            self._wake_getters()

    def take_more(self, most: int) -> list[T]:
        """Up to so many of the items that lie there and were promised to nobody."""
        items = self._store.pop_more(min(most, self.unpromised))
        self._taken += len(items)
        if self._keeps_slots:
            self._store.held += len(items)
        if self._putters:
            self._wake_putters()
        if not self._store.items and not self._senders:
            self._wake_all_getters()
        return items

    @property
    def unpromised(self) -> int:
        """Items that lie there and were promised to nobody."""
        return max(len(self._store.items) - self._grants, 0)

    def take(self) -> T:
        """The first item; only where one is neither missing nor promised."""
        item = self._store.pop()
        self._taken += 1
        if self._keeps_slots:
            self._store.held += 1
        if self._putters:
            self._wake_putters()
        if not self._store.items and not self._senders:
            self._wake_all_getters()
        return item

    def ready(self) -> bool:
        """An item lies there that was promised to nobody."""
        return len(self._store.items) > self._grants

    def ended(self) -> bool:
        """Every sender has closed and every item was taken."""
        return not self._senders and not self._store.items

    def release(self) -> None:
        """Free the slot of an item taken from a channel that keeps slots."""
        self._store.held -= 1
        self._wake_putters()

    async def wait_for_item(self) -> None:
        """Wait until it is worth looking again; cancelled, nothing has happened."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._getters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):
                    self._getters.remove(waiter)
            else:
                self._grants -= 1
                self._wake_getters()
            raise
        self._grants -= 1

    def sender_closed(self) -> None:
        """One sender fewer; with the last, those who wait for items learn of the end."""
        self._senders = max(self._senders - 1, 0)
        if not self._senders and not self._store.items:
            self._wake_all_getters()

    def end(self) -> None:
        """End it although senders may be left, whose workers were left behind."""
        self._senders = 0
        if not self._store.items:
            self._wake_all_getters()

    def receiver_closed(self) -> None:
        """One receiver fewer; with the last, what lies there is let go and senders are told."""
        self._receivers -= 1
        if self._receivers:
            return
        self._abandoned = True
        self._store.items.clear()
        while self._putters:
            self._promise_slot()
        if self.on_abandoned is not None:
            self.on_abandoned()

    def _append(self, item: T, size: int) -> None:
        self._store.append(item, size)
        if self._getters:
            self._wake_getters()

    def _wake_getters(self) -> None:
        while self._getters and len(self._store.items) > self._grants:
            self._promise_item()
        if self.ended():
            self._wake_all_getters()

    def _wake_all_getters(self) -> None:
        while self._getters:
            self._promise_item()

    def _promise_item(self) -> None:
        waiter = self._getters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            self._grants += 1

    def _wake_putters(self) -> None:
        while self._putters and self._store.fits(self._putters[0][1]):
            self._promise_slot()

    def _promise_slot(self) -> None:
        waiter, size, item = self._putters.popleft()
        if waiter.done():
            return
        if item is _LATER:
            waiter.set_result(self)
            self._store.claim(size)
        else:
            if not self._abandoned:
                self._append(item, size)
            waiter.set_result(not self._abandoned)


class Sender(Generic[T]):
    """The sending end of a channel."""

    __slots__ = ("_open", "channel")

    def __init__(self, channel: Channel[T]) -> None:
        self.channel = channel
        self._open = True

    def put(self, item: T) -> bool:
        """Send if that needs no waiting; false where it does."""
        return self.channel.put(item)

    async def wait_to_put(self, item: T) -> None:
        """Send after waiting, where :meth:`put` has just said so."""
        await self.channel.wait_to_put(item)

    def deposit(self, item: T) -> asyncio.Future[bool]:
        """Send as soon as there is a slot, where :meth:`put` has just said that there is none."""
        return self.channel.deposit(item)

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

    def deposit(self, item: Any) -> asyncio.Future[bool]:
        """Send ``(port, item)`` as soon as there is a slot."""
        return self.channel.deposit((self._port, item))

    def put_into_claimed(self, items: Sequence[Any]) -> None:
        """Send ``(port, item)`` for each into as many slots claimed."""
        self.channel.put_into_claimed([(self._port, item) for item in items])


class Receiver(Generic[T]):
    """The receiving end of a channel; any number of workers may share one."""

    __slots__ = ("_open", "_turn", "channel")

    def __init__(self, channel: Channel[T]) -> None:
        self.channel = channel
        self._open = True
        self._turn = Turn(asyncio.get_running_loop())

    def receive_nowait(self) -> T:
        """The next item; raises ``WouldBlock`` where none lies there, ``EndOfChannel`` at the end."""
        channel = self.channel
        if channel.ready():
            return channel.take()
        if channel.ended() or not self._open:
            raise EndOfChannel(channel.name)
        raise WouldBlock(channel.name)

    async def receive(self) -> T:
        """The next item, waiting for one; cancelled, it has taken nothing.

        Gives the loop back now and then even when items always lie there.

        Raises:
            EndOfChannel: Every sender has closed and every item was received.
        """
        channel = self.channel
        if self._turn.due():
            await asyncio.sleep(0)
        while True:
            if channel.ready():
                return channel.take()
            if channel.ended() or not self._open:
                raise EndOfChannel(channel.name)
            await channel.wait_for_item()

    def close(self) -> None:
        """Receive no more; once every receiver has closed, senders are told. Idempotent."""
        if self._open:
            self._open = False
            self.channel.receiver_closed()
