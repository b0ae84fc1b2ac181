"""The loop of one of several workers that keep the order of each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from .call import Call
from .keyed import Keyed
from .plain import PlainLoop, PlainWork

__all__ = ("KeyedLoop", "KeyedWork")


class KeyedWork(PlainWork, Protocol):
    """What the loop needs besides."""

    async def keyed_item(self, call: Call, item: Any) -> None:
        """An item from taking to sending, or to its place behind another one of its key."""

    async def rest_of_key(self, call: Call, key: Any) -> None:
        """What was parked behind an item that is done."""

    async def without_key(self, error: Exception, item: Any) -> None:
        """An item whose key cannot be had has failed in the stage."""


class KeyedLoop(PlainLoop):
    """One worker; while no key is being worked on, it may do a stretch of items whatever their keys.

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
        self._failed: Exception | None = None
        self._worker = asyncio.current_task()
        self._function = _by_key(self._set_key, self._function, awaits=call.awaits)
        self._stretch.on_interrupt = self._enter

    def _set_key(self, item: Any) -> None:
        self._failed = None
        try:
            self._key = self._key_of(item)
            hash(self._key)
        except Exception as error:
            self._failed = error
            raise

    def _enter(self) -> None:
        """Others run while an item is in hand: its key is this worker's."""
        if self._failed is None:
            self._keyed.enter(self._key, self._worker)

    def _may_stretch(self) -> bool:
        return self._keyed.is_idle

    async def _one_by_one(self) -> int:
        if not self._keyed.has_place:
            # Whoever waits for items may as well wait for a place, and not beside an item.
            self._channel.wake_next()
        await self._keyed.reserve()
        if not self._channel.ready:
            self._keyed.unreserve()
            return 0
        await self._keyed_work.keyed_item(self._call, self._channel.take())
        return 1

    async def _finish(self, error: Exception | None, item: Any, result: Any) -> None:
        if error is not None and error is self._failed:
            await self._keyed_work.without_key(error, item)
            return
        await super()._finish(error, item, result)
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
