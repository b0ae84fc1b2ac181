"""Making: what a stage makes of one item, under its policies, and where that goes.

A worker's loop takes the items; everything that concerns one item is here.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from ..errors import ChannelClosed
from ..following import Following
from ..operators.protocol import Delivery, ItemOperator, StreamOperator
from ..stage import Stage
from .call import Call, Calls
from .channel import Receiver, Sender
from .clock import Limiter, time_of
from .forks import Lay
from .leaving import Leaving
from .meter import Meter
from .pull import NOTHING
from .routing import Outlet
from .supervise import Counters, Supervisor, TrackedSupervisor, not_an_ending, own_cancel
from .tracked import Tracked, made_of, parts_of_item

__all__ = ("Making",)


class Making:
    """One stage of one run, an item at a time.

    Args:
        stage: A stage of the graph.
        calls: Its callable, ready to be called.
        inlets: Its receiving ends, one a port; none for a source.
        outlet: Where what it makes goes.
        dead_letters: The edge to its dead-letter sink, where it has one.
        branches: Names of the branches behind it.
        tracks: Its items are ``Tracked``, because a source of the run is answered, or instruments follow.

    Attributes:
        branches: As given.
        counters: Its figures, but for a stretch under way.
        leaving: How its workers are cancelled.
        meter: Where its workers leave their time.
        limiter: Where it begins no more items than so many in a time.
        following: What follows the messages of the run, where instruments do.
    """

    # Not of each: an object of thirty attributes costs several times as much.
    following: Following | None = None

    def __init__(
        self,
        stage: Stage[Any, Any],
        calls: Calls,
        inlets: Sequence[Receiver[Any]],
        outlet: Outlet,
        dead_letters: Sender[Any] | None = None,
        branches: Sequence[str | None] = (),
        *,
        tracks: bool = False,
    ) -> None:
        self.stage = stage
        self.calls = calls
        self.inlets = inlets
        self.outlet = outlet
        self.dead_letters = dead_letters
        self.counters = Counters()
        self.tracks = tracks
        sort = TrackedSupervisor if tracks else Supervisor
        self.supervisor = sort(stage, self.counters, dead_letters)
        self.leaving = Leaving()
        self.branches = branches
        self._many = stage.call is not None and stage.call.many
        self._loop = asyncio.get_running_loop()
        clock = inlets[0].channel.baton.clock if inlets else time_of(self._loop)
        self.meter = Meter(clock, stage.concurrency)
        if len(inlets) > 1:
            self.meter.waits_at_several()
        for inlet in inlets:
            inlet.channel.meter = self.meter
        outlet.counts(self.meter, self.counters)
        if dead_letters is not None:
            dead_letters.meter = self.meter
        self.limiter = None if stage.rate is None else Limiter(stage.rate, self._loop)
        operator = stage.operator
        self._operator = operator if operator is not None and isinstance(operator, ItemOperator) else None

    @property
    def figures(self) -> Counters:
        """The counters, with what a stretch under way has done."""
        channels = [*self.outlet.channels, *(each.channel for each in self.inlets)]
        holder = channels[0].baton.holder if channels else None
        if holder is None:
            return self.counters
        figures = dataclasses.replace(self.counters)
        holder.count_interrupted(self.counters, figures)
        return figures

    @property
    def in_flight(self) -> int:
        """Items begun and not yet settled."""
        counters = self.figures
        if isinstance(self.stage.operator, StreamOperator):
            return counters.received - counters.sent if self.stage.operator.one_to_one else 0
        if self._many:
            return counters.received - counters.settled
        ended = (
            counters.sent + counters.filtered + counters.skipped + counters.dead_lettered + counters.failed
        )
        return counters.received - ended

    def watched(
        self, function: Callable[[Any], Any], lay: Callable[[Any], Any], *, awaits: bool
    ) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """The stage's function and what sends its results, as a stretch shall call them."""
        return function, lay

    def passing(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What takes the stage's results where they go straight into the hand of the next stage."""
        return function

    def watched_source(self, lay: Callable[[Any], None]) -> Callable[[Any], None]:
        """What sends an item of a source, as a stretch shall call it."""
        return lay

    def watched_ways(self, lays: Mapping[str, Lay]) -> Mapping[str, Lay]:
        """What sends an item as it is, by what the function says of it, as a stretch shall call it."""
        return lays

    async def _made(self, call: Call, item: Any) -> Any:
        """What the stage makes of an item, under its policies."""
        self.counters.received += 1
        if self.limiter is not None:
            await self.limiter.wait()
        since = self._loop.time() if self.stage.retry is not None else 0.0
        meter = self.meter
        meter.left -= 1
        times = 0 if meter.left else meter.timed()
        began = meter.clock() if times else 0.0
        try:
            made = await self._once(call, item)
        except (asyncio.CancelledError, Exception) as raised:
            error = self.own_error(raised)
            if error is None:
                raise
        else:
            if times:
                meter.took(began, times)
            return made
        try:
            return await self.made_after(error, call, item, since)
        finally:
            if times:
                meter.took(began, times)
            del error  # Its traceback has this frame, which has the item: a cycle.

    async def made_after(self, error: Exception, call: Call, item: Any, since: float) -> Any:
        """What the stage makes of an item in the end, where the first attempt raised ``error``."""
        attempt = 1
        while True:
            try:
                if not await self.supervisor.again(error, item, attempt, since):
                    return item if self.supervisor.leaves_hole else NOTHING
            finally:
                del error
            attempt += 1
            try:
                return await self._once(call, item)
            except (asyncio.CancelledError, Exception) as raised:
                again = self.own_error(raised)
                if again is None:
                    raise
            error = again
            del again

    def own_error(self, raised: BaseException) -> Exception | None:
        """What the stage raised, as an error for its policies; ``None`` where it is not for them.

        What a stage raises while it is cancelled is for nobody's retry, and not to be skipped.
        """
        error = self._source_error(raised)
        return None if error is None else not_an_ending(error)

    async def _once(self, call: Call, item: Any) -> Any:
        if self.tracks and self.stage.role != "source":
            return await self._tracked_once(call, item)
        operator = self._operator
        if operator is None:
            return await call.one(item)
        return self.deliveries(item, item if self.stage.fn is None else await call.one(item))

    async def _tracked_once(self, call: Call, item: Tracked) -> Any:
        operator = self._operator
        if operator is None:
            return made_of(item, await call.one(item.given))
        return self.deliveries(item, item.item if self.stage.fn is None else await call.one(item.given))

    def deliveries(self, item: Any, result: Any) -> list[Delivery]:
        """What goes where of an item, of which the operator's function has said so."""
        assert self._operator is not None, "of a stage that has one"  # noqa: S101 - for the type checker
        if self.tracks:
            return parts_of_item(item, self._operator.decide(item.item, result, self.branches))
        return list(self._operator.decide(item, result, self.branches))

    async def emit(self, made: Any) -> None:
        """Send what was made of an item, if anything, and count it."""
        if made is not NOTHING:
            if self._operator is not None:
                await self.outlet.deliver(made)
                empty = not made
            else:
                value = made.item if self.tracks else made
                empty = value is None and not self.outlet.keeps_none
                if not empty:
                    await self.outlet.send(made)
                elif self.tracks:
                    made.settle()
                del value  # Else it lives as long as this.
            if empty:
                self.counters.filtered += 1
            else:
                self.counters.sent += 1
        self.counters.settled += 1

    async def _send(self, item: Any) -> None:
        try:
            await self.outlet.send(item)
        except ChannelClosed:
            self.leaving.begin()
            raise
        self.counters.sent += 1

    async def _next_of(self, items: AsyncIterator[Any]) -> tuple[Any, Exception | None]:
        """The next item, ``NOTHING`` at the end, or the stage's own error."""
        try:
            return await anext(items), None
        except StopAsyncIteration:
            return NOTHING, None
        except (asyncio.CancelledError, Exception) as raised:
            error = self._source_error(raised)
            if error is None:
                raise
            return NOTHING, error

    def _source_error(self, raised: BaseException) -> Exception | None:
        """As ``own_error``, for what an iterator raised."""
        if self.leaving.ordered():
            return None
        if isinstance(raised, asyncio.CancelledError):
            return own_cancel(raised)
        return raised if isinstance(raised, Exception) else None
