"""Result: what a plain callable has returned, which may not be the result yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from ..errors import ResultError

__all__ = ("checked", "checked_coroutine", "is_awaited", "is_unsettled", "settled", "settled_and_checked")

_GENERATORS: Final = (GeneratorType, AsyncGeneratorType)


async def settled(result: Any) -> Any:
    """The result itself, awaited where a plain callable returned an awaitable.

    An aiostream ``Stream`` is awaitable too, but is the items themselves.
    """
    return await result if is_awaited(type(result)) else result


def is_awaited(kind: type) -> bool:
    """A plain callable that returns this type returns what has to be awaited."""
    return hasattr(kind, "__await__") and not hasattr(kind, "__aiter__")


def is_unsettled(kind: type) -> bool:
    """Whether a result of this type is not the result itself."""
    return kind in _GENERATORS or is_awaited(kind)


async def settled_and_checked(result: Any) -> Any:
    """The result itself; raises where it cannot be one."""
    return checked(await settled(result))


def checked(result: Any) -> Any:
    """The result, unless it is a generator object, or a coroutine that nobody has awaited."""
    if type(result) is CoroutineType:
        result.close()
        raise ResultError("the stage returned a coroutine object; write return await … for its result")
    if type(result) in _GENERATORS:
        if isinstance(result, GeneratorType):
            result.close()
        raise ResultError(
            "the stage returned a generator object; write stage(f, many=True) to send its items"
        )
    return result


def checked_coroutine(function: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """A coroutine function whose results are checked."""

    async def one(item: Any) -> Any:
        return checked(await function(item))

    return one
