"""InHand: the result that the consumer has, where what becomes of it is to be told."""

from __future__ import annotations

import asyncio
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

    __slots__ = ("_ended", "_following", "_held", "_is_dropped")

    def __init__(self, following: Following | None) -> None:
        self._following = following
        self._held: Tracked | None = None
        self._ended: asyncio.Future[None] | None = None
        self._is_dropped = False

    def watch(self, ended: asyncio.Future[None]) -> None:
        """The run is to be over then; there may be nobody left by then who says so."""
        if self._following is not None:
            self._ended = ended
            ended.add_done_callback(self._is_over)

    def drop(self) -> None:
        """Nobody holds the run any more; called in any thread, and maybe after the loop."""
        self._is_dropped = True
        self._held = None
        if self._following is None or self._ended is None:
            return
        loop = self._ended.get_loop()
        if loop.is_closed():
            self.end()
        elif self._ended.done():
            loop.call_soon_threadsafe(self.end)

    def _is_over(self, _: object) -> None:
        if self._is_dropped:
            self.end()

    def end(self) -> None:
        """The run is over, and no result will be in hand any more."""
        following, self._following = self._following, None
        if following is not None:
            following.end()

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
