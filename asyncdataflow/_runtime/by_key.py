"""The loop of one of several workers that keep the order of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, Protocol

from .call import Call
from .keyed import Keyed
from .plain import PlainLoop, PlainWork

__all__ = ("KeyedLoop", "KeyedWork")


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


class _HasToLineUpError(Exception):
    """Ends a stretch at an item that may be another worker's turn by its key."""


_Known = Literal["not yet", "known", "failed", "to line up"]


class KeyedLoop(PlainLoop):
    """One worker; it may do a stretch of items whose keys nobody works on.

    A stretch has a place reserved, for the item at which it ends if its key is another worker's.

    Args:
        work: As of a plain loop.
        call: As of a plain loop.
        lay: As of a plain loop.
        key: Gives an item's key.
        keyed: The stage's.
    """

    def __init__(
        self,
        work: KeyedWork,
        call: Call,
        lay: Callable[[Any], None],
        key: Callable[[Any], Any],
        keyed: Keyed,
    ) -> None:
        super().__init__(work, call, lay)
        self._keyed_work = work
        self._key_of = key
        self._keyed = keyed
        self._key: Any = None
        self._known: _Known = "not yet"
        self._has_place = False
        self._worker = asyncio.current_task()
        self.function = _by_key(self._set_key, self.function, awaits=call.awaits)
        self._stretch.on_interrupt = self._enter

    def _set_key(self, item: Any) -> None:
        self._known = "not yet"
        try:
            self._key = self._key_of(item)
            busy = self._keyed.is_busy(self._key)
        except BaseException:
            self._known = "failed"
            raise
        if busy or self._baton.holder is not self._stretch:
            # The key function may have asked the run something, behind which others may have the key.
            self._known = "to line up"
            raise _HasToLineUpError
        self._known = "known"

    def _enter(self) -> None:
        """Others run while an item is in hand: its key is this worker's."""
        if self._known == "known":
            self._keyed.enter(self._key, self._worker)
            self._give_place_back()

    def _give_place_back(self) -> None:
        if self._has_place:
            self._has_place = False
            self._keyed.unreserve()

    def _may_stretch(self) -> bool:
        if not self._has_place and self._keyed.has_place:
            self._keyed.reserve_now()
            self._has_place = True
        return self._has_place

    async def _await_each(self, items: int) -> int:
        try:
            return await super()._await_each(items)
        finally:
            self._give_place_back()

    async def _call_each(self, items: int) -> int:
        try:
            return await super()._call_each(items)
        finally:
            self._give_place_back()

    async def _one_by_one(self) -> int:
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
        return 1

    def _own_error(self, raised: BaseException) -> Exception | None:
        if isinstance(raised, _HasToLineUpError):
            self._baton.drop()
            return raised
        return super()._own_error(raised)

    async def finish(self, error: Exception | None, item: Any, result: Any) -> None:
        if self._known == "known":
            await super().finish(error, item, result)
            await self._keyed_work.rest_of_key(self._call, self._key)
        elif self._known == "failed" and error is not None:
            await self._keyed_work.without_key(error, item)
        else:
            # Taken, and not begun: it lines up in the place reserved.
            self._has_place = False
            self._work.counters.received -= 1
            if self._keyed.begin(self._key, item):
                await self._keyed_work.whole(self._call, item)
                await self._keyed_work.rest_of_key(self._call, self._key)


def _by_key(
    set_key: Callable[[Any], None], function: Callable[[Any], Any], *, awaits: bool
) -> Callable[[Any], Any]:
    if not awaits:

        def call(item: Any) -> Any:
            set_key(item)
            return function(item)

        return call

    async def wait(item: Any) -> Any:
        set_key(item)
        return await function(item)

    return wait
