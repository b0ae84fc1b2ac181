"""A channel that writes down what goes through it, and checks that it all comes out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from .._runtime.baton import Baton
from .._runtime.channel import Channel
from .._runtime.edge import Given, Lying
from ..errors import ChannelClosed
from ..policy import Buffer, Overflow
from .trace import Trace

__all__ = ("ObservedChannel", "ReportBroken")

ReportBroken = Callable[[str, str], None]
"""Takes the number of a rule that is broken, and what was seen."""


class ObservedChannel(Channel[Any]):
    """A channel; see ``Channel``.

    Args:
        trace: Takes what happens, in words.
        broken: Takes the rules that are broken.
        buffer: As of a channel, like the rest.
    """

    def __init__(
        self,
        trace: Trace,
        broken: ReportBroken,
        buffer: Buffer,
        overflow: Overflow = Overflow.BLOCK,
        *,
        name: str = "",
        held: bool = False,
        tagged: bool = False,
        baton: Baton | None = None,
    ) -> None:
        super().__init__(buffer, overflow, name=name, held=held, tagged=tagged, baton=baton)
        self._trace = trace
        self._broken = broken
        self._overflow = overflow
        self._counts_bytes = buffer.bytes is not None
        # What lies here is ``(port or place, item)`` then, of which the item is what people know.
        self._wrapped = tagged
        self._lying: deque[Any] = deque()
        self._accepted = 0
        self._cut_off = False

    @property
    def accepted(self) -> int:
        """Items of which their sender was told that they are sent."""
        return self._accepted

    @property
    def cut_off(self) -> bool:
        """Its receivers left before its end, so that what was sent need not have come out."""
        return self._cut_off

    def put(self, item: Any) -> bool:
        """As in ``Channel``."""
        done = super().put(item)
        self._accepted += done
        if not done:
            self._trace.note(
                f"the edge into {self.name} is full ({self._fill()}): {{}} waits", self._bare(item)
            )
        return done

    def put_claimed(self, item: Any, size: int) -> None:
        """As in ``Channel``."""
        super().put_claimed(item, size)
        self._accepted += 1

    def put_into_claimed(self, items: Sequence[Any]) -> None:
        """As in ``Channel``, but one by one, so that each is seen."""
        for item in items:
            with suppress(ChannelClosed):
                self.put_claimed(item, 0)

    def line_up(self, item: Any) -> asyncio.Future[bool]:
        """As in ``Edge``."""
        waiter = super().line_up(item)
        waiter.add_done_callback(self._deposited)
        return waiter

    def take(self) -> Any:
        """As in ``Channel``."""
        item = super().take()
        self._was_taken(item)
        return item

    def lift(self, items: int) -> Iterator[Any]:
        """As in ``Edge``."""
        for item in super().lift(items):
            self._was_taken(item)
            yield item

    def taking(self, most: int) -> Lying[Any]:
        """As in ``Edge``."""
        return Given(self.lift(most).__next__)

    def lifting(self) -> Callable[[], Any]:
        """As in ``Edge``."""
        take = super().lifting()

        def take_one() -> Any:
            item = take()
            self._was_taken(item)
            return item

        return take_one

    def passed(self, items: int) -> None:
        """As in ``Edge``."""
        self._accepted += items
        super().passed(items)

    def laying(self) -> Callable[[Any], None]:
        """As in ``Edge``."""
        lay = super().laying()

        def lay_one(item: Any) -> None:
            self._accepted += 1
            self._lying.append(item)
            lay(item)
            self._lies(item)

        return lay_one

    def lay_all(self, items: Iterable[Any]) -> None:
        """As in ``Edge``, but one by one, so that each is seen."""
        lay = self.laying()
        for item in items:
            lay(item)

    def take_more(self, most: int) -> list[Any]:
        """As in ``Channel``, but one by one, so that each is seen."""
        return [self.take() for _ in range(min(most, self.ready))]

    def take_out(self, wanted: Callable[[Any], bool]) -> Any:
        """As in ``Channel``."""
        item = super().take_out(wanted)
        if item is not None:
            self._lying.remove(item)
            self._trace.note(f"{{}} is taken back out of the edge into {self.name}", self._bare(item))
        return item

    def receiver_closed(self) -> None:
        """As in ``Channel``."""
        # Those of an edge that has come to its end close it too.
        ended = self.ended()
        super().receiver_closed()
        if not self.abandoned or ended:
            return
        self._cut_off = True
        if self._lying:
            self._trace.note(f"{len(self._lying)} items in the edge into {self.name} are let go")
            self._lying.clear()

    def check_rest(self) -> None:
        """Nothing is ready anywhere: nobody waits for what is there."""
        now = self.statistics()
        if now.items and now.waiting_receivers:
            self._broken(
                "A3", f"{now.items} items lie in the edge into {self.name}, and a receiver waits beside them"
            )
        free = now.capacity - now.items - now.held - now.promised
        if free > 0 and now.waiting_senders and not self._counts_bytes:
            self._broken("A3", f"{free} slots are free in the edge into {self.name}, and a sender waits")

    def waiting(self) -> str:
        """Who waits here, and for what; nothing where nobody does."""
        now = self.statistics()
        if now.waiting_senders:
            return f"the edge into {self.name} is full ({self._fill()}): {now.waiting_senders} wait to send"
        return f"the edge into {self.name} is empty" if now.waiting_receivers else ""

    def check_end(self) -> None:
        """The run came to its end: everything sent was taken, or dropped and counted."""
        if self._cut_off:
            return
        now = self.statistics()
        lost = self._accepted - now.taken - now.dropped
        if lost > 0:
            self._broken(
                "A1", f"the edge into {self.name} lost {lost} of the {self._accepted} items sent there"
            )
        elif lost < 0:
            self._broken("A1", f"out of the edge into {self.name} came {-lost} items more than were sent")

    def _append(self, item: Any, size: int) -> None:
        # Written down first: who is woken by it looks at once, in an eager task.
        self._lying.append(item)
        super()._append(item, size)
        self._lies(item)

    def _was_taken(self, item: Any) -> None:
        self._find(item)
        taker = "the consumer" if self._keeps_slots else self.name
        self._trace.note(f"{taker} takes {{}} ({self._fill()} lie there)", self._bare(item))

    def _lies(self, item: Any) -> None:
        self._trace.note(f"{{}} lies in the edge into {self.name} ({self._fill()})", self._bare(item))
        now = self.statistics()
        if now.items + now.held > now.capacity:
            self._broken("A4", f"the edge into {self.name} holds {self._fill()} items")

    def _deposited(self, waiter: asyncio.Future[bool]) -> None:
        if not waiter.cancelled() and waiter.result():
            self._accepted += 1

    def _find(self, item: Any) -> None:
        passed = 0
        while self._lying:
            if self._lying.popleft() is item:
                break
            passed += 1
        else:
            self._broken("A1", f"out of the edge into {self.name} came an item that was not put in, or twice")
        if passed and self._overflow is not Overflow.DROP_OLDEST:
            self._broken("A8", f"items left the edge into {self.name} in another order than they came")

    def _bare(self, item: Any) -> Any:
        return item[1] if self._wrapped else item

    def _fill(self) -> str:
        now = self.statistics()
        return f"{now.items + now.held} of {now.capacity}"
