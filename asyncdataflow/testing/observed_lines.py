"""What a stage's items come in, watched: the line of each key, and what a source gives."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from .._runtime.keyed import Keyed
from .._runtime.pull import NOTHING
from .._threads.job import LaneIterator

__all__ = ("Heard", "Keeper", "Lines")


class Keeper(Protocol):
    """What a stage needs of the ledger."""

    def report(self, rule: str, seen: str) -> None:
        """A rule was broken."""

    def heard(self, iterator: LaneIterator, item: Any, stage: str) -> None:
        """The loop has got an item of an iterator in a thread, or its end."""


class Heard(AsyncIterator[Any]):
    """Items of a source, each told of as it comes, and their end."""

    def __init__(self, items: AsyncIterator[Any], hear: Callable[[AsyncIterator[Any], Any], None]) -> None:
        self._items = items
        self._hear = hear

    async def __anext__(self) -> Any:
        """The next one."""
        try:
            item = await anext(self._items)
        except StopAsyncIteration:
            self._hear(self._items, NOTHING)
            raise
        self._hear(self._items, item)
        return item


class Lines(Keyed):
    """The items of each key in the order in which they came, without asking for a key once more."""

    def __init__(self, places: int) -> None:
        super().__init__(places)
        self._lines: defaultdict[Any, deque[Any]] = defaultdict(deque)
        self._own: dict[asyncio.Task[Any] | None, Any] = {}

    def begin(self, key: Any, item: Any) -> bool:
        """As in ``Keyed``."""
        free = super().begin(key, item)
        self._lines[key].append(item)
        if free:
            self._own[asyncio.current_task()] = key
        return free

    def enter(self, key: Any, worker: object) -> None:
        """As in ``Keyed``."""
        super().enter(key, worker)
        if isinstance(worker, asyncio.Task):
            self._own[worker] = key

    def may_begin(self, item: Any) -> bool:
        """It is the first of its key, and no other worker has that key."""
        me = asyncio.current_task()
        key = self._own[me]
        line = self._lines[key]
        alone = not any(task is not me and theirs == key for task, theirs in self._own.items())
        return alone and bool(line) and line.popleft() is item

    def finish(self, key: Any) -> tuple[bool, Any]:
        """As in ``Keyed``."""
        more, item = super().finish(key)
        if not more:
            self._own.pop(asyncio.current_task(), None)
        return more, item
