"""Order: what an ordered stage with several workers may send, and when.

A ticket is drawn in the step in which an item is taken. A worker that finishes out of
turn parks its result here and goes on; whoever finishes the first missing one sends all
that follow. There are as many places to park as workers: with none, workers starve
behind one slow item (Pekko's ``mapAsync`` counts both in one window), and twice as many
buy nearly nothing. A worker that finds no place keeps its result in hand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from .meter import UNCOUNTED, Meter
from .pull import NOTHING

__all__ = ("Order",)


class Order:
    """Tickets, the next one to leave, and what is parked behind it.

    Args:
        places: Most results parked.
        send: Sends one result.
        meter: Where it is counted how long workers wait for their turn, where that is.

    Attributes:
        left: Tickets that have left, so the next one to leave.
    """

    def __init__(
        self, places: int, send: Callable[[Any], Awaitable[None]], meter: Meter | None = None
    ) -> None:
        self._places = places
        self._send = send
        self._meter = meter
        self._drawn = 0
        self.left = 0
        self._parked: dict[int, Any] = {}
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_idle(self) -> bool:
        """Every ticket has left."""
        return self._drawn == self.left

    def is_next(self, ticket: int) -> bool:
        """It is this one's turn, and nobody waits behind it."""
        return ticket == self.left and not self._parked

    def draw(self) -> int:
        """The next ticket."""
        self._drawn += 1
        return self._drawn - 1

    @property
    def is_due(self) -> bool:
        """The next one to leave is parked here."""
        return self.left in self._parked

    def park(self, ticket: int, result: Any) -> bool:
        """Hand a result over, unless it is early and all places are taken; then see what :attr:`is_due`."""
        if ticket != self.left and len(self._parked) >= self._places:
            return False
        self._parked[ticket] = result
        return True

    def let_leave(self, lay: Callable[[Any], None], most: int, none: Any) -> None:
        """Put those whose turn it is, at most so many and up to the first that is no result."""
        parked, turns, waiting = self._parked, self._turns, self._waiting
        while most > 0 and self.left in parked:
            result = parked[self.left]
            if result is none or result is NOTHING:
                return
            del parked[self.left]
            lay(result)
            most -= 1
            if waiting:
                self._wake(waiting)
            if turns:
                self._advance()
            else:
                self.left += 1

    async def finish(self, ticket: int, result: Any) -> None:
        """Hand a result over; returns when it is sent, or parked for somebody else to send."""
        while not self.park(ticket, result):
            waiter = self._turns[ticket] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await self._counted(waiter)
        while self.is_due:
            await self.send_first()

    async def send_first(self) -> None:
        """Send the one that is due."""
        # Whoever sends has taken its result out, and counts it only when it is sent: nobody else
        # finds the next one here meanwhile.
        result = self._parked.pop(self.left)
        self._wake(self._waiting)
        await self._send(result)
        self._advance()

    def due(self, ticket: int) -> bool:
        """Every earlier ticket has left."""
        return ticket == self.left

    def awaited(self, ticket: int) -> asyncio.Future[None]:
        """A future that is done when every earlier ticket has left, where one has not."""
        waiter = self._turns[ticket] = asyncio.get_running_loop().create_future()
        return waiter

    async def turn(self, ticket: int) -> None:
        """Wait until every earlier ticket has left; for workers that send for themselves."""
        if ticket != self.left:
            await self._counted(self.awaited(ticket))

    async def _counted(self, waiter: asyncio.Future[None]) -> None:
        with UNCOUNTED if self._meter is None else self._meter.blocked:
            await waiter

    def leave(self) -> None:
        """The worker whose turn it is has sent everything."""
        self._advance()

    def _advance(self) -> None:
        if not self._turns:
            self.left += 1
            return
        self._turns.pop(self.left, None)
        self.left += 1
        turn = self._turns.get(self.left)
        if turn is not None and not turn.done():
            turn.set_result(None)

    @staticmethod
    def _wake(waiting: deque[asyncio.Future[None]]) -> None:
        while waiting:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
