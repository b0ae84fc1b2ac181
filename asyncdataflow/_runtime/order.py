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

__all__ = ("Order",)


class Order:
    """Tickets, the next one to leave, and what is parked behind it.

    Args:
        places: Most results parked.
        send: Sends one result.
    """

    def __init__(self, places: int, send: Callable[[Any], Awaitable[None]]) -> None:
        self._places = places
        self._send = send
        self._drawn = 0
        self._left = 0
        self._parked: dict[int, Any] = {}
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_idle(self) -> bool:
        """Every ticket has left."""
        return self._drawn == self._left

    def is_next(self, ticket: int) -> bool:
        """It is this one's turn, and nobody waits behind it."""
        return ticket == self._left and not self._parked

    def draw(self) -> int:
        """The next ticket."""
        self._drawn += 1
        return self._drawn - 1

    async def finish(self, ticket: int, result: Any) -> None:
        """Hand a result over; returns when it is sent, or parked for somebody else to send."""
        while ticket != self._left and len(self._parked) >= self._places:
            waiter = self._turns[ticket] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self._parked[ticket] = result
        # Whoever sends has taken its result out, and counts it only when it is sent: nobody else
        # finds the next one here meanwhile.
        while self._left in self._parked:
            result = self._parked.pop(self._left)
            self._wake(self._waiting)
            await self._send(result)
            del result  # Else it lives until the next one is finished.
            self._advance()

    def due(self, ticket: int) -> bool:
        """Every earlier ticket has left."""
        return ticket == self._left

    def awaited(self, ticket: int) -> asyncio.Future[None]:
        """A future that is done when every earlier ticket has left, where one has not."""
        waiter = self._turns[ticket] = asyncio.get_running_loop().create_future()
        return waiter

    async def turn(self, ticket: int) -> None:
        """Wait until every earlier ticket has left; for workers that send for themselves."""
        if ticket != self._left:
            await self.awaited(ticket)

    def leave(self) -> None:
        """The worker whose turn it is has sent everything."""
        self._advance()

    def _advance(self) -> None:
        self._turns.pop(self._left, None)
        self._left += 1
        turn = self._turns.get(self._left)
        if turn is not None and not turn.done():
            turn.set_result(None)

    @staticmethod
    def _wake(waiting: deque[asyncio.Future[None]]) -> None:
        while waiting:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
