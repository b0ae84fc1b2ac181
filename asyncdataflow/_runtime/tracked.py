"""Tracked: an item on its way, and the receipts of the messages that it was made of.

What is let go without a word - with an edge that nobody reads any more, with a worker that
was cancelled - says so itself. Where a run goes on it was not wanted: a message of which no part was
wanted is nacked, since nothing was done with it. Where a run stops, it has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..following import Entrusted, Tries
from ..holes import HOLE
from ..message import Answer, Message
from .receipts import NOBODY, Desk, FollowedUnited, Nobody, Receipt, United

__all__ = (
    "Followed",
    "Tracked",
    "entrusted",
    "made_of",
    "parts_of_item",
    "positions_of",
    "tracked",
    "unite",
    "untagged",
)


class Tracked(Answer):
    """An item under way: one part of its receipt.

    Most are the only thing made of one message, from its source to the end. So a receipt is
    written out only where something else has to be made of them; and such a one is, in the
    end, the answer itself.

    Attributes:
        item: The item.
        receipt: Of what it was made of; or the message itself, where there is a ``desk``.
        desk: Where the message is answered.
        given: What a stage's function is called with: the item.
    """

    __slots__ = ("desk", "item", "receipt")

    item: Any
    receipt: Any
    desk: Desk | None
    given: Any

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
        return list(dict.fromkeys(message for desk, message in self.receipt.messages() if desk.answers))

    def _written(self) -> Nobody:
        if self.desk is not None:
            self.receipt = Receipt(self.receipt, self.desk)
            self.desk = None
        receipt: Nobody = self.receipt
        return receipt


# The same place under another name, so that it is read as fast.
Tracked.given = Tracked.item


class Followed(Tracked):
    """One of whose messages instruments want to hear."""

    __slots__ = ("_tries",)

    @property
    def given(self) -> Any:
        """The item, entrusted to whoever calls the function."""
        if self.item is HOLE:
            return HOLE
        if not hasattr(self, "_tries"):
            self._tries = Tries()
        return Entrusted((self.item,), {}, [list(dict.fromkeys(self.receipt.traces()))], self._tries)


def tracked(item: Any, receipt: Nobody) -> Tracked:
    """An item under way."""
    made: Tracked = Followed() if receipt.is_followed else Tracked()
    made.item = item
    made.receipt = receipt
    made.desk = None
    return made


def unite(item: Any, origins: Iterable[Tracked], *, follows: bool = False) -> Tracked:
    """What was made of several; in a run with instruments, what these follow is followed."""
    receipts = [receipt for each in origins if (receipt := each.take()) is not NOBODY]
    if not receipts:
        return tracked(item, NOBODY)
    united = FollowedUnited if follows else United
    return tracked(item, receipts[0] if len(receipts) == 1 else united(receipts))


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


def untagged(item: Tracked | tuple[int, Tracked]) -> Tracked:
    """What lies in an edge, maybe with the number of its branch."""
    return item[1] if isinstance(item, tuple) else item


def positions_of(items: Iterable[Tracked]) -> dict[str, dict[Any, Any]]:
    """Of each source and partition, where the last of the items lies, which come in order."""
    positions: dict[str, dict[Any, Any]] = {}
    for each in items:
        for desk, message in each.messages():
            positions.setdefault(desk.source, {})[message.partition] = message.position
    return positions


def entrusted(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], origins: Iterable[Tracked], tries: int = 0
) -> Entrusted | None:
    """What a function that takes several items is to be called with; ``None`` where none is followed.

    Args:
        args: Its arguments.
        kwargs: Its keyword arguments.
        origins: What these are made of.
        tries: How often it was tried before.
    """
    rows = [list(dict.fromkeys(each.receipt.traces())) if type(each) is Followed else [] for each in origins]
    return Entrusted(args, kwargs, rows, Tries(tries)) if any(rows) else None
