"""Entering: what is entered on behalf of a plain function, in a thread or in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Final

__all__ = ("enter", "stepped")

_END: Final = object()


def enter(stack: ExitStack, made: Any) -> Any:
    """What a resource's callable made: entered where it is a context manager, else as it is."""
    if hasattr(made, "__enter__") and hasattr(made, "__exit__"):
        return stack.enter_context(made)
    return made


def stepped(
    current: Callable[[], AbstractContextManager[object]], items: Generator[Any, Any, Any]
) -> Generator[Any, None, None]:
    """A generator, each of whose steps is made within a context."""
    try:
        while True:
            with current():
                item = next(items, _END)
            if item is _END:
                return
            yield item
            del item  # Else it lives until the next one is made.
    finally:
        with current():
            items.close()
