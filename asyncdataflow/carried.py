"""Carried: what goes to a worker process beside an item, so that what is done there is known to be of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any, NamedTuple

from .entering import stepped

__all__ = ("Carried", "Unpacking")


class Carried(NamedTuple):
    """A call's arguments, and what is to be entered around it, each pickled by itself."""

    contexts: tuple[bytes, ...]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def current(self) -> AbstractContextManager[object]:
        """Entered around the function; one that cannot be does it no harm."""
        stack = ExitStack()
        for each in self.contexts:
            with suppress(Exception):
                stack.enter_context(_Harmless(pickle.loads(each)))  # noqa: S301 - of the parent, by its own socket
        return stack


class _Harmless:
    """A context of somebody's that raises nothing on its way out, and swallows nothing."""

    def __init__(self, inner: AbstractContextManager[object]) -> None:
        self._inner = inner

    def __enter__(self) -> None:
        self._inner.__enter__()

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self._inner.__exit__(None, None, None)


class Unpacking:
    """A stage's function in a worker process, which may be called with what is carried.

    Args:
        function: The function.
        many: It makes an iterator.
    """

    def __init__(self, function: Callable[..., Any], *, many: bool) -> None:
        self._function = function
        self._many = many

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As of the function."""
        if len(args) != 1 or type(args[0]) is not Carried:
            return self._function(*args, **kwargs)
        given = args[0]
        with given.current():
            made = self._function(*given.args, **given.kwargs, **kwargs)
        return stepped(given.current, made) if self._many and isinstance(made, Generator) else made
