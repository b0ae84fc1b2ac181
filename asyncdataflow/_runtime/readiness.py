"""Readiness: whether all is open that a run needs before it can be said to work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from .call import Calls

__all__ = ("Readiness",)


class Readiness:
    """Of one run: its resources, its sources and sinks, and what its workers on the loop have of their own.

    A source that is opened anew when it fails is waited for until it is open. What threads and
    processes have of their own is made with their first items, and not waited for.
    """

    def __init__(self) -> None:
        self._told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._left: list[Calls] = []

    def watch(self, calls: Iterable[Calls]) -> None:
        """Resources are open and workers have started, who open the rest."""
        self._left = [each for each in calls if each.unopened]
        for each in self._left:
            each.on_opened = self._look
        self._look()

    def give_up(self) -> None:
        """It is to end, or has ended."""
        if not self._told.done():
            self._told.set_result(False)

    async def wait(self) -> bool:
        """Wait until all is open; false where it is to end, or has ended, before."""
        return await asyncio.shield(self._told)

    def _look(self) -> None:
        while self._left and not self._left[-1].unopened:
            self._left.pop()
        if not self._left and not self._told.done():
            self._told.set_result(True)
