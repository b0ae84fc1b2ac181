"""Tracked: an item on its way, and the receipts of the messages that it was made of.

A receipt counts what was made of its message and is not settled. What is made one of one keeps
the receipts and counts nothing; a broadcast, a generator and a split add to the count, a batch
and a zip hold the receipts of all that they are made of. When the count comes to nothing the
message is answered, with the worst that was said of any part. (Storm's acker keeps the same
tree as one number, XORed; a count does, where nothing is lost between two of them.)

What is let go without a word - with an edge that nobody reads any more, with a worker that
was cancelled - says so itself: it was not wanted. A message of which no part was wanted is nacked,
since nothing was done with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from ..errors import UnsettledError
from ..message import Message

__all__ = (
    "NOBODY",
    "Desk",
    "Nobody",
    "Receipt",
    "Tracked",
    "United",
    "made_of",
    "parts_of_item",
    "positions_of",
    "unite",
)


class Desk(Protocol):
    """Where the messages of one source are answered.

    Attributes:
        source: The source's name.
    """

    source: str

    def settled(self, receipt: Receipt) -> None:
        """Nothing that was made of its message is under way any more; called once."""

    def dropped(self, part: Nobody) -> None:
        """A part was let go, in any thread."""


class Nobody:
    """The receipt of an item of which nobody wants to hear."""

    __slots__ = ()

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

    __slots__ = ("_desk", "message")

    def __init__(self, message: Message[Any], desk: Desk) -> None:
        self._parts = 1
        self._done = False
        self._error: BaseException | None = None
        self.message = message
        self._desk = desk

    @property
    def error(self) -> BaseException | None:
        """Why it is not acked, if it is not."""
        if self._error is not None:
            return self._error
        if self._parts:
            return UnsettledError("the run ended before it was settled")
        return None if self._done else UnsettledError("nothing was done with it")

    def drop(self) -> None:
        """As in ``Nobody``."""
        self._desk.dropped(self)

    def messages(self) -> Iterator[tuple[Desk, Message[Any]]]:
        """As in ``Nobody``."""
        yield self._desk, self.message

    def _end(self) -> None:
        self._desk.settled(self)


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

    def _end(self) -> None:
        for receipt in self._receipts:
            if self._error is not None:
                receipt.fail(self._error)
            elif self._done:
                receipt.settle()
            else:
                receipt.unwanted()
        self._receipts.clear()


class Tracked:
    """An item under way: one part of its receipt.

    Args:
        item: The item.
        receipt: Of what it was made of.
    """

    __slots__ = ("_receipt", "item")

    def __init__(self, item: Any, receipt: Nobody) -> None:
        self.item = item
        self._receipt = receipt

    def __repr__(self) -> str:
        """The item's own."""
        return repr(self.item)

    def __del__(self) -> None:
        """Nobody has said what became of it."""
        if self._receipt is not NOBODY:
            self._receipt.drop()

    def settle(self) -> None:
        """All is well with it; what is said after this counts for nothing."""
        receipt, self._receipt = self._receipt, NOBODY
        receipt.settle()

    def fail(self, error: BaseException) -> None:
        """It has failed."""
        receipt, self._receipt = self._receipt, NOBODY
        receipt.fail(error)

    def take(self) -> Nobody:
        """The receipt, for something else that is made of it."""
        receipt, self._receipt = self._receipt, NOBODY
        return receipt

    def part(self, item: Any) -> Tracked:
        """Something that is made of it, beside it."""
        self._receipt.split(1)
        return Tracked(item, self._receipt)

    def messages(self) -> Iterator[tuple[Desk, Message[Any]]]:
        """The messages that it was made of, each with where it is answered."""
        return self._receipt.messages()


def unite(item: Any, origins: Iterable[Tracked]) -> Tracked:
    """What was made of several."""
    receipts = [receipt for each in origins if (receipt := each.take()) is not NOBODY]
    if not receipts:
        return Tracked(item, NOBODY)
    return Tracked(item, receipts[0] if len(receipts) == 1 else United(receipts))


def made_of(origin: Tracked, item: Any) -> Tracked:
    """The one thing that was made of it."""
    return Tracked(item, origin.take())


def parts_of_item(origin: Tracked, deliveries: Iterable[tuple[int, Any]]) -> list[tuple[int, Tracked]]:
    """What goes to which branch of it, none meaning that it is done with."""
    parts = [(branch, origin.part(value)) for branch, value in deliveries]
    origin.settle()
    return parts


def positions_of(items: Iterable[Tracked]) -> dict[str, dict[Any, Any]]:
    """Of each source and partition, where the last of the items lies, which come in order."""
    positions: dict[str, dict[Any, Any]] = {}
    for each in items:
        for desk, message in each.messages():
            positions.setdefault(desk.source, {})[message.partition] = message.position
    return positions
