"""The loops: receive, call, send, for each way a stage can work.

``Work`` is one stage of one run. Its ``loops()`` are one a worker; they
return when their input ends and raise what must end the run; who starts, cancels and
buries them is ``execution``.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from ..errors import ChannelClosed, EndOfChannel
from ..naming import annotate, describe_error
from ..operators.protocol import ItemOperator, StreamOperator
from ..stage import Stage
from .call import Call, Calls, Rejoined
from .channel import Receiver, Sender
from .chunked import NOTHING, Chunked
from .clock import Limiter, Turn
from .counted import Counted
from .job import LaneIterator
from .keyed import Keyed
from .leaving import Leaving
from .order import Order
from .routing import Outlet
from .supervise import Counters, Supervisor, not_an_ending, own_cancel

__all__ = ("NOTHING", "Loop", "Work")

Loop = Callable[[], Coroutine[Any, Any, None]]
"""A worker's life, not yet begun: a coroutine that is never stepped would warn."""


class Work:
    """One stage of one run.

    Args:
        stage: A stage of the graph.
        calls: Its callable, ready to be called.
        inlets: Its receiving ends, one a port; none for a source.
        outlet: Where what it makes goes.
        dead_letters: The edge to its dead-letter sink, where it has one.
        branches: Names of the branches behind it.

    Attributes:
        draining: Asked to stop taking: a source ends behind its current item.
        reading: A source waits for its next item.
        alive: Workers that have not ended.
        leaving: How its workers are cancelled.
        retired: Nobody wants more from it; its cancellation is its end.
    """

    def __init__(
        self,
        stage: Stage[Any, Any],
        calls: Calls,
        inlets: Sequence[Receiver[Any]],
        outlet: Outlet,
        dead_letters: Sender[Any] | None = None,
        branches: Sequence[str | None] = (),
    ) -> None:
        self.stage = stage
        self.calls = calls
        self.inlets = inlets
        self.outlet = outlet
        self.dead_letters = dead_letters
        self.counters = Counters()
        self.supervisor = Supervisor(stage, self.counters, dead_letters)
        self.draining = False
        self.reading = False
        self.retired = False
        self.alive = 0
        self.leaving = Leaving()
        self._stop_making: Callable[[], None] | None = None
        self._branches = branches
        self._many = stage.call is not None and stage.call.many
        self._loop = asyncio.get_running_loop()
        self._limiter = None if stage.rate is None else Limiter(stage.rate, self._loop)
        self._operator = stage.operator if isinstance(stage.operator, ItemOperator) else None
        self._order = Order(stage.concurrency, self._emit)
        self._keyed = Keyed(stage.concurrency)
        self._chunked = self._in_chunks() if self._may_chunk else None

    @property
    def in_flight(self) -> int:
        """Items begun and not yet settled."""
        if isinstance(self.stage.operator, StreamOperator):
            return self.counters.received - self.counters.sent if self.stage.operator.one_to_one else 0
        counters = self.counters
        if self._many:
            return counters.received - counters.settled
        ended = (
            counters.sent + counters.filtered + counters.skipped + counters.dead_lettered + counters.failed
        )
        return counters.received - ended

    @property
    def parked(self) -> int:
        """Items taken and not yet begun: behind others of their key, or on their way to a thread."""
        return self._keyed.parked + (0 if self._chunked is None else self._chunked.waiting)

    @property
    def may_be_cut(self) -> bool:
        """A source that waits at an await; in a thread, it ends at its next yield by itself."""
        return self.stage.role == "source" and self.reading and self._stop_making is None

    def drain(self) -> None:
        """Of a source: make no more. What was already made, in a thread maybe ahead, is still sent."""
        self.draining = True
        if self._stop_making is not None:
            self._stop_making()

    def loops(self) -> list[Loop]:
        """One coroutine function for each worker."""
        stage = self.stage
        if stage.role == "source":
            return [self._source]
        if isinstance(stage.operator, StreamOperator):
            return [functools.partial(self._stream, stage.operator)]
        if self._chunked is not None:
            return [self._chunked.work] * self._chunked.workers
        work: Callable[[Call, Any], Coroutine[Any, Any, None]] = self._whole
        if stage.concurrency > 1 and stage.key is not None:
            work = self._keyed_item
        elif stage.concurrency > 1 and stage.ordered:
            work = self._in_turn if self._many else self._in_order
        return [functools.partial(self._take, work)] * stage.concurrency

    @property
    def _may_chunk(self) -> bool:
        """Nothing of the stage asks for its items one by one."""
        stage = self.stage
        one_by_one = stage.rate is not None or stage.operator is not None
        by_key = stage.key is not None and stage.concurrency > 1
        return self.calls.in_chunks and not one_by_one and not by_key

    def _in_chunks(self, make: Callable[..., Chunked] = Chunked) -> Chunked:
        (inlet,) = self.inlets
        return make(
            self.stage,
            self.calls,
            inlet,
            self.outlet,
            counters=self.counters,
            supervisor=self.supervisor,
            leaving=self.leaving,
            emit=self._emit,
        )

    async def _take(self, work: Callable[[Call, Any], Coroutine[Any, Any, None]]) -> None:
        """The life of a worker: take an item, work on it, again; then clean up.

        ``work`` runs up to its first wait in the step in which its item was taken.
        """
        (inlet,) = self.inlets
        by_key = work == self._keyed_item
        async with self.calls.worker() as call:
            try:
                while not self.leaving.asked:
                    if by_key:
                        await self._keyed.reserve()
                    try:
                        item = await inlet.receive()
                    except EndOfChannel:
                        if by_key:
                            self._keyed.unreserve()
                        return
                    await work(call, item)
                    del item  # Else it lives until the next one comes.
            finally:
                self.leaving.begin()

    async def _in_order(self, call: Call, item: Any) -> None:
        """Results leave in the order of their items."""
        ticket = self._order.draw()
        await self._order.finish(ticket, await self._made(call, item))

    async def _in_turn(self, call: Call, item: Any) -> None:
        """What a generator makes leaves in the order of the items: up to its first it may run ahead."""
        ticket = self._order.draw()
        await self._expand(call, item, functools.partial(self._order.turn, ticket))
        await self._order.turn(ticket)
        self._order.leave()

    async def _keyed_item(self, call: Call, item: Any) -> None:
        try:
            key = self.stage.key(item) if self.stage.key is not None else None
            free = self._keyed.begin(key, item)
        except Exception as error:  # noqa: BLE001 - an item without a usable key has failed in the stage
            self._keyed.unreserve()
            self.counters.received += 1
            await self.supervisor.give_up(error, item, 1)
            self.counters.settled += 1
            return
        while free and not self.leaving.asked:
            await self._whole(call, item)
            free, item = self._keyed.finish(key)

    async def _stream(self, operator: StreamOperator) -> None:
        """An operator that takes whole streams apart."""
        async with self.calls.worker() as call:
            inlets = [Counted(each, self.counters, self.leaving) for each in self.inlets]
            try:
                await operator.run(inlets, self._send, call.apply)
            finally:
                self.leaving.begin()

    async def _source(self) -> None:
        """The first step: pull while there is room."""
        async with self.calls.worker() as call:
            if not self._many:
                self.reading = True
                made = await self._made(call, None)
                self.reading = False
                await self._emit(made)
                return
            async with call.each(None) as items:
                try:
                    await self._pull(items)
                    # Before the iterator is closed, which may take its time: what was sent
                    # can be finished meanwhile. Not on failure: nobody may take that for the end.
                    self.outlet.close()
                finally:
                    self.leaving.begin()

    @staticmethod
    def _stopper(items: AsyncIterator[Any]) -> Callable[[], None] | None:
        """What makes items end that are made in a thread."""
        return items.stop if isinstance(items, LaneIterator | Rejoined) else None

    async def _pull(self, items: AsyncIterator[Any]) -> None:
        turn = Turn(self._loop)
        self._stop_making = stop_making = self._stopper(items)
        while not self.leaving.asked:
            if self.draining:
                if stop_making is None:
                    return
                stop_making()
            self.reading = True
            try:
                item, error = await self._next_of(items)
            finally:
                self.reading = False
            if error is not None:
                raise error
            if item is NOTHING:
                return
            self.counters.received += 1
            if self._limiter is not None:
                await self._limiter.wait()
            await self._send(item)
            del item
            self.counters.settled += 1
            if turn.due():
                await asyncio.sleep(0)

    async def _whole(self, call: Call, item: Any) -> None:
        """An item from taking to sending."""
        if self._many:
            await self._expand(call, item, None)
        else:
            await self._emit(await self._made(call, item))

    async def _made(self, call: Call, item: Any) -> Any:
        """What the stage makes of an item, under its policies."""
        self.counters.received += 1
        if self._limiter is not None:
            await self._limiter.wait()
        since = self._loop.time() if self.stage.retry is not None else 0.0
        attempt = 1
        while True:
            try:
                return await self._once(call, item)
            except asyncio.CancelledError as cancelled:
                if self.leaving.ordered():
                    raise
                error: Exception = own_cancel(cancelled)
            except Exception as raised:
                # What a stage raises while it is cancelled is for nobody's retry, and not to be skipped.
                if self.leaving.ordered():
                    raise
                error = not_an_ending(raised)
            try:
                if not await self.supervisor.again(error, item, attempt, since):
                    return NOTHING
            finally:
                del error  # Its traceback has this frame, which has the item: a cycle.
            attempt += 1

    async def _once(self, call: Call, item: Any) -> Any:
        operator = self._operator
        if operator is None:
            return await call.one(item)
        result = item if self.stage.fn is None else await call.one(item)
        return list(operator.decide(item, result, self._branches))

    async def _emit(self, made: Any) -> None:
        if made is not NOTHING:
            if self._operator is not None:
                await self.outlet.deliver(made)
                empty = not made
            else:
                empty = made is None and not self.outlet.keeps_none
                if not empty:
                    await self.outlet.send(made)
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

    async def _expand(self, call: Call, item: Any, turn: Loop | None) -> None:
        """Everything that the stage makes of an item, each sent before the next is made."""
        self.counters.received += 1
        if self._limiter is not None:
            await self._limiter.wait()
        since = self._loop.time()
        attempt = 1
        while True:
            error, sent = await self._expand_once(call, item, turn)
            if error is None:
                break
            try:
                if sent:
                    # Part of it is on its way: another try would send that again.
                    await self.supervisor.give_up(error, item, attempt)
                    break
                if not await self.supervisor.again(error, item, attempt, since):
                    break
            finally:
                del error  # As in ``_made``.
            attempt += 1
        self.counters.settled += 1

    async def _expand_once(self, call: Call, item: Any, turn: Loop | None) -> tuple[Exception | None, int]:
        """One pass: the stage's own error, if any, and how many were sent; the outlet's error is raised."""
        context = call.each(item)
        sent = 0
        try:
            items = await context.__aenter__()
        except Exception as error:  # noqa: BLE001 - what the stage raises is for its policies
            return error, sent
        failed: Exception | None = None
        through = False
        try:
            while True:
                made, failed = await self._next_of(items)
                if failed is not None or made is NOTHING:
                    break
                if turn is not None:
                    await turn()
                await self._send(made)
                del made
                sent += 1
            through = True
        finally:
            self.leaving.begin()
            try:
                await context.__aexit__(None, None, None)
            except Exception as error:
                if not through:
                    # On the way out for another reason, which must not hide it.
                    raise
                if failed is not None:
                    annotate(failed, f"and then, on closing: {describe_error(error)}")
                failed = failed or error
            self.leaving.go_on()
        return failed, sent

    async def _next_of(self, items: AsyncIterator[Any]) -> tuple[Any, Exception | None]:
        """The next item, ``NOTHING`` at the end, or the stage's own error."""
        try:
            return await anext(items), None
        except StopAsyncIteration:
            return NOTHING, None
        except asyncio.CancelledError as cancelled:
            if self.leaving.ordered():
                raise
            return NOTHING, own_cancel(cancelled)
        except Exception as error:
            if self.leaving.ordered():
                raise
            return NOTHING, error
