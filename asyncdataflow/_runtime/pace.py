"""Pace: how many items go to a thread at once, by the time that one takes.

A chunk is to last about as long as handing it over is not worth mentioning beside it, and
no longer. Nothing is known of a stage before its first item, which goes alone; what is
known may be wrong for the next, so that chunks at most double.
"""

from __future__ import annotations

from typing import Final

__all__ = ("Pace",)

_MOST: Final = 1024

_LEAST_SECONDS: Final = 1e-7
"""Of an item; under a virtual clock most take no time at all."""

_WORTH: Final = 0.1
"""Of a chunk's time: less than that is not worth another thread, which costs as much as it saves."""

_JUMP: Final = 4
"""How much slower than the average a chunk counts at most: it may only have waited for the interpreter."""


class Pace:
    """The length of a stage's chunks.

    Args:
        seconds: What a chunk is to last.
    """

    __slots__ = ("_each", "_most", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._each: float | None = None
        self._most = 1

    def length(self, lying: int, idle: int) -> int:
        """Of so many items that lie there, those that one thread gets, with so many idle ones.

        Every idle thread is to get work, where there is enough of it.
        """
        if self._each is None:
            return 1
        share = -(-lying // max(idle, 1))
        share = max(share, int(self._seconds * _WORTH / self._each))
        return max(min(self._most, int(self._seconds / self._each), share, lying), 1)

    @property
    def is_quick(self) -> bool:
        """One item is not worth another thread."""
        return not self.is_worth(1)

    def is_worth(self, items: int) -> bool:
        """So many items are worth another thread while one is at work."""
        return self._each is None or items * self._each >= self._seconds * _WORTH

    def took(self, items: int, seconds: float) -> None:
        """So many items took so long, one after the other."""
        if not items:
            return
        each = max(seconds / items, _LEAST_SECONDS)
        if self._each is None:
            self._each = each
        else:
            self._each += (min(each, self._each * _JUMP) - self._each) / 4
        if items >= self._most:
            self._most = min(self._most * 2, _MOST)

    def late(self) -> None:
        """A chunk takes far longer than it was to: the next ones are shorter, until they prove well."""
        self._most = max(self._most // 4, 1)
