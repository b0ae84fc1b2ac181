"""Lot: items that a worker has taken together, on their way through its stage's threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from .chunk import Chunk

__all__ = ("Lot",)


class Lot:
    """Items that a worker has taken together.

    Args:
        items: The items, in order.
        ticket: Their turn to leave, where there are turns.
        loop: The running one.

    Attributes:
        rest: Items that no thread has.
        chunks: What the threads have, in order.
        made: Values that may leave, in order.
        holes: Among them is ``NOTHING``.
        held: Items and values of it that have not left.
        keeps_turn: Nobody else takes any.
        late: The last chunk lasts longer than it was to.
    """

    __slots__ = (
        "_loop",
        "_news",
        "_timer",
        "_waiter",
        "chunks",
        "held",
        "holes",
        "keeps_turn",
        "late",
        "made",
        "rest",
        "ticket",
    )

    def __init__(self, items: deque[Any], ticket: int | None, loop: asyncio.AbstractEventLoop) -> None:
        self.rest = items
        self.ticket = ticket
        self.chunks: deque[Chunk] = deque()
        self.made: list[Any] = []
        self.holes = False
        self.held = len(items)
        self.late = False
        self.keeps_turn = True
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._news = False

    @property
    def is_awaited(self) -> bool:
        """Its worker waits for news, and there has been none."""
        return self._waiter is not None and not self._waiter.done()

    def wake(self, _: object = None) -> None:
        """There is news."""
        self._news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def news(self) -> None:
        """Wait for news, unless there has been some."""
        if not self._news:
            self._waiter = self._loop.create_future()
            await self._waiter
        self._news = False

    def start_clock(self, seconds: float, tell: Callable[[], None]) -> None:
        """The last chunk is late if it has not ended by then, which is news, and told at once."""
        self.stop_clock()
        self._timer = self._loop.call_later(seconds, self._is_late, tell)

    def stop_clock(self) -> None:
        """It is not late any more, and will not be."""
        self.late = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_late(self, tell: Callable[[], None]) -> None:
        self.late = True
        tell()
        self.wake()
