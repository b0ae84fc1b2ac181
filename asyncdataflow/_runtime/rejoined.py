"""Rejoined: what a plain callable with ``many=True`` made in a thread, partly for the loop to take apart."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from ..operators.streamwise import opened
from .lane import LaneIterator, Target
from .result import settled

__all__ = ("Rejoined", "handing_over", "members")


class _ForTheLoop(NamedTuple):
    """What a plain callable with ``many=True`` made that only the loop can iterate over."""

    made: Any


def handing_over(target: Target) -> Target:
    """Called in a thread, it hands over what only the loop can iterate over, as its one item."""

    def call(*args: Any, **kwargs: Any) -> Any:
        made = target(*args, **kwargs)
        if hasattr(type(made), "__aiter__") or hasattr(type(made), "__await__"):
            return (_ForTheLoop(made),)
        return made

    return call


class Rejoined(AsyncIterator[Any]):
    """The items from a thread; what was handed over is taken apart here, and closed with the stack."""

    def __init__(self, items: LaneIterator, stack: AsyncExitStack) -> None:
        self._items = items
        self._stack = stack
        self._members: AsyncIterator[Any] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Make no more; what is being made still comes, and then the end."""
        self._stopped = True
        self._items.stop()

    async def __anext__(self) -> Any:
        """The next item, from the thread or of what it handed over."""
        while True:
            if self._members is None:
                item = await anext(self._items)
                if type(item) is not _ForTheLoop:
                    return item
                self._members = await members(self._stack, await settled(item.made))
            if self._stopped:
                raise StopAsyncIteration
            try:
                return await anext(self._members)
            except StopAsyncIteration:
                self._members = None


async def members(stack: AsyncExitStack, made: Any) -> AsyncIterator[Any]:
    """What a callable with ``many=True`` returned, item by item; closed with the stack."""
    items = made if isinstance(made, AsyncIterable) else _over(made)
    return await stack.enter_async_context(opened(items))


async def _over(made: Iterable[Any]) -> AsyncGenerator[Any, None]:
    for item in made:
        yield item
