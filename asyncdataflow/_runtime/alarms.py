"""Alarms: what a run does later, if it has not ended by then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ("Alarms",)


class Alarms:
    """Of one run.

    Args:
        loop: Its loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def set(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it then, once however often it is asked for: the last time counts."""
        if call in self._timers:
            self._timers[call].cancel()
        self._timers[call] = self._loop.call_later(seconds, call)

    def clear(self) -> None:
        """The run has ended."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
