"""Receipts: how much of what was made of a message is under way, and whether all was well.

A receipt counts what was made of its message and is not settled. What is made one of one keeps
the receipts and counts nothing; a broadcast, a generator and a split add to the count, a batch
and a zip hold the receipts of all that they are made of. When the count comes to nothing the
message is answered, with the worst that was said of any part. (Storm's acker keeps the same
tree as one number, XORed; a count does, where nothing is lost between two of them.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final, Protocol

from ..errors import UnsettledError
from ..following import Trace
from ..message import Answer, Message

__all__ = ("NOBODY", "Desk", "FollowedReceipt", "FollowedUnited", "Nobody", "Receipt", "United")


class Desk(Protocol):
    """Where the messages of one source are answered.

    Attributes:
        source: The source's name.
        answers: There is somebody to hear of it; else only instruments are told.
        acked: Answers to messages that are done with, which it takes from here.
        sleeps: It has to be woken when there is one.
    """

    source: str
    answers: bool
    acked: list[Answer]
    sleeps: bool

    def wake(self) -> None:
        """There is one."""

    def nack(self, message: Message[Any], error: BaseException) -> None:
        """Nothing that was made of it is under way any more, and not all was well."""

    def dropped(self, part: Nobody) -> None:
        """A part was let go, in any thread and in the midst of anything."""


class Nobody:
    """The receipt of an item of which nobody wants to hear.

    Attributes:
        is_followed: Instruments follow one of its messages.
    """

    __slots__ = ()

    is_followed = False

    def split(self, more: int) -> None:
        """So many parts more are under way."""

    def settle(self) -> None:
        """A part is done with."""

    def fail(self, error: BaseException) -> None:
        """A part has failed."""

    def drop(self) -> None:
        """A part was let go; called in any thread."""

    def unwanted(self) -> None:
        """A part was let go."""

    def messages(self) -> Iterator[tuple[Desk, Message[Any]]]:
        """The messages that stand behind it, each with where it is answered."""
        return iter(())

    def traces(self) -> Iterator[Trace]:
        """Of those that instruments follow, what these have of them."""
        return iter(())


NOBODY: Final = Nobody()


class _Counting(Nobody):
    """Counts parts; what comes of the last is for a subclass."""

    __slots__ = ("_done", "_error", "_parts")

    def __init__(self) -> None:
        self._parts = 1
        self._done = False
        self._error: BaseException | None = None

    def split(self, more: int) -> None:
        """As in ``Nobody``."""
        self._parts += more

    def settle(self) -> None:
        """As in ``Nobody``."""
        self._done = True
        self._parts -= 1
        if not self._parts:
            self._end()

    def fail(self, error: BaseException) -> None:
        """As in ``Nobody``; the first error is the one that counts."""
        if self._error is None:
            self._error = error
        self._parts -= 1
        if not self._parts:
            self._end()

    def unwanted(self) -> None:
        """As in ``Nobody``."""
        self._parts -= 1
        if not self._parts:
            self._end()

    def _end(self) -> None:
        raise NotImplementedError


class Receipt(_Counting):
    """Of one message.

    Args:
        message: The message.
        desk: Where it is answered.
    """

    __slots__ = ("_desk", "_message")

    def __init__(self, message: Message[Any], desk: Desk) -> None:
        super().__init__()
        self._message = message
        self._desk = desk

    def drop(self) -> None:
        """As in ``Nobody``."""
        self._desk.dropped(self)

    def messages(self) -> Iterator[tuple[Desk, Message[Any]]]:
        """As in ``Nobody``."""
        yield self._desk, self._message

    def _end(self) -> None:
        if self._error is not None:
            self._desk.nack(self._message, self._error)
        elif not self._done:
            self._desk.nack(self._message, UnsettledError("nothing was done with it"))
        else:
            _ack(self._desk, self._message)


class FollowedReceipt(Receipt):
    """Of one message that instruments follow.

    Args:
        message: The message.
        desk: Where it is answered.
        trace: What they have of it.
    """

    __slots__ = ("_trace",)

    is_followed = True

    def __init__(self, message: Message[Any], desk: Desk, trace: Trace) -> None:
        super().__init__(message, desk)
        self._trace = trace

    def traces(self) -> Iterator[Trace]:
        """As in ``Nobody``."""
        yield self._trace

    def _end(self) -> None:
        error = self._error
        if error is None and not self._done:
            error = UnsettledError("nothing was done with it")
        self._trace.end(error)
        super()._end()


class United(_Counting):
    """Of something that several items were made into.

    Args:
        receipts: Theirs; each has one part of its own for this.
    """

    __slots__ = ("_receipts",)

    def __init__(self, receipts: Iterable[Nobody]) -> None:
        super().__init__()
        self._receipts = list(receipts)

    def drop(self) -> None:
        """As in ``Nobody``; the desk of any of them will do, since all are on one loop."""
        for desk, _ in self.messages():
            desk.dropped(self)
            return

    def messages(self) -> Iterator[tuple[Desk, Message[Any]]]:
        """As in ``Nobody``."""
        for receipt in self._receipts:
            yield from receipt.messages()

    def traces(self) -> Iterator[Trace]:
        """As in ``Nobody``."""
        return chain.from_iterable(each.traces() for each in self._receipts)

    def _end(self) -> None:
        for receipt in self._receipts:
            if self._error is not None:
                receipt.fail(self._error)
            elif self._done:
                receipt.settle()
            else:
                receipt.unwanted()
        self._receipts.clear()


class FollowedUnited(United):
    """The same in a run with instruments."""

    __slots__ = ("is_followed",)

    def __init__(self, receipts: Iterable[Nobody]) -> None:
        super().__init__(receipts)
        self.is_followed = any(each.is_followed for each in self._receipts)


def _ack(desk: Desk, message: Message[Any]) -> None:
    desk.acked.append(Answer(message))
    if desk.sleeps:
        desk.wake()
