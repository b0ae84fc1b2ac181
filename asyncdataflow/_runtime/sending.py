"""Sending: what senders may do with an edge.

Everything here and in ``Channel`` that looks at the edge or changes it drops the baton first, so
that it sees what a stretch under way has done; ``Edge`` has what a stretch itself works on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from ..errors import ChannelClosed
from ..policy import Buffer, Overflow
from .baton import Baton, Tally
from .edge import LATER, Edge

__all__ = ("Sending",)

T = TypeVar("T")

_LEAST_SHARE: Final = 8
"""Items; for fewer a stretch is not worth it, and who finds no room waits in line."""


class Sending(Edge[T]):
    """An edge, as its senders see it.

    Args:
        buffer: Its bounds.
        overflow: What happens to an item that finds no room.
        name: Whose edge it is.
        tagged: Items are ``(tag, item)``.
        baton: The run's.
    """

    def __init__(self, buffer: Buffer, overflow: Overflow, name: str, *, tagged: bool, baton: Baton) -> None:
        super().__init__(buffer, overflow, name, tagged=tagged)
        self.baton = baton
        self._wakes_soon = False
        self._capacity = buffer.items
        self._looked: set[int] = set()
        self._lookers = 0
        self._looked_at = 0
        self._told: dict[int, tuple[int, int]] = {}

    def wake_senders_soon(self) -> None:
        """Promise the slots that will be free when the loop is given back to those who wait for one."""
        if self._putters and not self._wakes_soon:
            self._wakes_soon = True
            self._loop.call_soon(self._wake_senders_now)

    def _wake_senders_now(self) -> None:
        self._wakes_soon = False
        self.baton.drop()
        self.wake_senders()

    @property
    def room(self) -> int:
        """Slots that nobody else can take before the only sender does; 0 where there are more."""
        self.baton.drop()
        return self._store.room if self._senders == 1 else 0

    def free(self) -> int:
        """Slots that are free in this step; 0 where somebody waits for them, or nobody wants more."""
        if self.baton.holder is not None:
            self.baton.drop()
        return 0 if self._putters or self._abandoned else self._store.room

    def share(self, sender: object, tally: Tally | None = None) -> int:
        """As :meth:`free`; of several senders one is told of no more than leaves the others as much.

        Whoever looked since, or before, the last item was taken out is one of them. One who has
        done with items and sent none, as most that end a flow, has no need of a share.

        Args:
            sender: Who looks.
            tally: What it has done with and sent so far.
        """
        free = self.free()
        if self._senders < 2 or (tally is not None and self._sends_nothing(sender, tally)):
            return free
        if self._looked_at != self._taken:
            self._looked_at, self._lookers = self._taken, len(self._looked)
            self._looked.clear()
        self._looked.add(id(sender))  # Not itself: it has this edge.
        share = -(-self._capacity // max(self._lookers, len(self._looked)))
        return min(free, max(share, _LEAST_SHARE))

    def _sends_nothing(self, sender: object, tally: Tally) -> bool:
        """It has done with items since it last looked, and sent none."""
        settled, sent = self._told.get(id(sender), (tally.settled, 0))
        self._told[id(sender)] = tally.settled, tally.sent
        return settled != tally.settled and sent == tally.sent

    @property
    def is_full(self) -> bool:
        """To put something in means to wait; only where it ``is_bare``."""
        return not self._abandoned and not self.free()

    @property
    def load(self) -> int:
        """How busy it is, for choosing the freest: a waiting receiver counts below nothing."""
        self.baton.drop()
        return len(self._store.items) + self._store.held - len(self._getters)

    def measure(self, item: T) -> int:
        """An item's bytes, where the channel counts them."""
        return self._store.measure(item)

    def has_room(self, item: T) -> bool:
        """It can be put without waiting and without dropping anything."""
        self.baton.drop()
        return not self._abandoned and not self._putters and self._store.fits(self._store.measure(item))

    def put(self, item: T) -> bool:
        """Append if there is a slot or the policy makes one; false where the sender has to wait."""
        self.baton.drop()
        if self._abandoned:
            raise ChannelClosed(self.name)
        size = self._store.measure(item)
        if self._putters or not self._store.fits(size):
            verdict = self._store.overflows(size, item)
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
        self.wake_senders()
        try:
            await waiter
        except asyncio.CancelledError:
            self.withdraw(waiter, size)
            raise
        self.put_claimed(item, size)

    def enlist(self, waiter: asyncio.Future[Any], size: int) -> None:
        """Queue a sender; its future gets this channel as its result when a slot is its own."""
        self.baton.drop()
        self._putters.append((waiter, size, LATER))

    def withdraw(self, waiter: asyncio.Future[Any], size: int) -> None:
        """Take a cancelled sender out, and give a slot that was already its own to the next."""
        self.baton.drop()
        if waiter.done() and not waiter.cancelled() and waiter.result() is self:
            self._store.unclaim(size)
        else:
            with suppress(ValueError):
                self._putters.remove((waiter, size, LATER))
        self.wake_senders()

    def deposit(self, item: T) -> asyncio.Future[bool]:
        """Queue an item itself, which is appended the moment that a slot is free.

        For a broadcast: it cannot wait here while another branch could go on. The future
        tells that it was appended, or, with false, that nobody wants it.
        """
        self.baton.drop()
        return self.line_up(item)

    def take_back(self, waiter: asyncio.Future[bool]) -> None:
        """Take a deposited item back, unless it was appended already."""
        self.baton.drop()
        waiter.cancel()
        others = [each for each in self._putters if each[0] is not waiter]
        self._putters.clear()
        self._putters.extend(others)
        self.wake_senders()

    def put_claimed(self, item: T, size: int) -> None:
        """Append into the slot that a waited-for wake-up has promised."""
        self.baton.drop()
        self._store.unclaim(size)
        if self._abandoned:
            raise ChannelClosed(self.name)
        self._append(item, size)

    def claimable(self, sender: object, held: int) -> int:
        """Slots that a sender may be promised for what it has not made yet.

        Of several, none is ever promised more than would leave each other as many: what it is about to
        make may take any time, or wait for what one of them sends.

        Args:
            sender: Who asks.
            held: Slots that it is promised already.
        """
        if self._senders < 2:
            return self.room
        return max(min(self.share(sender), self._capacity // self._senders - held), 0)

    def claim(self, count: int) -> None:
        """Promise so many slots, of those that are ``claimable``."""
        self._store.claims += count

    def unclaim(self, count: int) -> None:
        """So many of the slots claimed are needed no more."""
        self.baton.drop()
        self._store.claims -= count
        self.wake_senders()

    def put_into_claimed(self, items: Sequence[T]) -> None:
        """Append items into as many slots claimed; what nobody wants any more is let go."""
        self.baton.drop()
        store = self._store
        store.claims -= len(items)
        if self._abandoned:
            return
        store.items.extend(items)
        if self._getters:
            self._wake_getters()
