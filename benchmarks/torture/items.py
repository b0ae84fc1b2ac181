"""Items and exceptions that make trouble, and the stage that runs in worker processes.

All of it stands in a module, because worker processes find functions and classes by name.
"""

from __future__ import annotations

from typing import Final, NoReturn

UNLOADABLE: Final = -1
"""The item at which the process stage raises an exception that no other process can load."""


class BoomError(Exception):
    """What a stage raises in the flow in which one does."""


class UnloadableError(Exception):
    """One whose pickle cannot be loaded, as its arguments are not those of its class; nor can it be shown."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second

    def __str__(self) -> str:
        raise RuntimeError("this exception cannot be shown")

    __repr__ = __str__


class Hostile:
    """An item that can be passed on, and nothing else: not shown, compared, hashed, weighed or pickled."""

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError("this item refuses")

    __repr__ = __str__ = __eq__ = __ne__ = __hash__ = __bool__ = __len__ = __reduce__ = _refuse


def in_process(item: object) -> object:
    """The stage that runs in worker processes."""
    if isinstance(item, int) and item == UNLOADABLE:
        raise UnloadableError("first", "second")
    return item
