"""A stage's items on their way through its threads several at a time, each of them written down."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from .._runtime.call import Call
from .._runtime.chunked import Chunked
from .._runtime.lot import Lot
from .._runtime.pull import NOTHING
from .._threads.chunk import Chunk
from .trace import Trace

__all__ = ("Books", "ObservedChunked")


class Books(Protocol):
    """What is kept of a stage's items, however they go through it."""

    def made(self, number: int, value: Any, most: int) -> None:
        """The item of a number has an outcome, which waits to leave beside at most so many."""

    def leaves(self, value: Any) -> None:
        """A value leaves."""

    def busy(self, workers: int) -> None:
        """So many items are being worked on."""

    def broken(self, rule: str, seen: str) -> None:
        """A rule is broken."""


class ObservedChunked(Chunked):
    """The workers; see ``Chunked``.

    Args:
        trace: Takes what happens, in words.
        name: The stage's.
        books: Keeps what is known of each item.
        parts: As of ``Chunked``.
    """

    def __init__(self, trace: Trace, name: str, books: Books, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._trace = trace
        self._name = name
        self._books = books
        self._drawn = 0
        self._numbers: dict[Lot, int] = {}
        self._busy: set[Chunk] = set()

    async def _take(self) -> Lot:
        lot = await super()._take()
        self._numbers[lot] = self._drawn
        self._drawn += lot.held
        self._check_hands()
        return lot

    async def _see_out(self, call: Call, lot: Lot) -> bool:
        try:
            return await super()._see_out(call, lot)
        finally:
            del self._numbers[lot]

    def _hand_on(self, call: Call, items: deque[Any], tell: Callable[[Chunk], object]) -> Chunk:
        chunk = super()._hand_on(call, items, tell)
        # No thread has it yet: they run when the loop lets them.
        chunk.pending = _Pending(chunk.pending, lambda item: self._begins(chunk, item))
        chunk._values = _Values(lambda value: self._makes(chunk, value))
        return chunk

    def _begins(self, chunk: Chunk, item: Any) -> None:
        """Called in the thread."""
        self._trace.note(f"{self._name} begins {{}}", item)
        self._busy = {each for each in self._busy if each.stop is None} | {chunk}
        self._books.busy(len(self._busy))

    def _makes(self, chunk: Chunk, value: Any) -> None:
        """Called in the thread."""
        self._busy.discard(chunk)
        self._trace.note(f"{self._name} makes {{}}", value)

    def _told(self, lot: Lot, chunk: Chunk) -> None:
        stop = chunk.stop
        if stop is not None:
            self._busy.discard(chunk)
            did = "raises {} on {}" if stop.raised else "has {} of {} to settle"
            self._trace.note(f"{self._name} {did}", stop.value, stop.item)
        super()._told(lot, chunk)

    def _line_up(self, lot: Lot, values: list[Any]) -> None:
        super()._line_up(lot, values)
        for value in values:
            self._books.made(self._numbers[lot], value, self.hands.places + self.hands.claims)
            self._numbers[lot] += 1

    def _put(self, values: list[Any]) -> None:
        for value in values:
            if value is NOTHING:
                self._books.broken("B14", f"{self._name} sends what it has skipped")
            self._books.leaves(value)
        super()._put(values)

    def _check_hands(self) -> None:
        """Whatever is beyond the places has a slot of its own behind."""
        held, most = sum(each.held for each in self._numbers), self.hands.places + self.hands.claims
        if held > most:
            self._books.broken("A4", f"{self._name} has {held} items in hand, and room for {most}")


class _Pending(deque[Any]):
    """Items, of which it is told when one is begun."""

    def __init__(self, items: deque[Any], begins: Callable[[Any], None]) -> None:
        super().__init__(items)
        self._begins = begins

    def popleft(self) -> Any:
        """As of a deque."""
        item = super().popleft()
        self._begins(item)
        return item


class _Values(list[Any]):
    """Values, of which it is told when one is made."""

    def __init__(self, makes: Callable[[Any], None]) -> None:
        super().__init__()
        self._makes = makes

    def append(self, value: Any) -> None:
        """As of a list."""
        self._makes(value)
        super().append(value)
