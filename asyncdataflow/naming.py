"""How callables, items and places in a definition are named to people."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sized
from contextlib import suppress
from typing import Any

__all__ = ("annotate", "callable_name", "describe_error", "describe_item", "nearest", "place")


def callable_name(thing: object) -> str:
    """The short name a stage gets from what it runs.

    A function's own name, a partial's function, a callable object's class.
    ``lambda`` for lambdas, because ``<lambda>`` breaks text notation and pictures.
    """
    while isinstance(thing, functools.partial):
        thing = thing.func
    name = getattr(thing, "__name__", None)
    if not isinstance(name, str) or not name:
        name = type(thing).__name__
    return "lambda" if name == "<lambda>" else name


def place(path: str, name: str | None = None) -> str:
    """``definition[1][0] (parse)``: where an element stands, and what it is called."""
    return f"{path} ({name})" if name else path


def describe_item(item: object) -> str:
    """An item's type and size, never its contents: those may be secret."""
    kind = type(item).__qualname__
    if isinstance(item, Sized):
        try:
            return f"{kind} of length {len(item)}"
        except Exception:  # noqa: BLE001 - a hostile __len__ must not hide the error being described
            return kind
    return kind


def annotate(error: BaseException, note: str) -> None:
    """Add a note, where the exception takes one; a frozen dataclass, say, does not."""
    with suppress(Exception):
        if note not in getattr(error, "__notes__", ()):
            BaseException.add_note(error, note)


def describe_error(error: BaseException) -> str:
    """An exception in a line, even one whose ``__repr__`` raises."""
    try:
        return repr(error)
    except Exception:  # noqa: BLE001 - a hostile __repr__ must not hide the error being described
        return f"{type(error).__qualname__}(…)"


def nearest(word: str, known: Iterable[Any]) -> str:
    """``; did you mean 'x'?`` for the closest known word, else an empty string."""
    import difflib  # noqa: PLC0415 - only an error needs it

    found = difflib.get_close_matches(word, [str(each) for each in known], n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
