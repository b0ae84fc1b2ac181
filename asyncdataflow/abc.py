"""What connectors implement: one method each, or two, so that it never has to break.

All are opened anew for each run. What a run needs (a connection, a cursor, an
open file) lives in the context manager that ``open`` returns, never on the
object itself, so that one definition can run any number of times at once.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any, Generic, Literal, Protocol, TypeVar

from .message import Answer, Message

__all__ = (
    "AckableSource",
    "Commits",
    "Effect",
    "Instrument",
    "Positions",
    "Sink",
    "Source",
    "Span",
    "Subscription",
    "TransactionalSink",
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)

Effect = Literal["plain", "idempotent"]
"""What writing an item twice does: it is there twice, or as if it had been written once."""

Positions = Mapping[Hashable, Any]
"""Of each partition of a source, the position up to which, this one included, everything is done."""


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


class Subscription(Protocol[T]):
    """One session of a source that is answered."""

    def __aiter__(self) -> AsyncIterator[Message[T]]:
        """The messages, pulled by one task and only when there is room for the next.

        What has to come again, because it was not acked by an earlier session or was nacked in
        this one, comes before anything new.
        """

    async def answer(self, answers: Sequence[Answer]) -> None:
        """Be told what became of messages of this session: each exactly once, as they settle.

        One call at a time, while ``__anext__`` may be waiting. An ack is a promise kept: once
        it has returned, the source need not have the item any more. It raises what keeps it
        from taking note of them; then the run fails. Messages of another session, one before
        a lost connection for instance, are none of its own, and must not be taken for such.
        """


class AckableSource(abc.ABC, Generic[T]):
    """Items from a system that wants to know what became of each: a queue, a broker, a log.

    Attributes:
        max_unacked: Most messages given and not yet answered; then it is not pulled.
        has_positions: Every message has a position, which grows within its partition.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from asyncdataflow import AckableSource, DataFlow, Message
        >>> class Tickets(AckableSource[str]):
        ...     def __init__(self, *names):
        ...         self.left = list(names)
        ...     @asynccontextmanager
        ...     async def open(self, after=None):
        ...         yield TicketWindow(self.left)
        >>> class TicketWindow:
        ...     def __init__(self, left):
        ...         self.left = left
        ...     async def __aiter__(self):
        ...         for name in list(self.left):
        ...             yield Message(name)
        ...     async def answer(self, answers):
        ...         for each in answers:
        ...             if each.is_ack:
        ...                 self.left.remove(each.message.item)
        >>> tickets = Tickets("Ada", "Kurt")
        >>> DataFlow((tickets, str.upper))()
        ['ADA', 'KURT']
        >>> tickets.left
        []
    """

    max_unacked: int = 1000
    has_positions: bool = False

    @abc.abstractmethod
    def open(self, after: Positions | None = None) -> AbstractAsyncContextManager[Subscription[T]]:
        """Enter to connect; leave to disconnect, after every message has been answered.

        Args:
            after: Where a sink keeps the source's positions: what it has. Messages up to
                these, and only these, are not to come again. ``None``: the source knows itself.
        """


class Sink(abc.ABC, Generic[T_contra]):
    """A destination in an outside system; a last step of a definition, or a dead-letter sink.

    Attributes:
        chunk: Most items that are written in one call. With 1 the function gets an item; with
            more it gets a list of what lies there, of one item or more: nothing is waited for.
        effect: What writing an item twice does.

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

    chunk: int = 1
    effect: Effect = "plain"

    @abc.abstractmethod
    def open(self) -> AbstractAsyncContextManager[Callable[[T_contra], Awaitable[Any]]]:
        """Enter to connect and get the function that writes; leave to flush and disconnect.

        When the function returns, what it was given is safe: its sources are told so. What it
        returns is a result of the run, unless it is ``None``. Of a list it writes all or, raising
        an ``ItemError`` because one item is no good, none: then each is tried by itself where
        the stage's ``on_error=`` can do without it.
        """


class Commits(Protocol[T_contra]):
    """One session of a sink that stores its source's positions beside the items."""

    async def positions(self, source: str) -> Positions:
        """What was stored for a source, by its stage's name; empty at first."""

    async def write(self, items: Sequence[T_contra], positions: Mapping[str, Positions]) -> None:
        """Store items and positions in one transaction, both or neither.

        Args:
            items: One or more.
            positions: Of each source, how far it is done with these items. Partitions that are
                not named stay where they are.

        Called again with the same after an error, where the stage retries: what was stored all
        the same must not be stored twice, which the positions that are stored tell.
        """


class TransactionalSink(abc.ABC, Generic[T_contra]):
    """A destination that stores where its source stands in the transaction that stores the items.

    Attributes:
        chunk: Most items in one transaction.
    """

    chunk: int = 1000

    @abc.abstractmethod
    def open(self) -> AbstractAsyncContextManager[Commits[T_contra]]:
        """Enter to connect; leave to disconnect."""


class Span:
    """What an instrument has of one call of a stage's function; each method may be left as it is here."""

    def current(self) -> AbstractContextManager[object]:
        """Entered around the function, in its task or thread: of a generator, around each of its steps."""
        return nullcontext()

    def carried(self) -> AbstractContextManager[object]:
        """The same for a function in a worker process: it is pickled, and entered there."""
        return nullcontext()

    def headers(self, place: int) -> Mapping[str, str]:
        """What goes with something that the function sends to another program, text to text.

        Args:
            place: Of which of the messages it is made.
        """
        return {}

    def end(self, error: BaseException | None) -> None:
        """The call is over; told once, in any thread."""


class Instrument(abc.ABC):
    """Is told what becomes of each message, from its source through every function to its end.

    A message is an item as its source has given it, also of a source that is not answered. What is
    made of it stands for it, and what is made of several stands for all of them. One that raises is
    logged and told nothing any more in that run; the flow goes on.

    Example:
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.abc import Instrument, Span
        >>> class Diary(Instrument):
        ...     def begin(self, flow, source, message):
        ...         return message.item
        ...     def call(self, stage, attempt, traces):
        ...         print(f"{stage} of {traces}")
        ...         return Span()
        ...     def settled(self, trace, error):
        ...         print(f"{trace} is done" if error is None else f"{trace}: {error!r}")
        >>> async def double(n):
        ...     return n * 2
        >>> DataFlow((range(1, 2), double), instruments=[Diary()])()
        double of [1]
        1 is done
        [2]
    """

    @abc.abstractmethod
    def begin(self, flow: str, source: str, message: Message[Any]) -> Any:
        """A source has given a message.

        Returns:
            What stands for the message whenever it is spoken of; ``None`` if nothing more of it is
            to be told, which then costs nothing.
        """

    def call(self, stage: str, attempt: int, traces: Sequence[Any]) -> Span | None:
        """A stage's function is about to be called; here it is, in the task or thread that calls it.

        Args:
            stage: The stage's name.
            attempt: 1 is the first.
            traces: Of each message that the item is made of, or the items of a list are, in their order,
                what :meth:`begin` returned, where that was anything.
        """
        return None

    def settled(self, trace: Any, error: BaseException | None) -> None:  # noqa: B027 - not all want to know
        """Everything that was made of a message is done with.

        Args:
            trace: What :meth:`begin` returned of it.
            error: What it failed with, or why nobody can tell; ``None`` where all is well.
        """
