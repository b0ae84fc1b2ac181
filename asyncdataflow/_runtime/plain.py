"""The loop of a worker on the loop whose stage makes at most one item of each.

It works in stretches: as many items as lie before the stage, fit behind it and make up a
turn are moved with nothing between taking an item, calling the function and putting the
result; see ``baton`` for why that is enough. What suspends, fails or finds no room ends the
stretch and takes the long way, through ``Work``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from ..errors import EndOfChannel
from .baton import Probe, Stretch
from .call import Call
from .channel import Receiver
from .clock import Turn
from .leaving import Leaving
from .meter import Meter
from .result import checked, is_awaited
from .routing import Outlet
from .supervise import Counters

__all__ = ("NO_RESULT", "PlainLoop", "PlainWork")

NO_RESULT: Final = object()
"""Stands where a stage has to return something that it never returns."""

_MOST_AT_ONCE: Final = 256


class PlainWork(Protocol):
    """What the loop needs of its stage's work.

    Attributes:
        inlets: The one inlet.
        outlet: The way out.
        counters: Its figures.
        leaving: How it is cancelled.
        meter: Where its workers leave their time.
    """

    inlets: Any
    outlet: Outlet
    counters: Counters
    leaving: Leaving
    meter: Meter

    def watched(
        self, function: Callable[[Any], Any], lay: Callable[[Any], Any], *, awaits: bool
    ) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """The stage's function and what sends its results, as a stretch shall call them."""

    def passing(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What takes the stage's results where they go straight into the hand of the next stage."""

    async def made_after(self, error: Exception, call: Call, item: Any, since: float) -> Any:
        """What the stage makes of an item in the end, where the first attempt raised ``error``."""

    def own_error(self, raised: BaseException) -> Exception | None:
        """What the stage raised, as an error for its policies; ``None`` where it is not for them."""

    async def emit(self, made: Any) -> None:
        """Send what was made of an item."""


class PlainLoop:
    """One worker.

    Args:
        work: Its stage's work.
        call: Its way to the stage's function, which has a ``direct`` one.
        lay: Puts a result into the edges behind the stage.

    Attributes:
        awaits: What the function returns is to be awaited.
        function: The stage's function, as a stretch calls it.
        lay: As given, watched.
        none: What the function returns where that is no result.
        suspends: It has done so of late.
        began: When the item was begun that :meth:`finish` is for.
    """

    _turn: Turn
    _stretch: Stretch
    _probe: Probe

    def __init__(self, work: PlainWork, call: Call, lay: Callable[[Any], None]) -> None:
        self._work = work
        self._call = call
        self._inlet: Receiver[Any] = work.inlets[0]
        self._channel = self._inlet.channel
        self._baton = self._channel.baton
        self.awaits = call.awaits
        self.function, self.lay = work.watched(call.direct, lay, awaits=call.awaits)
        self.none = NO_RESULT if work.outlet.keeps_none else None
        self._free = work.outlet.free
        self.suspends = False
        self.began = 0.0
        self._usual: type = int
        self._meter = work.meter
        self._open()

    def _open(self) -> None:
        """Make what its stretches and its items alone need."""
        work = self._work
        self._stretch = Stretch(self._baton, self._channel, work.outlet.ways, work.counters, works=True)
        self._probe = Probe(self._baton)

    async def run(self) -> None:
        """Work to the end of the input."""
        work, channel, baton, free = self._work, self._channel, self._baton, self._free
        stretch = self._in_stretch
        turn = self._turn = Turn(asyncio.get_running_loop(), len(work.outlet.channels))
        meter = self._meter
        try:
            while not work.leaving.asked:
                lying, room, left = channel.ready, free(), turn.left
                fit = lying if lying < room else room
                if not fit and turn.patience:
                    await turn.give_way(meter.blocked if lying else meter.waiting, baton)
                    continue
                if not lying:
                    try:
                        await self._wait()
                    except EndOfChannel:
                        return
                    turn.begin()
                    continue
                if not fit or self.suspends or not self._may_stretch():
                    done = await self._one_by_one()
                else:
                    if self.awaits:
                        baton.watch()
                    done = await stretch(fit if fit < left else left)
                if not done:
                    turn.begin()
                elif turn.is_idle_after(done, fit):
                    await turn.give_way(meter.waiting if lying <= room else meter.blocked, baton)
                elif turn.due(done, turn.now):
                    await turn.rest()
        finally:
            self.over()
            work.leaving.begin()

    def over(self) -> None:
        """It has come to its end, whichever; what it has set up elsewhere goes with it."""

    async def _wait(self) -> None:
        """Sleep until there are items; raises ``EndOfChannel`` where none will come."""
        await self._inlet.wait()

    def advance(self, items: int, turn: Turn) -> Coroutine[Any, Any, int]:
        """A stretch of so many items, or with 0 some one by one.

        Args:
            items: How many.
            turn: Whose; it was just looked what time it is.

        Returns:
            How many that may have been; 0 where others ran meanwhile.
        """
        self._turn = turn
        if items < 1 or self.suspends:
            return self._one_by_one()
        if self.awaits:
            self._baton.watch()
        return self._in_stretch(items)

    @property
    def _in_stretch(self) -> Callable[[int], Coroutine[Any, Any, int]]:
        """What does so many items in a stretch."""
        return self._await_each if self.awaits else self._call_each

    async def _await_each(self, items: int) -> int:
        """A stretch of coroutines; how many items that may have been, 0 where others ran meanwhile."""
        function, lay, none, stretch = self.function, self.lay, self.none, self._stretch
        item = result = error = None
        lying = stretch.lift(items)
        stretch.usual = self._usual
        try:
            for item in lying:
                result = await function(item)
                if type(result) is stretch.usual:
                    lay(result)
                    result = None  # Else it lives until the next one is made.
                    continue
                if result is none and stretch.usual is not None:
                    continue
                if result is not none:
                    self._usual = type(checked(result))
                if self._baton.holder is not stretch:
                    self.suspends = not stretch.laid
                    break
                if result is not none:
                    stretch.usual = self._usual
                    lay(result)
                    result = None
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

    async def _call_each(self, items: int) -> int:
        """A stretch of plain calls; as above."""
        function, lay, none, stretch = self.function, self.lay, self.none, self._stretch
        item = result = error = None
        lying = stretch.lift(items)
        stretch.usual = self._usual
        try:
            for item in lying:
                result = function(item)
                if type(result) is stretch.usual:
                    lay(result)
                    result = None  # Else it lives until the next one is made.
                    continue
                if result is none and stretch.usual is not None:
                    continue
                if is_awaited(type(result)):
                    self._baton.watch()  # Nobody knew before that this one may suspend.
                    result = await result
                if result is not none:
                    self._usual = type(checked(result))
                if self._baton.holder is not stretch:
                    self.suspends = not stretch.laid
                    break
                if result is not none:
                    stretch.usual = self._usual
                    lay(result)
                    result = None
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

    def _end(self, items: int) -> int:
        """A stretch is done with: its items took alike."""
        self._stretch.end()
        turn = self._turn
        began, turn.now = turn.now, self._meter.clock()
        self._meter.recorder.add_together(turn.now - began, items)
        return items

    async def _see_out(self, items: int, error: Exception | None, item: Any, result: Any) -> int:
        """The item that ended a stretch of so many; as of a stretch, how many that may have been."""
        failed = error is not None
        self.began = self._count_before()
        try:
            await self.finish(error, item, result)
        finally:
            del error, item  # As above.
        self._turn.look()
        return items if failed else 0

    def _count_before(self) -> float:
        """A stretch has ended with an item in hand: count those before it; when this one was begun."""
        stretch, began = self._stretch, self._turn.now
        before = stretch.taken - 1
        if before < 1:
            return began
        self._meter.recorder.add_together(stretch.until - began, before)
        return stretch.until

    async def _one_by_one(self) -> int:
        """Items of a function that does suspend, or of which one finds no room.

        Returns:
            1 behind an item that did not suspend; 0 where others ran.
        """
        work, channel, baton, probe = self._work, self._channel, self._baton, self._probe
        function, awaits, none = self.function, self.awaits, self.none
        counters, outlet, leaving = work.counters, work.outlet, work.leaving
        clock, began, took = self._meter.clock, self._turn.now, self._meter.recorder.each()
        while channel.ready and not leaving.asked and len(took) < _MOST_AT_ONCE:
            result = error = None
            item = channel.take()
            counters.received += 1
            baton.holder = probe
            try:
                result = function(self._value_of(item))
                if awaits or is_awaited(type(result)):
                    result = await result
                if result is not none and type(result) is not self._usual:
                    self._usual = type(checked(result))
            except (asyncio.CancelledError, Exception) as raised:
                error = self._own_error(raised)
                if error is None:
                    raise
            self.suspends = baton.holder is not probe
            waits = False
            if error is None and result is not none and outlet.free() > 0:
                now = clock()
                took.append(now - began)
                began = now
                self.lay(self._made_of(item, result))
                counters.sent += 1
                counters.settled += 1
                for each in outlet.ways:
                    each.laid()
            else:
                waits = result is not none and outlet.is_full()
                self.began = began
                try:
                    await self.finish(error, item, result)
                finally:
                    error = item = None  # The error's traceback has this frame: a cycle.
                began = clock()
            if not self.suspends:
                self._turn.now = began
                return int(not waits)
        return 0

    def _own_error(self, raised: BaseException) -> Exception | None:
        if self._baton.holder in (self._stretch, self._probe):
            self._baton.drop()
        return self._work.own_error(raised)

    async def finish(self, error: Exception | None, item: Any, result: Any) -> None:
        """The long way for an item: it has failed, there is no room, or somebody else ran meanwhile."""
        if error is None:
            result = self._made_of(item, result)
        else:
            try:
                result = await self._work.made_after(error, self._call, item, 0.0)
            finally:
                del error, item  # The traceback gets this frame: a cycle.
        self._meter.recorder.add(self._meter.clock() - self.began)
        await self._send(result)

    def _value_of(self, item: Any) -> Any:
        """What the function is called with."""
        return item

    def _made_of(self, item: Any, result: Any) -> Any:
        """What is sent."""
        return result

    def _may_stretch(self) -> bool:
        """Nothing that came earlier is still on its way through the stage, where that matters."""
        return True

    async def _send(self, result: Any) -> None:
        await self._work.emit(result)
