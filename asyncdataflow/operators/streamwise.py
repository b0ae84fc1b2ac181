"""A function of a whole stream as a stage: ``through``."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final, Unpack

from ..errors import EndOfChannel, ResultError
from ..naming import callable_name, describe_item
from ..options import StageOptions
from ..stage import Stage, stage
from .protocol import Apply, Emit, Inlet, StreamOperator

__all__ = ("Through", "opened", "through")


class Through(StreamOperator):
    """What a function from stream to stream makes of the items."""

    def __init__(self, transform: Callable[[AsyncIterator[Any]], AsyncIterable[Any]]) -> None:
        self.transform: Final = transform

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Open what the function returns, and close it whatever happens."""
        (inlet,) = inlets
        async with aclosing(_items(inlet)) as items:
            made: Any = self.transform(items)
            # An aiostream Stream is awaitable too, for its last item.
            if inspect.isawaitable(made) and not isinstance(made, AsyncIterable):
                made = await made
            async with opened(made) as stream:
                async for item in stream:
                    await emit(item)
                    del item
                # What is left to do is to clean up.
                inlet.close()


async def _items(inlet: Inlet) -> AsyncGenerator[Any, None]:
    while True:
        try:
            item = await inlet.receive()
        except EndOfChannel:
            return
        yield item
        del item  # Else it lives until the next one comes.


def opened(stream: Any) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
    """A context in which an async iterable is iterated and after which it is closed.

    An aiostream ``Stream`` has to be iterated through its own ``stream()`` context, or it
    warns and leaves its generators open; known by that method, so that nothing of
    aiostream is imported here.
    """
    own_context = getattr(stream, "stream", None)
    if isinstance(stream, AsyncIterable) and callable(own_context):
        context: AbstractAsyncContextManager[AsyncIterator[Any]] = own_context()
        return context
    if not isinstance(stream, AsyncIterable):
        raise ResultError(f"an async iterable is needed, not {describe_item(stream)}")
    return _Closing(aiter(stream))


class _Closing(AbstractAsyncContextManager[AsyncIterator[Any]]):
    """Like ``contextlib.aclosing``, for iterators that may have no ``aclose``."""

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> AsyncIterator[Any]:
        return self._iterator

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()


def through(
    f: Callable[[AsyncIterator[Any]], AsyncIterable[Any]], **options: Unpack[StageOptions]
) -> Stage[Any, Any]:
    """A stage of a function from an async iterable to an async iterable.

    An async generator function of one's own, or an aiostream pipable operator:
    ``through(pipe.take(5))``. Order: what ``f`` makes of it. Backpressure: nothing is asked of
    ``f`` while its output is full, and ``f`` takes items at its own pace. Completes when what
    ``f`` returned ends; then what made its items is stopped. Concurrency is 1, and there is no
    retry or error policy per item: the runtime cannot know which item an error belongs to.
    Items that ``f`` keeps for itself are not in ``bound()``.

    Args:
        f: Called once a run, with the items as an async iterator.
        **options: ``name``, ``buffer`` and ``overflow``, as in ``stage``.

    Raises:
        ValueError: ``f`` is no callable.

    Example:
        >>> from asyncdataflow import DataFlow, through
        >>> async def pairs(numbers):
        ...     async for number in numbers:
        ...         yield number, number
        >>> DataFlow((range(2), through(pairs)))()
        [(0, 0), (1, 1)]
    """
    if not callable(f):
        raise ValueError(f"through(…): a function of an async iterable is needed, not {f!r}")
    return stage(Stage(None, label=callable_name(f), operator=Through(f)), **options)
