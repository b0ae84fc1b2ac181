"""Keyed: order per key, different keys side by side.

A key belongs to one worker as long as it has items. Items that come for a key that is
being worked on are parked, at most as many as there are workers; then nothing more is
taken until one of them is begun.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container
from typing import Any

from .meter import UNCOUNTED, Meter

__all__ = ("Keyed",)


class Keyed:
    """Which keys are being worked on, and what is parked behind them.

    Args:
        places: Most items parked.
        meter: Where it is counted how long workers wait for a place, where that is.
    """

    def __init__(self, places: int, meter: Meter | None = None) -> None:
        self._free = places
        self._meter = meter
        self._parked: dict[Any, deque[Any]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def parked(self) -> int:
        """Items parked."""
        return sum(len(each) for each in self._parked.values())

    @property
    def keys(self) -> Container[Any]:
        """Those that some worker has."""
        return self._parked

    @property
    def has_place(self) -> bool:
        """One more item may be parked."""
        return self._free > 0

    def reserve_now(self) -> None:
        """As below, where there is a place."""
        self._free -= 1

    async def reserve(self) -> None:
        """Wait for a place, since the next item may have to be parked."""
        while not self._free:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                with UNCOUNTED if self._meter is None else self._meter.waiting:
                    await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():
                    self._wake_one()
                raise
        self._free -= 1

    def unreserve(self) -> None:
        """The place is not needed."""
        self._free += 1
        self._wake_one()

    def enter(self, key: Any, worker: object) -> None:
        """Make a free key the worker's, without a place.

        Args:
            key: The key.
            worker: Its task.
        """
        self._parked[key] = deque()

    def begin(self, key: Any, item: Any) -> bool:
        """True if the key is free and now the caller's; else the item is parked behind it."""
        parked = self._parked.get(key)
        if parked is None:
            self._parked[key] = deque()
            self.unreserve()
            return True
        parked.append(item)
        return False

    def finish(self, key: Any) -> tuple[bool, Any]:
        """``(True, item)`` if more was parked behind the key, which stays the caller's."""
        parked = self._parked[key]
        if not parked:
            del self._parked[key]
            return False, None
        item = parked.popleft()
        self.unreserve()
        return True, item

    def _wake_one(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
