"""The stretches of a source in a thread, whose thread makes items ahead of the loop.

Where it is the only sender, what is free behind it stays free for what it makes. Where others send
there too, slots are promised to it when its thread gets leave to make items, or it would have to make
them one by one, with a wake-up of the thread and one of the loop for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .._threads.job import LaneIterator
from .pull import NOTHING, PullAhead, Pulled
from .routing import Outlet

__all__ = ("PullPromised",)

_MOST: Final = 1024


class PullPromised(PullAhead):
    """Pulls an iterator that lives in a thread.

    Args:
        iterator: What its thread makes, of which nothing was asked for yet.
        outlet: Where its items go.
        parts: As of ``PullAhead``.
    """

    def __init__(self, iterator: LaneIterator, outlet: Outlet, *parts: Any) -> None:
        super().__init__(*parts)
        self._outlet = outlet
        self._slots = self._used = 0
        self._iterator = iterator
        self._sure, iterator.room = iterator.room, self._promise

    def _promise(self) -> int:
        """Items that its thread may make ahead; all that it was to make before have come, and left."""
        # Maybe in the midst of a stretch, which has put them where they belong.
        self._used = 0
        self._release(self._slots)
        sure = self._sure()
        if not sure:
            self._slots = self._outlet.claim(_MOST, 0)
        # With the one it has leave for anyway as many as there are slots: one in hand gives its own back.
        return sure or max(self._slots - 1, 0)

    def free(self, outlet: Callable[[], int]) -> int:
        """As of ``PullAhead``, with the slots of those items that are made, or of the next."""
        return outlet() + min(self._slots, len(self._iterator.ready) or 1)

    async def pull(self, items: int) -> Pulled:
        """As of ``PullAhead``."""
        self._used = min(self._slots, len(self._iterator.ready))
        pulled = await super().pull(items)
        sent, handed_back, _ = pulled
        # Behind the stretch, which has put as many items there: nobody could take the slots in between.
        self._put(sent)
        if handed_back is not NOTHING:
            # It has to wait for a slot, and all of them may be promised.
            self._release(min(self._slots, 1))
        return pulled

    def _wait(self) -> None:
        """As of ``PullAhead``; what has come lies there already, and the next may be long in coming."""
        super()._wait()
        self._put(self._stretch.laid)

    def _put(self, items: int) -> None:
        """So many lie where slots were promised for them; not to be said of any twice."""
        self._release(min(self._used, items))
        self._used = 0

    def __exit__(self, *_: object) -> None:
        """As of ``PullAhead``."""
        self._release(self._slots)
        self._iterator.room = self._sure  # A cycle.

    def _release(self, slots: int) -> None:
        """So many are promised no more: an item lies there, or is not going to come."""
        if slots:
            self._slots -= slots
            self._outlet.unclaim(slots)
