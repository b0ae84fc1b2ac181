"""What travels beside plain items: what a source that is answered gives and gets, and what has failed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from .naming import describe_error

__all__ = ("WRITING", "Answer", "DeadLetter", "Message", "outgoing_headers")

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Message(Generic[T]):
    """One item of a source that is answered, as the source gives it.

    Attributes:
        item: The item.
        position: Where the item lies in its partition: an offset, a row's number. It grows from
            message to message of a partition, and JSON can hold it. ``None`` where the source has
            no positions.
        partition: Which of the source's parts it comes from: a file, a shard. JSON can hold it.
        handle: The source's own, to know the delivery by when it is answered.
        headers: What came beside the item from another program, text to text; instruments look for
            a trace in it.
    """

    item: T
    position: Any = None
    partition: Hashable = None
    handle: Any = None
    headers: Mapping[str, str] | None = None

    @property
    def context(self) -> Context | None:
        """Where it comes from, if that is not the run: of an item of ``OpenRun.call``, its caller's."""
        return None


@dataclass(slots=True, eq=False)
class Answer:
    """What became of one message, after everything that was made of it is settled.

    Attributes:
        message: The very message.
        error: What it failed with, or why nobody can tell; ``None`` where all is well.
    """

    message: Message[Any]
    error: BaseException | None = None

    @property
    def is_ack(self) -> bool:
        """It need not come again; else it is a nack."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An item that failed for good, as a dead-letter sink gets it.

    Attributes:
        item: The item as it came into the stage.
        error: The exception of the last attempt.
        stage: Name of the stage in which it failed.
        path: The stage's place in the definition.
        attempts: Times that it was tried.
        time: When it was given up, in seconds since the epoch.
    """

    item: Any
    error: BaseException
    stage: str
    path: str
    attempts: int
    time: float

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold of it, where it can hold the item: the error as its type and text.

        ``DataFlow.replay`` takes it back.
        """
        error = {"type": type(self.error).__qualname__, "text": describe_error(self.error)}
        told = {"stage": self.stage, "path": self.path, "attempts": self.attempts, "time": self.time}
        return {"item": self.item, "error": error, **told}


WRITING: Final[ContextVar[Callable[[int], Mapping[str, str]] | None]] = ContextVar("WRITING", default=None)
"""While a function works on what an instrument follows: of an item by its place, its headers."""


def outgoing_headers(place: int = 0) -> Mapping[str, str]:
    """What is to go with an item that is being written to another program, text to text.

    For sinks whose system has a place for it, while their function is called: so a trace goes on
    where the item is read. There is none where no instrument follows the item.

    Args:
        place: The item's place in the list that is being written.

    Example:
        >>> from asyncdataflow.message import outgoing_headers
        >>> outgoing_headers()
        {}
    """
    writing = WRITING.get()
    return {} if writing is None else writing(place)
