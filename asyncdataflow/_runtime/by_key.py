"""The loop of one of several workers that keep the order of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from .call import Call
from .crew import Crew
from .keyed import Keyed
from .plain import PlainWork
from .relay import Relay
from .result import checked, is_awaited

__all__ = ("KeyedLoop", "KeyedWork")

_NO_KEY: Final = object()
"""Stands for a key that is not known yet, or cannot be had."""


class KeyedWork(PlainWork, Protocol):
    """What the loop needs besides."""

    async def whole(self, call: Call, item: Any) -> None:
        """An item from taking to sending."""

    async def keyed_item(self, call: Call, item: Any) -> None:
        """An item from taking to sending, or to its place behind another one of its key."""

    async def rest_of_key(self, call: Call, key: Any) -> None:
        """What was parked behind an item that is done."""

    async def without_key(self, error: Exception, item: Any) -> None:
        """An item whose key cannot be had has failed in the stage."""


class KeyedLoop(Crew):
    """One worker; it may do a stretch of items whose keys nobody works on.

    A stretch has a place reserved, for the item at which it ends if its key is another worker's.

    Args:
        work: As of a plain loop.
        call: As of a plain loop.
        lay: As of a plain loop.
        relay: The stage's.
        key: Gives an item's key.
        keyed: The stage's.
    """

    def __init__(
        self,
        work: KeyedWork,
        call: Call,
        lay: Callable[[Any], None],
        relay: Relay,
        key: Callable[[Any], Any],
        keyed: Keyed,
    ) -> None:
        super().__init__(work, call, lay, relay)
        self._keyed_work = work
        self._key_of = key
        self._keyed = keyed
        self._key: Any = _NO_KEY
        self._has_place = False
        self._worker = asyncio.current_task()

    def _disturbed(self) -> None:
        if self._key is not _NO_KEY:
            # Others run while an item is in hand: its key is this worker's.
            self._keyed.enter(self._key, self._worker)
            self._give_place_back()
        super()._disturbed()

    def _give_place_back(self) -> None:
        if self._has_place:
            self._has_place = False
            self._keyed.unreserve()

    def _may_stretch(self) -> bool:
        if not self._has_place:
            if not self._keyed.has_place:
                return False
            self._keyed.reserve_now()
            self._has_place = True
        return super()._may_stretch()

    @property
    def _in_stretch(self) -> Callable[[int], Coroutine[Any, Any, int]]:
        return self._by_key

    async def _by_key(self, items: int) -> int:
        self._baton.watch()  # Also where plain functions may hand back what is to be awaited.
        try:
            return await self._each(items)
        finally:
            self._give_place_back()

    async def _each(self, items: int) -> int:
        """A stretch, of coroutines or of plain calls."""
        function, lay, none, usual, awaits = self.function, self.lay, self.none, self._usual, self.awaits
        key_of, taken, stretch, baton = self._key_of, self._keyed.keys, self._stretch, self._baton
        item = key = result = error = None
        lines_up = False
        lying = stretch.lift(items)
        try:
            for item in lying:
                self._key = _NO_KEY
                key = key_of(item)
                if key in taken or baton.holder is not stretch:
                    # The key function may have asked the run something, behind which others may have the key.
                    baton.drop()
                    lines_up = True
                    break
                self._key = key
                result = function(item)
                if awaits or is_awaited(type(result)):
                    result = await result
                if type(result) is usual and baton.holder is stretch:
                    lay(result)
                    result = None  # Else it lives until the next one is made.
                    continue
                if result is not none:
                    usual = self._usual = type(checked(result))
                if baton.holder is not stretch:
                    self.suspends = not stretch.laid
                    break
                if result is not none:
                    lay(result)
                    result = None
            else:
                return self._end(items)
        except (asyncio.CancelledError, Exception) as raised:
            error = self._own_error(raised)
            if error is None:
                raise
        try:
            if lines_up:
                await self._queue(key, item)
                return items
            return await self._see_out(items, error, item, result)
        finally:
            del error, item  # The error's traceback has this frame: a cycle.

    async def _queue(self, key: Any, item: Any) -> None:
        """An item was taken, and not begun: it lines up in the place reserved."""
        self._has_place = False
        self._work.counters.received -= 1
        self._count_before()
        if self._keyed.begin(key, item):
            await self._keyed_work.whole(self._call, item)
            await self._keyed_work.rest_of_key(self._call, key)
        self._turn.look()

    def _one_by_one(self) -> Coroutine[Any, Any, int]:
        self._channel.leave(self)
        return self._in_line()

    async def _in_line(self) -> int:
        """One item, where others of its key may be under way."""
        if not self._has_place:
            if not self._keyed.has_place:
                # Whoever waits for items may as well wait for a place, and not beside an item.
                self._channel.wake_next()
            await self._keyed.reserve()
        self._has_place = self.suspends = False
        if not self._channel.ready:
            self._keyed.unreserve()
            return 0
        await self._keyed_work.keyed_item(self._call, self._channel.take())
        self._turn.look()
        return 1

    async def finish(self, error: Exception | None, item: Any, result: Any) -> None:
        """As of a plain loop; then what has lined up behind it."""
        if self._key is not _NO_KEY:
            await super().finish(error, item, result)
            await self._keyed_work.rest_of_key(self._call, self._key)
        elif error is not None:
            await self._keyed_work.without_key(error, item)
