"""InHand: the result that the consumer has, where what becomes of it is to be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..following import Following
from ..message import Message
from .receipts import NOBODY
from .tracked import Tracked

__all__ = ("InHand",)


class InHand:
    """The last result that was handed over; it is done with when the next one is asked for.

    An object of its own: what hands results over must not know the run, which would then
    not be heard of when it is dropped.

    Args:
        following: What follows the messages of the run, where instruments do.
    """

    __slots__ = ("_following", "_held")

    def __init__(self, following: Following | None) -> None:
        self._following = following
        self._held: Tracked | None = None

    def end(self) -> None:
        """The run is over, and no result will be in hand any more."""
        if self._following is not None:
            self._following.end()

    def put(self, result: Tracked) -> Any:
        """Hand one over, where none is in hand."""
        self._held = result
        return result.item

    def answer(self, error: BaseException | None) -> None:
        """Say what became of it; nothing, where there is none."""
        held, self._held = self._held, None
        if held is None:
            return
        if error is None:
            held.settle()
        else:
            held.fail(error)

    def origins(self) -> list[Message[Any]]:
        """The messages that the one in hand was made of."""
        return [] if self._held is None else self._held.origins()

    def taking(self, lying: Iterable[Tracked]) -> Iterator[Any]:
        """Hands over what lies there, one after another."""
        before = self._held
        for result in lying:
            self._held = result
            if before is not None:
                desk = before.desk
                if desk is None or desk.sleeps:
                    before.settle()
                else:
                    # As it does, without a call: that costs as much as all the rest of this loop.
                    before.message, before.receipt = before.receipt, NOBODY
                    before.desk = before.error = before.item = None
                    desk.acked.append(before)
            before = result
            yield result.item
