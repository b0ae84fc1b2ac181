"""What connectors implement: one method each, so that it never has to break.

Both are opened anew for each run. What a run needs (a connection, a cursor, an
open file) lives in the context manager that ``open`` returns, never on the
object itself, so that one definition can run any number of times at once.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

__all__ = ("Sink", "Source")

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Source(abc.ABC, Generic[T_co]):
    """Items from an outside system; a first step of a definition.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from asyncdataflow import DataFlow, Source
        >>> class Countdown(Source[int]):
        ...     def __init__(self, start):
        ...         self.start = start
        ...     @asynccontextmanager
        ...     async def open(self):
        ...         async def read():
        ...             for number in range(self.start, 0, -1):
        ...                 yield number
        ...         yield read()
        >>> DataFlow((Countdown(3), lambda n: n * 10))()
        [30, 20, 10]
    """

    @abc.abstractmethod
    def open(self) -> AbstractAsyncContextManager[AsyncIterable[T_co]]:
        """Enter to connect and get the items; leave to disconnect.

        The iterator is pulled only when there is room for its next item, by one
        task, which is the one that enters and leaves.
        """


class Sink(abc.ABC, Generic[T_contra]):
    """A destination in an outside system; a last step of a definition, or a dead-letter sink.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from asyncdataflow import DataFlow, Sink
        >>> class Collected(Sink[int]):
        ...     def __init__(self):
        ...         self.items = []
        ...     @asynccontextmanager
        ...     async def open(self):
        ...         async def write(item):
        ...             self.items.append(item)
        ...         yield write
        >>> collected = Collected()
        >>> DataFlow((range(3), collected))()
        []
        >>> collected.items
        [0, 1, 2]
    """

    @abc.abstractmethod
    def open(self) -> AbstractAsyncContextManager[Callable[[T_contra], Awaitable[Any]]]:
        """Enter to connect and get the function that writes one item; leave to flush and disconnect.

        What the function returns is a result of the run, unless it is ``None``.
        """
