"""Items that are worked on in one call, and the loop of a worker of a sink that writes what lies there so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import EndOfChannel, ItemError
from ..following import Following
from ..stage import Stage
from .call import Call, Calls
from .channel import Receiver
from .clock import Limiter, Turn
from .leaving import Leaving
from .meter import Meter
from .routing import Outlet
from .supervise import Counters, Supervisor
from .tracked import entrusted, positions_of, unite

__all__ = ("Handful", "Together", "write_together")


class Together(Protocol):
    """What is needed of the stage's work."""

    stage: Stage[Any, Any]
    calls: Calls
    inlets: Sequence[Receiver[Any]]
    outlet: Outlet
    counters: Counters
    supervisor: Supervisor
    leaving: Leaving
    meter: Meter
    tracks: bool
    following: Following | None
    limiter: Limiter | None

    def own_error(self, raised: BaseException) -> Exception | None:
        """What the stage raised, as an error for its policies; ``None`` where it is not for them."""


async def write_together(work: Together, most: int) -> None:
    """The life of a worker.

    Args:
        work: Its stage's work.
        most: Most items in one call.
    """
    (inlet,) = work.inlets
    turn = Turn(asyncio.get_running_loop())
    async with work.calls.worker() as call:
        try:
            while not work.leaving.asked:
                try:
                    await inlet.wait()
                except EndOfChannel:
                    return
                items = inlet.channel.take_more(most)
                work.counters.received += len(items)
                if work.limiter is not None:
                    for _ in items:
                        await work.limiter.wait()
                await Handful(work, call).see_out(items)
                del items
                if turn.due():
                    await turn.rest()
        finally:
            work.leaving.begin()


class Handful:
    """Items that are worked on together, or, where that fails and some may be left out, one by one.

    Args:
        work: Their stage's work.
        call: A worker's way to its function, which takes them as a list.
    """

    def __init__(self, work: Together, call: Call) -> None:
        self._work = work
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._attempts = 1

    async def see_out(self, items: list[Any]) -> None:
        """Work on them all, up to what becomes of each."""
        work = self._work
        error = await self._tried(items)
        if error is None:
            return
        try:
            apart = self._is_of_one(error) and len(items) > 1 and work.stage.on_error != "fail"
            for place, item in enumerate(items):
                left: Exception | None = error
                if apart:
                    # One bad row must not take the others with it.
                    left = await self._tried([item])
                if left is not None:
                    await self._give_up(left, item, len(items) - place - 1)
                del left
        finally:
            del error

    def _is_of_one(self, error: Exception) -> bool:
        """It means that one of the items is no good."""
        return isinstance(error, ItemError)

    async def _tried(self, items: list[Any]) -> Exception | None:
        """All attempts on these together; the last one's error."""
        supervisor, since = self._work.supervisor, self._loop.time()
        self._attempts = 1
        while True:
            error = await self._once(items)
            if error is None:
                return None
            if not await supervisor.waited(error, self._attempts, since):
                return error
            self._attempts += 1

    async def _give_up(self, error: Exception, item: Any, behind: int) -> None:
        """Of an item; where that ends the run, of those behind it in the list too."""
        counters = self._work.counters
        failed = counters.failed
        try:
            await self._work.supervisor.give_up(error, item, self._attempts)
        except Exception:
            if counters.failed > failed:
                counters.failed += behind
                counters.settled += behind
            raise
        finally:
            counters.settled += 1
            del error

    async def _once(self, items: list[Any]) -> Exception | None:
        """One attempt; the stage's own error."""
        meter = self._work.meter
        began = meter.clock()
        try:
            made = await self._made(items)
        except (asyncio.CancelledError, Exception) as raised:
            error = self._work.own_error(raised)
            if error is None:
                raise
            return error
        meter.recorder.add(meter.clock() - began, len(items))
        await self._settle(items, made)
        return None

    async def _made(self, items: list[Any]) -> Any:
        """What the function makes of the list."""
        work = self._work
        values: Any = [each.item for each in items] if work.tracks else items
        if work.calls.keeps_positions:
            values = (values, positions_of(items) if work.tracks else {})
        if work.following is not None:
            values = entrusted((values,), {}, items, self._attempts - 1) or values
        return await self._call.one(values)

    async def _settle(self, items: list[Any], made: Any) -> None:
        """All is well with them."""
        counters = self._work.counters
        if made is None:
            counters.filtered += len(items)
            for each in items if self._work.tracks else ():
                each.settle()
        else:
            # One result of them all.
            follows = self._work.following is not None
            united = unite(made, items, follows=follows) if self._work.tracks else made
            counters.filtered += len(items) - 1
            await self._work.outlet.send(united)
            counters.sent += 1
        counters.settled += len(items)
