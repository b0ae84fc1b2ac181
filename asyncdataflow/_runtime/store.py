"""Store: what lies in a channel, counted against its bounds; it wakes and waits for nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..errors import BufferFullError
from ..policy import Buffer, Overflow

__all__ = ("Store",)

T = TypeVar("T")


class Store(Generic[T]):
    """Items in order, the slots taken besides, and the bytes of both.

    Args:
        name: Whose edge it is, for errors.
        buffer: The bounds.
        overflow: What happens to an item that finds no room.
        tagged: Items are ``(tag, item)``, and the item is what is measured.

    Attributes:
        items: What lies here.
        held: Items taken whose slot is not free yet.
        claims: Slots promised to senders.
        dropped: Items dropped so far.
        is_bare: Only a number of items bounds it, and none is ever dropped.
        on_drop: Called with each item dropped, where somebody wants to know.
    """

    __slots__ = (
        "_buffer",
        "_bytes",
        "_claimed",
        "_most",
        "_overflow",
        "_sizes",
        "_tagged",
        "claims",
        "dropped",
        "held",
        "is_bare",
        "items",
        "name",
        "on_drop",
    )

    def __init__(self, name: str, buffer: Buffer, overflow: Overflow, *, tagged: bool) -> None:
        self.name = name
        self.items: deque[T] = deque()
        self.held = self.claims = self.dropped = 0
        self._buffer = buffer
        self._overflow = overflow
        self._tagged = tagged
        self._sizes: deque[int] | None = None if buffer.bytes is None else deque()
        self._bytes = self._claimed = 0
        self._most = buffer.items
        self.is_bare = self._sizes is None and overflow is Overflow.BLOCK
        self.on_drop: Callable[[T], None] | None = None

    @property
    def room(self) -> int:
        """Slots that are free for sure, whatever the items' size; 0 where that cannot be known."""
        if not self.is_bare:
            return 0
        room = self._most - len(self.items) - self.held - self.claims
        return room if room > 0 else 0

    def measure(self, item: Any) -> int:
        """An item's bytes, where they are counted."""
        if self._sizes is None:
            return 0
        return self._buffer.size(item[1] if self._tagged else item)

    def fits(self, size: int) -> bool:
        """Room for one more of that size; one oversize item passes alone."""
        occupied = len(self.items) + self.held + self.claims
        if occupied >= self._buffer.items:
            return False
        limit = self._buffer.bytes
        return limit is None or not occupied or self._bytes + self._claimed + size <= limit

    def append(self, item: T, size: int) -> None:
        """Put an item behind the others."""
        self.items.append(item)
        if self._sizes is not None:
            self._sizes.append(size)
            self._bytes += size

    def pop(self) -> T:
        """Take the first item."""
        if self._sizes is not None:
            self._bytes -= self._sizes.popleft()
        return self.items.popleft()

    def pop_more(self, count: int) -> list[T]:
        """Take the first items."""
        if self._sizes is not None:
            return [self.pop() for _ in range(count)]
        if count == len(self.items):
            items = list(self.items)
            self.items.clear()
            return items
        take = self.items.popleft
        return [take() for _ in range(count)]

    def claim(self, size: int) -> None:
        """Promise a slot."""
        self.claims += 1
        self._claimed += size

    def unclaim(self, size: int) -> None:
        """The promise is kept, or needed no more."""
        self.claims -= 1
        self._claimed -= size

    def overflows(self, size: int, item: T) -> bool | None:
        """What becomes of an item without room.

        True: it may be put now. False: it was dropped. ``None``: it has to wait.
        """
        if self._overflow is Overflow.BLOCK:
            return None
        if self._overflow is Overflow.FAIL:
            raise BufferFullError(
                f"the edge into {self.name} is full ({self._buffer.items} items) and its overflow is 'fail'"
            )
        if self._overflow is Overflow.DROP_NEWEST or not self.items:
            self._drop(item)
            return False
        while self.items and not self.fits(size):
            self._drop(self.pop())
        return True

    def _drop(self, item: T) -> None:
        self.dropped += 1
        if self.on_drop is not None:
            self.on_drop(item)
