"""The loop of one of several workers of a stage on the loop: one of them leads, while nothing suspends.

Where no call suspends, a second worker has nothing to add: it would be woken for nothing, or take
its items at the price of a wake-up. So the worker that does a stretch *attends* to the edge for as
long as it is awake, and those that sleep beside it are left asleep. Whether its call suspends, which
no line of its own can tell, the loop tells: what was put on its list before the stretch runs only
then (leader and followers, see ``edge``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from .call import Call
from .plain import PlainLoop, PlainWork
from .tracked_plain import TrackedLoop

__all__ = ("Crew", "TrackedCrew")


class Crew(PlainLoop):
    """One worker.

    Args:
        work: As of a plain loop.
        call: As of a plain loop.
        lay: As of a plain loop.
    """

    def __init__(self, work: PlainWork, call: Call, lay: Callable[[Any], None]) -> None:
        super().__init__(work, call, lay)
        self._loop = asyncio.get_running_loop()
        self._will_look = False
        self._stretch.on_interrupt = self._disturbed

    async def run(self) -> None:
        """As of a plain loop."""
        try:
            await super().run()
        finally:
            self._channel.leave(self)

    async def _wait(self) -> None:
        self._channel.leave(self)
        await self._inlet.wait()

    def _may_stretch(self) -> bool:
        if self._channel.attend(self) and not self._will_look:
            self._will_look = True
            self._loop.call_soon(self._look)
        return True

    def _look(self) -> None:
        """The loop goes on: either the stretch is over, or the worker is suspended in it."""
        self._will_look = False
        if self._baton.holder is self._stretch:
            self._baton.drop()

    def _disturbed(self) -> None:
        """Others run while it has an item in hand: they have to attend to what lies there."""
        self._channel.leave(self)

    def _one_by_one(self) -> Coroutine[Any, Any, int]:
        self._channel.leave(self)
        return super()._one_by_one()


class TrackedCrew(Crew, TrackedLoop):
    """One worker, with tracked items."""
