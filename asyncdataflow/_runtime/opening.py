"""Opening: what a stage has open while it works, entered in turn and closed whatever happens."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, TypeVar

from ..operators.streamwise import opened

__all__ = ("Opening", "enter_any", "one_by_one", "open_source")

T = TypeVar("T")


class Opening(AbstractAsyncContextManager[T]):
    """A context of what a function enters on a stack.

    Not contextlib's decorator: that sets attributes on every exception that passes through,
    which a frozen one refuses, and it lets what is entered swallow the exception.
    """

    def __init__(self, begin: Callable[[AsyncExitStack], Awaitable[T]]) -> None:
        self._begin = begin
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> T:
        try:
            return await self._begin(self._stack)
        except BaseException:
            await self._stack.__aexit__(*sys.exc_info())
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)


async def enter_any(stack: AsyncExitStack, made: Any) -> Any:
    """Enter what is a context manager of either kind, await what is awaitable, pass on the rest."""
    if hasattr(made, "__aenter__") and hasattr(made, "__aexit__"):
        return await stack.enter_async_context(made)
    if hasattr(type(made), "__await__"):
        return await enter_any(stack, await made)
    if hasattr(made, "__enter__") and hasattr(made, "__exit__"):
        return stack.enter_context(made)
    return made


def open_source(source: Any) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
    """A source, connected, as its items."""

    async def begin(stack: AsyncExitStack) -> AsyncIterator[Any]:
        items = await stack.enter_async_context(source.open())
        return await stack.enter_async_context(opened(items))

    return Opening(begin)


async def one_by_one(items: Generator[Any, Any, Any]) -> AsyncGenerator[Any, None]:
    """A generator that is run on the loop."""
    try:
        for item in items:
            yield item
    finally:
        items.close()
