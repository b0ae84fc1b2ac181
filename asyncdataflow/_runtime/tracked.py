"""Tracked: an item on its way, and the receipts of the messages that it was made of.

A receipt counts what was made of its message and is not settled. What is made one of one keeps
the receipts and counts nothing; a broadcast, a generator and a split add to the count, a batch
and a zip hold the receipts of all that they are made of. When the count comes to nothing the
message is answered, with the worst that was said of any part. (Storm's acker keeps the same
tree as one number, XORed; a count does, where nothing is lost between two of them.)

What is let go without a word - with an edge that nobody reads any more, with a worker that
was cancelled - says so itself. Where a run goes on it was not wanted: a message of which no part was
wanted is nacked, since nothing was done with it. Where a run stops, it has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from ..errors import UnsettledError
from ..message import Answer, Message

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
    "tracked",
    "unite",
)


class Desk(Protocol):
    """Where the messages of one source are answered.

    Attributes:
        source: The source's name.
        acked: Answers to messages that are done with, which it takes from here.
        sleeps: It has to be woken when there is one.
    """

    source: str
    acked: list[Answer]
    sleeps: bool

    def wake(self) -> None:
        """There is one."""

    def nack(self, message: Message[Any], error: BaseException) -> None:
        """Nothing that was made of it is under way any more, and not all was well."""

    def dropped(self, part: Nobody) -> None:
        """A part was let go, in any thread and in the midst of anything."""


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


def _ack(desk: Desk, message: Message[Any]) -> None:
    desk.acked.append(Answer(message))
    if desk.sleeps:
        desk.wake()


class Tracked(Answer):
    """An item under way: one part of its receipt.

    Most are the only thing made of one message, from its source to the end. So a receipt is
    written out only where something else has to be made of them; and such a one is, in the
    end, the answer itself.

    Attributes:
        item: The item.
        receipt: Of what it was made of; or the message itself, where there is a ``desk``.
        desk: Where the message is answered.
    """

    __slots__ = ("desk", "item", "receipt")

    item: Any
    receipt: Any
    desk: Desk | None

    # All that is made of it is set by whoever makes it: a third of the cost of making one in a call.
    __init__ = object.__init__

    def __repr__(self) -> str:
        """The item's own; of an answer, what it says."""
        message = getattr(self, "message", None)
        return repr(self.item) if message is None else f"Answer({message!r})"

    def __del__(self) -> None:
        """Nobody has said what became of it."""
        if self.receipt is not NOBODY:
            self._written().drop()

    def settle(self) -> None:
        """All is well with it; what is said after this counts for nothing."""
        receipt, self.receipt = self.receipt, NOBODY
        desk = self.desk
        if desk is None:
            receipt.settle()
        else:
            # An answer may wait long, and has nothing to do with what the item has become.
            self.desk = self.error = self.item = None
            self.message = receipt
            desk.acked.append(self)
            if desk.sleeps:
                desk.wake()

    def fail(self, error: BaseException) -> None:
        """It has failed."""
        self.take().fail(error)

    def release(self) -> None:
        """What was made of it stands for it: nothing is said."""
        self.take().unwanted()

    def take(self) -> Nobody:
        """The receipt, for something else that is made of it."""
        receipt, self.receipt = self._written(), NOBODY
        return receipt

    def part(self, item: Any) -> Tracked:
        """Something that is made of it, beside it."""
        receipt = self._written()
        receipt.split(1)
        return tracked(item, receipt)

    def messages(self) -> Iterator[tuple[Desk, Message[Any]]]:
        """The messages that it was made of, each with where it is answered."""
        return self._written().messages()

    def origins(self) -> list[Message[Any]]:
        """Each message that it was made of, once."""
        if self.desk is not None:
            return [self.receipt]
        return list(dict.fromkeys(message for _, message in self.receipt.messages()))

    def _written(self) -> Nobody:
        if self.desk is not None:
            self.receipt = Receipt(self.receipt, self.desk)
            self.desk = None
        receipt: Nobody = self.receipt
        return receipt


def tracked(item: Any, receipt: Nobody | Message[Any]) -> Tracked:
    """An item under way."""
    made: Tracked = Tracked()
    made.item = item
    made.receipt = receipt
    made.desk = None
    return made


def unite(item: Any, origins: Iterable[Tracked]) -> Tracked:
    """What was made of several."""
    receipts = [receipt for each in origins if (receipt := each.take()) is not NOBODY]
    if not receipts:
        return tracked(item, NOBODY)
    return tracked(item, receipts[0] if len(receipts) == 1 else United(receipts))


def made_of(origin: Tracked, item: Any) -> Tracked:
    """The one thing that was made of it, in its place."""
    origin.item = item
    return origin


def parts_of_item(origin: Tracked, deliveries: Iterable[tuple[int, Any]]) -> list[tuple[int, Tracked]]:
    """What goes to which branch of it, none meaning that it is done with."""
    parts = [(branch, origin.part(value)) for branch, value in deliveries]
    if parts:
        origin.release()
    else:
        origin.settle()
    return parts


def positions_of(items: Iterable[Tracked]) -> dict[str, dict[Any, Any]]:
    """Of each source and partition, where the last of the items lies, which come in order."""
    positions: dict[str, dict[Any, Any]] = {}
    for each in items:
        for desk, message in each.messages():
            positions.setdefault(desk.source, {})[message.partition] = message.position
    return positions
