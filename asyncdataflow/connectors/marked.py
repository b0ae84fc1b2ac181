"""A session of a source whose parts are read in order: what is done is a mark in each part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

from ..low_water import LowWater, Place
from ..policy import Retry
from .own_thread import OwnThread
from .subscription import Reading, Record

__all__ = ("Marked",)

T = TypeVar("T")


class Marked(Reading[T], Generic[T]):
    """Reads records in a thread, and keeps there how far each partition is done.

    Args:
        thread: The session's.
        read: Gives a few records, none at the end of what is there. Called in the thread.
        start: Where each partition begins.
        keep: Keeps the marks of all partitions for good. Called in the thread.
        redeliver: How often and when something is given again.
        follow: Look for more every ``poll`` seconds, instead of ending.
        poll: Seconds.
    """

    def __init__(
        self,
        thread: OwnThread,
        read: Callable[[], list[Record[T]]],
        *,
        start: Mapping[Hashable, Any],
        keep: Callable[[Mapping[Hashable, Any]], None] | None,
        redeliver: Retry,
        follow: bool,
        poll: float,
    ) -> None:
        super().__init__(redeliver=redeliver, follow=follow, poll=poll)
        self._thread = thread
        self._read = read
        self._keep_marks = keep
        self._low: LowWater[Any] = LowWater(start)

    def _begin_reading(self) -> asyncio.Future[list[Record[T]]]:
        return self._thread.begin(self._read)

    def _given(self, record: Record[T]) -> Place[Any]:
        return self._low.give(record.position, record.partition)

    def _skipped(self, record: Record[T]) -> None:
        self._low.done(self._given(record))

    async def _keep(self, acked: list[Any]) -> None:
        moved = [self._low.done(place) for place in acked]
        if any(moved) and self._keep_marks is not None:
            await self._thread.call(self._keep_marks, self._low.marks())
