"""What a callable returned: to be awaited, an item, or a mistake."""

from __future__ import annotations

from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final

from ..errors import ResultError

__all__ = ("checked", "is_awaitable", "settled")

_GENERATORS: Final = (GeneratorType, AsyncGeneratorType)


def is_awaitable(result: Any) -> bool:
    """A plain callable returned what has to be awaited.

    An aiostream ``Stream`` is awaitable too, but is the items themselves.
    """
    kind = type(result)
    return hasattr(kind, "__await__") and not hasattr(kind, "__aiter__")


async def settled(result: Any) -> Any:
    """The result itself, awaited where that is due."""
    return await result if is_awaitable(result) else result


def checked(result: Any) -> Any:
    """A result that may be an item; a generator object may not, and is closed."""
    if type(result) in _GENERATORS:
        if isinstance(result, GeneratorType):
            result.close()
        raise ResultError(
            "the stage returned a generator object; write stage(f, many=True) to send its items"
        )
    return result
