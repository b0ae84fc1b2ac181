"""CollectSink: a sink in memory, which may be slow and may refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ..abc import Sink

__all__ = ("CollectSink",)

T = TypeVar("T")


class CollectSink(Sink[T]):
    """A sink for tests: a list of what was written.

    Any number of runs may write to it, at once too; what they write lies in one list.

    Args:
        delay: Seconds of the loop's time that each write takes; 0 writes without waiting.
        refuse: Called with each item; the exception that it returns is raised by that write,
            whose item is not kept. ``None`` keeps it.

    Attributes:
        items: What was written, in the order in which the writes were done.
        opened: How many times it was opened.
        closed: How many times it was left again.

    Example:
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.testing import CollectSink
        >>> def refuse(number):
        ...     return ValueError(f"no room for {number}") if number == 2 else None
        >>> sink = CollectSink(refuse=refuse)
        >>> try:
        ...     DataFlow((range(5), sink))()
        ... except ValueError as error:
        ...     print(error, sink.items, sink.opened, sink.closed)
        no room for 2 [0, 1] 1 1
    """

    def __init__(
        self, *, delay: float = 0.0, refuse: Callable[[T], BaseException | None] | None = None
    ) -> None:
        self.items: list[T] = []
        self.opened = 0
        self.closed = 0
        self._delay = delay
        self._refuse = refuse

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[T], Awaitable[None]]]:
        """Enter to get the function that writes one item; it refuses once the context is left."""
        left = False

        async def write(item: T) -> None:
            if left:
                raise RuntimeError("CollectSink: written to after its context was left")
            await self._write(item)

        self.opened += 1
        try:
            yield write
        finally:
            self.closed += 1
            left = True

    async def _write(self, item: T) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        error = self._refuse(item) if self._refuse is not None else None
        if error is not None:
            raise error
        self.items.append(item)
