"""Holes: what goes on in place of an item that failed, so that the rows of a zip behind stay together.

Only in a run that is given items one by one, where one that fails does not end it: what failed
in one branch is told to its caller, and the row that lacks it is dropped whole.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

__all__ = ("HOLE", "passing", "passing_on_the_loop")


class _Hole:
    """There is one in each process."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "a hole"

    def __reduce__(self) -> str:
        return "HOLE"


HOLE: Final = _Hole()
"""In place of an item; never given to a function of the user's."""


def passing(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of an item, or of what it is spread over, that lets holes pass."""
    return functools.partial(_past, f)


def passing_on_the_loop(f: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The same of a coroutine function."""
    return functools.partial(_past_on_the_loop, f)


def _past(f: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return HOLE if args and args[0] is HOLE else f(*args, **named)


async def _past_on_the_loop(f: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
    return HOLE if args and args[0] is HOLE else await f(*args, **named)
