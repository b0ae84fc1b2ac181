"""The loop of a worker whose function takes lists and makes one of each item in them."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, Protocol

from ..errors import EndOfChannel, ResultError, StageTimeoutError
from ..holes import HOLE
from ..operators.protocol import BatchOperator
from .call import Call
from .channel import Receiver
from .clock import Turn
from .meter import Meter
from .order import Order
from .pull import NOTHING
from .together import Handful, Together
from .tracked import made_of

__all__ = ("Batches", "Mapping")


class Mapping(Together, Protocol):
    """What is needed of the stage's work, besides."""

    async def emit(self, made: Any) -> None:
        """Send what was made of an item, if anything, and count it."""

    def taken_together(self, items: list[Any]) -> int:
        """A call begins with these; the number of the first."""

    def made_together(self, first: int, made: list[Any]) -> None:
        """What has become of the items from that number on."""


class Batches:
    """The lists of one stage: what its workers share.

    Args:
        work: The stage's work.
        operator: Says how many items, and for how long they are collected.

    Attributes:
        collected: Items that wait for others.
    """

    def __init__(self, work: Mapping, operator: BatchOperator) -> None:
        self._work = work
        self._operator = operator
        stage = work.stage
        self._order = Order(0, work.emit, work.meter) if stage.concurrency > 1 and stage.ordered else None
        self._collecting = _Collecting(work.meter)
        self.collected: list[Any] = []
        self._loop = asyncio.get_running_loop()

    async def work(self) -> None:
        """The life of a worker."""
        work = self._work
        turn = Turn(self._loop)
        async with work.calls.worker() as call:
            try:
                while not work.leaving.asked:
                    try:
                        items, ticket = await self._collected()
                    except EndOfChannel:
                        return
                    count = len(items)
                    await self._see_out(call, items, ticket)
                    del items
                    if turn.due(count):
                        await turn.rest()
            finally:
                work.leaving.begin()

    async def _collected(self) -> tuple[list[Any], int]:
        """The next list, with its ticket; one worker at a time, so that lists are full and in order."""
        work, order = self._work, self._order
        (inlet,) = work.inlets
        async with self._collecting:
            items = await self._collect(inlet)
            work.counters.received += len(items)
            self.collected = []
            ticket = 0 if order is None else order.draw()
        if work.limiter is not None:
            for _ in items:
                await work.limiter.wait()
        return items, ticket

    async def _collect(self, inlet: Receiver[Any]) -> list[Any]:
        size, within = self._operator.size, self._operator.within
        await inlet.wait()
        items = self.collected = inlet.channel.take_more(size)
        deadline = None if within is None else self._loop.time() + within
        while len(items) < size and await self._comes(inlet, deadline):
            items += inlet.channel.take_more(size - len(items))
        return items

    async def _comes(self, inlet: Receiver[Any], deadline: float | None) -> bool:
        """Another item lies there; false where it is late, or nothing comes any more."""
        if inlet.channel.ready:
            return True
        if deadline is not None and self._loop.time() >= deadline:
            return False
        try:
            async with asyncio.timeout_at(deadline):
                await inlet.wait()
        except (TimeoutError, EndOfChannel):
            return bool(inlet.channel.ready)
        return True

    async def _see_out(self, call: Call, items: list[Any], ticket: int) -> None:
        """One list, up to what was made of it leaving."""
        work, order = self._work, self._order
        first = work.taken_together(items)
        batch = _Batch(work, call, self._operator)
        holes = [each for each in enumerate(items) if batch.is_hole(each[1])]
        if holes:
            items = [each for each in items if not batch.is_hole(each)]
        if items:
            await batch.see_out(items)
        made = batch.made
        for place, hole in holes:
            made.insert(place, hole)
        work.made_together(first, made)
        if order is not None:
            await order.turn(ticket)
        made.reverse()
        while made:
            # Taken out, so that it does not live until the last of them has left.
            await work.emit(made.pop())
        if order is not None:
            order.leave()


class _Collecting(asyncio.Lock):
    """Held by the worker that collects; the others wait for items, too, which is counted in a meter."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    async def acquire(self) -> Literal[True]:
        """As of any lock."""
        with self._meter.waiting:
            return await super().acquire()


class _Batch(Handful):
    """One list.

    Attributes:
        made: What each of its items has come to, in order; ``NOTHING`` for one that was left out.
    """

    def __init__(self, work: Mapping, call: Call, operator: BatchOperator) -> None:
        super().__init__(work, call)
        self._operator = operator
        self.made: list[Any] = []

    def is_hole(self, item: Any) -> bool:
        """It goes on as it is."""
        return self._work.supervisor.leaves_hole and item.item is HOLE

    def _is_of_one(self, error: Exception) -> bool:
        # What the function makes of any list is not right, or it takes too long for each.
        return super()._is_of_one(error) and not isinstance(error, ResultError | StageTimeoutError)

    async def _made(self, items: list[Any]) -> Any:
        return self._operator.apart(await super()._made(items), len(items))

    async def _settle(self, items: list[Any], made: Any) -> None:
        self.made += map(made_of, items, made) if self._work.tracks else made

    async def _give_up(self, error: Exception, item: Any, behind: int) -> None:
        try:
            await super()._give_up(error, item, behind)
        finally:
            del error
        # Counted when it is its turn to leave.
        self._work.counters.settled -= 1
        self.made.append(item if self._work.supervisor.leaves_hole else NOTHING)
