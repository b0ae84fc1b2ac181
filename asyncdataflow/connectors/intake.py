"""Intake: lots that are fetched in a task of their own, so that a cancelled ``anext`` loses none."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

__all__ = ("Intake", "apart", "finish")

T = TypeVar("T")


async def finish(task: asyncio.Task[T]) -> T:
    """Wait for a task to the end, even when cancelled meanwhile: that is passed on afterwards.

    For steps that take a bounded time and must not be left half done.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at: the cancellation goes before it
        raise cancelled
    return task.result()


async def apart(work: Coroutine[Any, Any, T]) -> T:
    """Have something done in a task of its own: a cancellation ends it, and always comes out.

    For clients that swallow one now and then.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await finish(asyncio.create_task(_ended(task)))
        raise
    return task.result()


class Intake(Generic[T]):
    """One thing after the other out of lots, each fetched when the one before is used up.

    A lot that has been handed over by the outside system is this session's, whoever waits for
    it: a wait that is cancelled leaves the fetch running, and the next one finds its lot.

    Args:
        fetch: Gets the next lot; an empty one is the end.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Sequence[T]]]) -> None:
        self._fetch = fetch
        self._here: deque[T] = deque()
        self._task: asyncio.Task[Sequence[T]] | None = None

    async def next(self) -> T:
        """The next one.

        Raises:
            StopAsyncIteration: There was an empty lot.
        """
        if not self._here:
            if self._task is None:
                self._task = asyncio.create_task(self._fetching())
            await asyncio.wait([self._task])
            task, self._task = self._task, None
            self._here.extend(task.result())
        if not self._here:
            raise StopAsyncIteration
        return self._here.popleft()

    async def close(self) -> None:
        """Stop fetching, and wait until that has stopped."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        try:
            await finish(asyncio.create_task(_ended(task)))
        finally:
            if not task.cancelled() and task.exception() is None:
                self._here.extend(task.result())

    def left(self) -> list[T]:
        """What is here and was not given; the caller has it then."""
        left = list(self._here)
        self._here.clear()
        return left

    async def _fetching(self) -> Sequence[T]:
        return await self._fetch()


async def _ended(task: asyncio.Task[T]) -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at
