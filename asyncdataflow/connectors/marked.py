"""Sources whose parts are read in order: what is done is a mark in each part, and may be kept in a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from ..abc import Positions
from ..low_water import LowWater, Place
from ..policy import Retry
from .checks import checked_path, refuse_unless_retry, refuse_unless_seconds
from .own_thread import OwnThread, own_thread
from .positions import PositionsFile
from .subscription import Reading, Record

__all__ = ("Marked", "Marks")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Marks:
    """How such a source is read, whatever it reads; made by :meth:`checked`.

    Attributes:
        positions: The file that keeps the marks; ``None``: nobody does.
        follow: See :class:`Marked`, as for the others.
        poll: Seconds.
        redeliver: How often and when something is given again.
    """

    positions: str | None
    follow: bool
    poll: float
    redeliver: Retry

    @classmethod
    def checked(
        cls,
        what: str,
        *,
        positions: str | os.PathLike[str] | None,
        follow: bool,
        poll: float,
        redeliver: Retry,
    ) -> Self:
        """These options of the source ``what``.

        Raises:
            ValueError: One is out of its range.
        """
        kept = None if positions is None else checked_path(f"{what}(positions=)", positions)
        refuse_unless_seconds(f"{what}(poll=)", poll)
        refuse_unless_retry(f"{what}(redeliver=)", redeliver)
        return cls(kept, follow, poll, redeliver)

    @asynccontextmanager
    async def session(
        self,
        name: str,
        after: Positions | None,
        begin: Callable[[OwnThread, dict[Hashable, Any]], Callable[[], list[Record[T]]]],
    ) -> AsyncIterator[Marked[T]]:
        """A session that reads in a thread of its own.

        Args:
            name: The thread's.
            after: Where to begin; ``None``: behind what is kept.
            begin: Opens, and gives what reads a few records; is given the thread, in which it is
                called, and where each partition begins.
        """
        async with own_thread(name) as thread:
            kept = None if self.positions is None else PositionsFile(self.positions)
            loaded = {} if kept is None else await thread.call(kept.load)
            start: dict[Hashable, Any] = loaded if after is None else {**after}
            read = await thread.call(begin, thread, start)
            session = Marked(
                thread,
                read,
                start=start,
                keep=None if kept is None else kept.save,
                redeliver=self.redeliver,
                follow=self.follow,
                poll=self.poll,
            )
            try:
                yield session
            finally:
                session.close()


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
