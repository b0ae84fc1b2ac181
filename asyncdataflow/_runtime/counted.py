"""The inlets of an operator that takes whole streams apart."""

from __future__ import annotations

from typing import Any

from .channel import Receiver
from .leaving import Leaving
from .supervise import Counters

__all__ = ("Counted",)


class Counted:
    """An inlet that counts what an operator takes."""

    __slots__ = ("_counters", "_leaving", "_receiver")

    def __init__(self, receiver: Receiver[Any], counters: Counters, leaving: Leaving) -> None:
        self._receiver = receiver
        self._counters = counters
        self._leaving = leaving

    def close(self) -> None:
        """Say that no more is wanted; whoever only cleans up behind that is not cancelled."""
        self._leaving.begin()
        self._receiver.close()

    async def receive(self) -> Any:
        """The next item."""
        item = await self._receiver.receive()
        self._counters.received += 1
        return item

    def receive_nowait(self) -> Any:
        """The next item, where one lies there."""
        item = self._receiver.receive_nowait()
        self._counters.received += 1
        return item
