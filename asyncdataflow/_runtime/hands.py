"""Hands: how many items a stage may have taken, where it takes several at a time.

A worker takes items before they are begun, and a slot of an edge is to be free only when
its item is begun, or the run would hold more than ``bound()``. So a stage has as many
places as it would have items in hand, taken one by one, and everything beyond them has a
slot of its own behind the stage, claimed when it is taken. Claims are the stage's, not an
item's: whatever leaves first uses one, or an earlier item would wait in vain for a slot
that a later one keeps for itself. And one worker takes at a time: of several that wait
for items, each would be woken by one item, and take no more.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .routing import Outlet

__all__ = ("Hands",)


class Hands:
    """The places of a stage, and its claims on slots behind it.

    Args:
        places: Items taken that need no slot behind.
        outlet: Where the slots are.

    Attributes:
        places: As given.
        claims: Slots claimed and not yet used.
    """

    def __init__(self, places: int, outlet: Outlet) -> None:
        self.places = places
        self.claims = 0
        self._free = places
        self._reserved = False
        self._outlet = outlet
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(self, *, again: bool = False) -> None:
        """Wait for a place, since the next item may need one, and for one's turn to take.

        Behind it comes :meth:`unreserve`, or else it is the caller's turn ``again``.
        """
        if again:
            if self._free:
                return
            self._reserved = False
        while self._reserved or not self._free:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():
                    self._wake_one()
                raise
        self._reserved = True

    def unreserve(self) -> None:
        """Nothing is taken."""
        self._reserved = False
        self._wake_one()

    def free(self) -> None:
        """An item in a place has left."""
        self._free += 1
        self._wake_one()

    def take(self, wanted: int) -> int:
        """How many of the wanted items may be taken: as many as have a slot, else one into the place."""
        claims = self._outlet.claim(wanted, self.claims)
        self.claims += claims
        self._free -= not claims
        return claims or 1

    def use(self, most: int) -> int:
        """So many items leave now by the slots claimed."""
        count = min(most, self.claims)
        self.claims -= count
        return count

    def let_go(self, items: int) -> None:
        """So many items are in hand no more, and have used no claim."""
        unneeded = self.use(items)
        if unneeded:
            self._outlet.unclaim(unneeded)
        for _ in range(items - unneeded):
            self.free()

    def _wake_one(self) -> None:
        if self._reserved or not self._free:
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
