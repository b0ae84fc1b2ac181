"""The loop of a worker on the loop that chooses where each item goes: as ``plain``, with several ways out.

What the stage's function says of an item mostly is the name of a branch, and that is all there
is to be known: the item goes there as it is. Whatever else it says is for the operator to judge.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Mapping, Sequence
from operator import attrgetter
from typing import Any, Protocol

from ..operators.protocol import Delivery, ItemOperator
from ..stage import Stage
from .call import Call
from .forks import Forks, ForkStretch, Lay
from .plain import PlainLoop, PlainWork
from .result import checked, is_awaited

__all__ = ("RoutedLoop", "RoutedWork")


class RoutedWork(PlainWork, Protocol):
    """What the loop needs of its stage's work.

    Attributes:
        stage: The stage.
        branches: Names of the branches behind it.
        tracks: Its items are tracked.
    """

    stage: Stage[Any, Any]
    branches: Sequence[str | None]
    tracks: bool

    def watched_ways(self, lays: Mapping[str, Lay]) -> Mapping[str, Lay]:
        """What sends an item as it is, by what the function says of it, as a stretch shall call it."""

    def deliveries(self, item: Any, result: Any) -> list[Delivery]:
        """What goes where of an item, of which the function has said so."""

    async def whole(self, call: Call, item: Any) -> None:
        """An item from taking to sending."""


class RoutedLoop(PlainLoop):
    """One worker.

    Args:
        work: Its stage's work.
        call: Its way to the stage's function, which has a ``direct`` one, if there is a function.
        lay: As of a plain loop.
        operator: What judges what the function says.
        forks: The edges behind the stage.
    """

    _work: RoutedWork

    def __init__(
        self, work: RoutedWork, call: Call, lay: Lay, *, operator: ItemOperator, forks: Forks
    ) -> None:
        self._is_called = work.stage.fn is not None
        direct = call.direct if self._is_called else _itself
        super().__init__(work, dataclasses.replace(call, direct=direct), lay)
        self._stretch = self._choices = ForkStretch(
            self._baton, self._channel, forks.channels, work.counters, works=True
        )
        self._slow_call = dataclasses.replace(self._call, one=self._one)
        self._forks = forks
        self._free = forks.free
        forks.name(operator.places(work.branches), work.watched_ways)

    def over(self) -> None:
        """As of a plain loop."""
        del self._slow_call  # A cycle.

    @property
    def _in_stretch(self) -> Callable[[int], Coroutine[Any, Any, int]]:
        return self._choose_for_each

    async def _choose_for_each(self, items: int) -> int:
        """A stretch; how many items that may have been, 0 where others ran meanwhile."""
        function, awaits, tracks = self.function, self.awaits, self._work.tracks
        stretch, ways = self._stretch, self._forks.named(items)
        given = attrgetter("given" if self._is_called else "item")
        item = result = error = None
        lying = stretch.lift(items)
        stretch.usual = str
        try:
            for item in lying:
                result = function(given(item) if tracks else item)
                if awaits:
                    result = await result
                if type(result) is stretch.usual and result in ways:
                    ways[result](item)
                    continue
                if self._is_called and not awaits and is_awaited(type(result)):
                    self._baton.drop()  # Nobody watches whether a plain function suspends.
                    result = await result
                result = self._judged(item, result)
                if self._baton.holder is not stretch:
                    self.suspends = not stretch.laid
                    break
                if not self._is_laid(result):
                    break
                result = None  # Else it lives until the next one is made.
            else:
                return self._end(items)
        except (asyncio.CancelledError, Exception) as raised:
            error = self._own_error(raised)
            if error is None:
                raise
        try:
            return await self._see_out(items, error, item, result)
        finally:
            del error, item  # The error's traceback has this frame: a cycle.

    def _judged(self, item: Any, result: Any) -> list[Delivery]:
        """What goes where; the function may have suspended."""
        return self._work.deliveries(item, checked(result) if self._is_called else result)

    def _is_laid(self, made: list[Delivery]) -> bool:
        """In a stretch, send that if it finds room; false where the stretch is over."""
        if not made:
            self._choices.filtered += 1
        elif self._forks.fits(made):
            self.lay(made)
        else:
            self._baton.drop()
            return False
        return True

    async def _one_by_one(self) -> int:
        """An item of a function that suspends, or where no branch has room."""
        await self._work.whole(self._slow_call, self._channel.take())
        self._turn.look()
        return int(not self.suspends)

    async def _one(self, item: Any) -> Any:
        """Call the function; whether it has suspended."""
        baton, probe = self._baton, self._probe
        baton.drop()
        baton.holder = probe
        try:
            return await self._call.one(item)
        finally:
            self.suspends = baton.holder is not probe
            if not self.suspends:
                baton.drop()


def _itself(item: Any) -> Any:
    """Where there is no function, an item says itself where it goes."""
    return item
