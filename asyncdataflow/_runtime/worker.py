"""The loops: receive, call, send, for each way a stage can work.

``Work`` is one stage of one run. Its ``loops()`` are one a worker; they
return when their input ends and raise what must end the run; who starts, cancels and
buries them is ``execution``.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from ..errors import EndOfChannel
from ..naming import annotate, describe_error
from ..operators.protocol import StreamOperator
from .baton import Stretch
from .by_key import KeyedLoop
from .call import Call, Rejoined
from .chunked import Chunked
from .clock import Turn
from .counted import Counted
from .fused import Group, Role
from .job import LaneIterator
from .keyed import Keyed
from .making import Making
from .order import Order
from .ordered import OrderedLoop
from .plain import PlainLoop
from .pull import NOTHING, PullAhead
from .walker import Walker

__all__ = ("NOTHING", "Loop", "Work")

Loop = Callable[[], Coroutine[Any, Any, None]]
"""A worker's life, not yet begun: a coroutine that is never stepped would warn."""


class Work(Making):
    """One stage of one run.

    Args:
        parts: As of ``Making``.

    Attributes:
        draining: Asked to stop taking: a source ends behind its current item.
        reading: A source waits for its next item.
        alive: Workers that have not ended.
        retired: Nobody wants more from it; its cancellation is its end.
        group: The group that it belongs to, if it does.
        role: What it is there.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.draining = False
        self.reading = False
        self.retired = False
        self.alive = 0
        self.group: Group | None = None
        self.role: Role | None = None
        self._lay = self.outlet.laying()
        self._stop_making: Callable[[], None] | None = None
        self._chunked = self._in_chunks() if self._may_chunk else None

    @functools.cached_property
    def _order(self) -> Order:
        """Made for those whose results have to wait for each other."""
        return Order(self.stage.concurrency, self.emit)

    @functools.cached_property
    def _keyed(self) -> Keyed:
        """Made for those with a key."""
        return Keyed(self.stage.concurrency)

    @property
    def parked(self) -> int:
        """Items taken and not yet begun: behind others of their key, or on their way to a thread."""
        behind = 0 if self.stage.key is None else self._keyed.parked
        return behind + (0 if self._chunked is None else self._chunked.waiting)

    @property
    def may_be_cut(self) -> bool:
        """A source that waits at an await; in a thread, it ends at its next yield by itself."""
        return self.stage.role == "source" and self.reading and self._stop_making is None

    def drain(self) -> None:
        """Of a source: make no more. What was already made, in a thread maybe ahead, is still sent."""
        self.draining = True
        if self._stop_making is not None:
            self._stop_making()

    def let_go(self) -> None:
        """Break the cycles, when the run is over."""
        for channel in self.outlet.channels:
            channel.on_abandoned = None
        self.calls.let_go()
        if self.calls.lane is not None:
            self.calls.lane.on_broken = None
        if self.group is not None:
            self.group.let_go()

    def loops(self) -> list[Loop]:
        """One coroutine function for each worker."""
        stage = self.stage
        if stage.role == "source":
            return [self._source]
        if isinstance(stage.operator, StreamOperator):
            return [functools.partial(self._stream, stage.operator)]
        if self._chunked is not None:
            return [self._chunked.work] * self._chunked.workers
        lay = self._lay
        if lay is not None and self.group is not None and self.role is not None:
            return [functools.partial(self._served, self.group, self.role, lay)]
        if lay is not None and self._is_plain():
            sort: Callable[..., PlainLoop] = PlainLoop
            if stage.concurrency > 1 and stage.key is not None:
                sort = functools.partial(KeyedLoop, key=stage.key, keyed=self._keyed)
            elif stage.concurrency > 1 and stage.ordered:
                sort = functools.partial(OrderedLoop, order=self._order)
            return [functools.partial(self._plain, lay, sort)] * stage.concurrency
        work: Callable[[Call, Any], Coroutine[Any, Any, None]] = self.whole
        if stage.concurrency > 1 and stage.key is not None:
            work = self.keyed_item
        elif stage.concurrency > 1 and stage.ordered:
            work = self._in_turn if self._many else self._in_order
        return [functools.partial(self._take, work)] * stage.concurrency

    @property
    def is_fusable(self) -> bool:
        """It has one worker, which has nothing of its own and makes at most one item of each."""
        alone = self.stage.concurrency == 1 and not self.stage.per_worker
        return alone and self._is_plain() and self._lay is not None

    def _is_plain(self) -> bool:
        """At most one item of each, and nothing to do on the way."""
        stage = self.stage
        endless = stage.retry is None or stage.retry.max_elapsed is None
        bare = all(each.channel.is_bare for each in self.inlets)
        return self.calls.is_direct and bare and endless and self._limiter is None and stage.operator is None

    async def _plain(self, lay: Callable[[Any], None], sort: Callable[..., PlainLoop]) -> None:
        async with self.calls.worker() as call:
            try:
                await sort(self, call, lay).run()
            finally:
                self.leaving.begin()

    async def _served(self, group: Group, role: Role, lay: Callable[[Any], None]) -> None:
        """The life of a worker that serves this stage first, and others of its group later."""
        async with self.calls.worker() as call:
            await Walker(group, role, call, lay).run()

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
            emit=self.emit,
        )

    async def _take(self, work: Callable[[Call, Any], Coroutine[Any, Any, None]]) -> None:
        """The life of a worker: take an item, work on it, again; then clean up.

        ``work`` runs up to its first wait in the step in which its item was taken.
        """
        (inlet,) = self.inlets
        by_key = work == self.keyed_item
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

    async def keyed_item(self, call: Call, item: Any) -> None:
        """An item from taking to sending, or to its place behind another one of its key."""
        try:
            key = self.stage.key(item) if self.stage.key is not None else None
            free = self._keyed.begin(key, item)
        except (asyncio.CancelledError, Exception) as raised:
            error = self.own_error(raised)
            if error is None:
                raise
            self._keyed.unreserve()
            self.counters.received += 1
            try:
                await self.without_key(error, item)
            finally:
                del error  # Its traceback has this frame: a cycle.
            return
        if free:
            await self.whole(call, item)
            await self.rest_of_key(call, key)

    async def rest_of_key(self, call: Call, key: Any) -> None:
        """What was parked behind an item that is done."""
        more, item = self._keyed.finish(key)
        while more and not self.leaving.asked:
            await self.whole(call, item)
            more, item = self._keyed.finish(key)

    async def without_key(self, error: Exception, item: Any) -> None:
        """An item whose key cannot be had has failed in the stage."""
        await self.supervisor.give_up(error, item, 1)
        self.counters.settled += 1

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
                await self.emit(made)
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
        turn, free = Turn(self._loop), self.outlet.free
        ahead = self._ahead(items)
        self._stop_making = self._stopper(items)
        while not self.leaving.asked:
            if self.draining and self._is_drained():
                return
            room = 0 if ahead is None else free()
            if not room and turn.patience:
                await turn.give_way()
                continue
            sent = 0
            self.reading = True
            try:
                if ahead is not None and room:
                    sent, item, error = await ahead.pull(min(room, turn.left))
                else:
                    item, error = await self._next_of(items)
            finally:
                self.reading = False
            if error is not None:
                raise error
            if item is not NOTHING:
                # Somebody else has run before it came, or will while it waits.
                others = room > 0 or (ahead is not None and self.outlet.is_full())
                await self._send_pulled(item)
                sent += 1
                if others:
                    turn.begin()
            elif ahead is None or ahead.ended or not room:
                return
            del item
            if turn.is_idle_after(sent, room):
                await turn.give_way()
            elif turn.due(sent):
                await asyncio.sleep(0)

    async def _send_pulled(self, item: Any) -> None:
        """An item of a source that does not leave in a stretch."""
        self.counters.received += 1
        if self._limiter is not None:
            await self._limiter.wait()
        await self._send(item)
        self.counters.settled += 1

    def _is_drained(self) -> bool:
        """Asked to stop, and it is not for a thread to say which item is the last."""
        if self._stop_making is None:
            return True
        self._stop_making()
        return False

    def _ahead(self, items: AsyncIterator[Any]) -> PullAhead | None:
        """What pulls in stretches, where nothing else has to be done about an item."""
        lay = self._lay
        if lay is None or self._limiter is not None:
            return None
        baton = self.outlet.channels[0].baton
        stretch = Stretch(baton, None, self.outlet.ways, self.counters, works=False)
        return PullAhead(items, self.watched_source(lay), stretch, self._source_error)

    async def whole(self, call: Call, item: Any) -> None:
        """An item from taking to sending."""
        if self._many:
            await self._expand(call, item, None)
        else:
            await self.emit(await self._made(call, item))

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
