"""Lot: items that a worker has taken together, on their way through its stage's threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from .._threads.chunk import Chunk
from .pull import NOTHING
from .tracked import Tracked, made_of

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
        origins: Where items are tracked: those that have not come to anything, in order; their
            items are what is on its way, since a thread must not be the last to know of a receipt.
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
        "origins",
        "rest",
        "ticket",
    )

    def __init__(
        self,
        items: deque[Any],
        ticket: int | None,
        loop: asyncio.AbstractEventLoop,
        *,
        tracks: bool = False,
    ) -> None:
        self.origins: deque[Tracked] = items if tracks else deque()
        self.rest = deque([each.given for each in items]) if tracks else items
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

    def tracked(self, values: list[Any]) -> list[Any]:
        """These came of the first items that are tracked; ``NOTHING`` is said of already."""
        return [
            made_of(origin, value) if value is not NOTHING else value
            for value, origin in [(value, self.origins.popleft()) for value in values]
        ]

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
