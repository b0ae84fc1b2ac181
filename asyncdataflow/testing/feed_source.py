"""FeedSource: a source in memory, of items given up front or fed while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..abc import Source

__all__ = ("FeedSource",)

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Fed(Generic[T]):
    """An item and whether a run has taken it."""

    item: T
    taken: bool = False


class FeedSource(Source[T]):
    """A source for tests: the test says what comes, when, and how it ends.

    Any number of runs may read it, at once too: each gets every item, from the first on, and
    then the end. One loop at a time.

    Args:
        items: All its items, after which it ends. Without them it is fed: by :meth:`send`,
            until :meth:`end` or :meth:`fail`.

    Attributes:
        taken: Items that runs have pulled, in that order; two runs, each item twice.
        opened: How many times it was opened.
        closed: How many times it was left again.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.testing import FeedSource
        >>> async def main():
        ...     feed = FeedSource()
        ...     async with DataFlow((feed, str.upper)).stream() as run:
        ...         await feed.send("a")
        ...         print(await anext(run))
        ...         feed.end()
        ...         print([result async for result in run], feed.taken, feed.closed)
        >>> asyncio.run(main())
        A
        [] ['a'] 1
    """

    def __init__(self, items: Iterable[T] | None = None) -> None:
        self.taken: list[T] = []
        self.opened = 0
        self.closed = 0
        self._fed = [_Fed(item) for item in items or ()]
        self._ended = items is not None
        self._error: BaseException | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def send(self, item: T) -> None:
        """Feed an item, and wait until a run has taken it: what holds the flow back holds this back.

        Cancelled before that, the item is taken back.

        Raises:
            RuntimeError: The feed has ended, or has all its items from the start.
        """
        self._refuse_after_the_end("send an item")
        fed = _Fed(item)
        self._fed.append(fed)
        self._tell()
        try:
            while not fed.taken:
                await self._change()
        finally:
            if not fed.taken:
                # No reader is past it, so that nobody's place moves.
                self._fed.remove(fed)

    def end(self) -> None:
        """End behind what was fed. Idempotent.

        Raises:
            RuntimeError: It was told to fail.
        """
        if self._error is not None:
            self._refuse_after_the_end("end")
        self._ended = True
        self._tell()

    def fail(self, error: BaseException) -> None:
        """Raise an error in every run that reads it, behind what was fed.

        Raises:
            RuntimeError: The feed has ended, or has all its items from the start.
        """
        self._refuse_after_the_end("fail")
        self._ended = True
        self._error = error
        self._tell()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[T]]:
        """Enter to get the items, from the first on."""
        self.opened += 1
        try:
            yield self._read()
        finally:
            self.closed += 1

    async def _read(self) -> AsyncGenerator[T, None]:
        place = 0
        while True:
            if place < len(self._fed):
                fed = self._fed[place]
                place += 1
                fed.taken = True
                self.taken.append(fed.item)
                self._tell()
                yield fed.item
            elif not self._ended:
                await self._change()
            elif self._error is not None:
                raise self._error
            else:
                return

    def _refuse_after_the_end(self, doing: str) -> None:
        if self._ended:
            raise RuntimeError(
                f"FeedSource: it has ended, so that it cannot {doing}; a feed made with items ends behind "
                "them: make it without any, and send them"
            )

    async def _change(self) -> None:
        """Wait until something was fed, taken or ended."""
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(change)
        try:
            await change
        finally:
            self._waiting.discard(change)

    def _tell(self) -> None:
        for change in self._waiting:
            if not change.done():
                change.set_result(None)
