"""The loops: receive, call, send, for each way a stage can work.

``Work`` is one stage of one run. Its ``loops()`` are one a worker; they
return when their input ends and raise what must end the run; who starts, cancels and
buries them is ``execution``.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import EndOfChannel
from ..holes import HOLE
from ..operators.protocol import BatchOperator, ItemOperator, StreamOperator
from .batches import Batches
from .by_key import KeyedLoop
from .call import Call
from .chunked import Chunked
from .counted import Counted
from .crew import Crew, TrackedCrew
from .expanding import Expanding
from .fused import Group, Role
from .keyed import Keyed
from .meter import Spent
from .order import Order
from .ordered import OrderedLoop
from .plain import PlainLoop
from .pull import NOTHING
from .reading import Loop
from .relay import Relay
from .reserve import Reserve
from .routed import RoutedLoop
from .tally import AtWork
from .together import write_together
from .tracked_operator import TrackedInlet, origins_of
from .tracked_plain import TrackedLoop
from .walked import Walked
from .walker import Walker

__all__ = ("NOTHING", "Loop", "Work")


class Work(Expanding):
    """One stage of one run.

    Args:
        parts: As of ``Reading``.
        options: As of ``Reading``.

    Attributes:
        alive: Workers that have not ended.
        retired: Nobody wants more from it; its cancellation is its end.
        group: The group that it belongs to, if it does.
        role: What it is there.
        walked: How long items took on their way through that group, once it is gone, and its place there.
    """

    # Not of each: an object of thirty attributes costs several times as much.
    walked: tuple[Walked, int] | None = None
    _batches: Batches | None = None
    _in_reserve = 0

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.retired = False
        self.alive = 0
        self.group: Group | None = None
        self.role: Role | None = None
        self._chunked = self._in_chunks() if self._may_chunk else None

    @functools.cached_property
    def _order(self) -> Order:
        """Made for those whose results have to wait for each other."""
        return Order(self.stage.concurrency, self.emit, self.meter)

    @functools.cached_property
    def _relay(self) -> Relay:
        """Made for those of which several may be at work."""
        channel, outlet = self.inlets[0].channel, self.outlet
        return Relay(channel.baton, channel, outlet.ways, self.counters, outlet.free, self.meter.recorder)

    @functools.cached_property
    def _keyed(self) -> Keyed:
        """Made for those with a key."""
        return Keyed(self.stage.concurrency, self.meter)

    @property
    def parked(self) -> int:
        """Items taken and not yet begun: behind others of their key, in a list, on their way to a thread."""
        behind = 0 if self.stage.key is None else self._keyed.parked
        behind += 0 if self._batches is None else len(self._batches.collected)
        return behind + (0 if self._chunked is None else self._chunked.waiting)

    def begin(
        self, runner: asyncio.Task[None] | None, now: float, recruit: Callable[[Work, Loop], None]
    ) -> list[Loop]:
        """What its workers do, who start now, beside the run's own task; ``recruit`` starts one later."""
        self.leaving.runner = runner
        self.meter.begun = now
        loops = self.loops()
        if self._in_reserve:
            start = functools.partial(recruit, self)
            channel = self.inlets[0].channel
            channel.station(Reserve(channel, loops[0], start), self._in_reserve)
            self.meter.waiting.begin(self._in_reserve, now)
        self.alive = len(loops)
        self.calls.begin(self.alive)
        return loops

    def recruited(self) -> None:
        """One more of its workers starts, which has waited until now."""
        self.alive += 1
        self.meter.waiting.__exit__()

    def buried(self) -> None:
        """One of its workers has ended; it waits for good, until the last has."""
        self.alive -= 1
        if self.meter.ended is not None:
            return  # It was left behind when the run ended.
        if not self.alive:
            if self.calls.unopened:
                self.calls.opened(self.calls.unopened)
            self.meter.ended = self.meter.clock()
        elif self.stage.role != "source" and self._chunked is None:
            self.meter.waiting.__enter__()

    @property
    def spent(self) -> Spent:
        """Where the time of its workers went."""
        spent = self.meter.spent()
        if self._chunked is not None:
            self._at_work.tell(spent)
        elif (steps := self._steps()) is not None:
            walked, place = steps
            spent.pass_on(walked.gained(place))
            spent.latency += walked.latency(place)
        return spent

    def _steps(self) -> tuple[Walked, int] | None:
        """How long items took on their way through its group, and its place there."""
        if self.group is None or self.role is None or self.group.walked is None:
            return self.walked
        return self.group.walked, self.role.place

    def forsake(self) -> None:
        """The loop is gone, and its threads are to end by themselves."""
        if self.calls.lane is not None:
            self.calls.lane.forsake()

    def let_go(self) -> None:
        """Break the cycles, when the run is over; whoever was left behind counts no more."""
        if self.meter.ended is None:
            self.meter.ended = self.meter.clock()
        for channel in self.outlet.channels:
            channel.on_abandoned = None
        if self._in_reserve:
            self.inlets[0].channel.disband()
        self.calls.let_go()
        if self.calls.lane is not None:
            self.calls.lane.on_broken = None
        if self.group is not None:
            self.group.let_go()
        if self._chunked is not None:
            self._at_work.let_go()
        if self.marks is not None:
            self.marks.marks.let_go()

    def loops(self) -> list[Loop]:
        """One coroutine function for each worker."""
        stage = self.stage
        if stage.role == "source":
            return self.reading_loops()
        if self.calls.most_at_once > 1 or self.calls.keeps_positions:
            return [functools.partial(write_together, self, self.calls.most_at_once)] * stage.concurrency
        # Of a protocol, which takes several times as long to tell as whether there is one.
        if stage.operator is not None and isinstance(stage.operator, StreamOperator):
            return [functools.partial(self._stream, stage.operator)]
        if stage.operator is not None and isinstance(stage.operator, BatchOperator):
            self._batches = Batches(self, stage.operator)
            return [self._batches.work] * stage.concurrency
        if self._chunked is not None:
            return [self._chunked.work] * self._chunked.workers
        return self._in_stretches() or self._item_by_item()

    def _in_stretches(self) -> list[Loop]:
        """Of a stage on the loop; none, where its items have to be taken one by one."""
        stage, lay = self.stage, self._lay
        if self._operator is not None:
            return self._routed(self._operator)
        if lay is not None and self.group is not None and self.role is not None:
            return [functools.partial(self._served, self.group, self.role, lay)]
        sorted_ = stage.concurrency > 1 and (stage.ordered or stage.key is not None)
        if lay is None or (self.tracks and sorted_) or not self._is_plain():
            return []
        sort: Callable[..., PlainLoop] = TrackedLoop if self.tracks else PlainLoop
        if stage.concurrency > 1:
            sort = functools.partial(TrackedCrew if self.tracks else Crew, relay=self._relay)
        if sorted_ and stage.key is not None:
            sort = functools.partial(KeyedLoop, relay=self._relay, key=stage.key, keyed=self._keyed)
        elif sorted_:
            sort = functools.partial(OrderedLoop, relay=self._relay, order=self._order)
        loops: list[Loop] = [functools.partial(self._plain, lay, sort)]
        if self.calls.workers_open:
            return loops * stage.concurrency
        self._in_reserve = stage.concurrency - 1
        return loops

    def _routed(self, operator: ItemOperator) -> list[Loop]:
        """Of a stage that chooses where an item goes."""
        called = self.stage.fn is None or self.calls.is_direct
        forks = self.outlet.forks() if called and self.stage.concurrency == 1 and self._is_bare() else None
        if forks is None or not (operator.fans_out or len(forks.channels) == 1):
            return []
        sort = functools.partial(RoutedLoop, operator=operator, forks=forks)
        return [functools.partial(self._plain, forks.lay, sort)]

    def _item_by_item(self) -> list[Loop]:
        stage = self.stage
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
        return self.stage.operator is None and self.calls.is_direct and self._is_bare()

    def _is_bare(self) -> bool:
        """Nothing but the call is between taking an item and sending what was made of it."""
        stage = self.stage
        if self.limiter is not None:
            return False
        for each in self.inlets:
            if not each.channel.is_bare:
                return False
        return stage.retry is None or stage.retry.max_elapsed is None

    def _plain(self, lay: Callable[[Any], None], sort: Callable[..., PlainLoop]) -> Coroutine[Any, Any, None]:
        """The life of a worker; each coroutine around another is paid for whenever an item suspends."""
        if self.calls.workers_open:
            return self._with_its_own(lay, sort)
        return sort(self, self.calls.common, lay).run()

    async def _with_its_own(self, lay: Callable[[Any], None], sort: Callable[..., PlainLoop]) -> None:
        async with self.calls.worker() as call:
            await sort(self, call, lay).run()

    def _served(self, group: Group, role: Role, lay: Callable[[Any], None]) -> Coroutine[Any, Any, None]:
        """The life of a worker that serves this stage first, and others of its group later."""
        return Walker(group, role, self.calls.common, lay).run()

    @property
    def _may_chunk(self) -> bool:
        """Nothing of the stage asks for its items one by one."""
        stage = self.stage
        one_by_one = stage.rate is not None or stage.operator is not None
        by_key = stage.key is not None and stage.concurrency > 1
        return self.calls.in_chunks and not one_by_one and not by_key

    def _in_chunks(self, make: Callable[..., Chunked] = Chunked) -> Chunked:
        (inlet,) = self.inlets
        self._at_work = AtWork(self.stage.concurrency, self.meter)
        return make(
            self.stage,
            self.calls,
            inlet,
            self.outlet,
            counters=self.counters,
            supervisor=self.supervisor,
            leaving=self.leaving,
            at_work=self._at_work,
            emit=self.emit,
            tracks=self.tracks,
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
            key = self._key(item)
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

    def _key(self, item: Any) -> Any:
        key = self.stage.key
        if key is None:
            return None
        return key(item.item if self.tracks else item)

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
            if self.tracks:
                await self._tracked_stream(operator, call)
                return
            inlets = [Counted(each, self.counters, self.leaving) for each in self.inlets]
            try:
                await operator.run(inlets, self._send, call.apply)
            finally:
                self.leaving.begin()

    async def _tracked_stream(self, operator: StreamOperator, call: Call) -> None:
        origins = origins_of(operator, follows=self.following is not None)
        inlets = [
            TrackedInlet(each, self.counters, self.leaving, origins, tagged=operator.tagged)
            for each in self.inlets
        ]

        async def emit(item: Any) -> None:
            made = origins.made(item)
            if made.item is not HOLE or self.supervisor.leaves_hole:
                await self._send(made)
            else:
                made.release()

        try:
            await operator.run(inlets, emit, origins.following(call.apply))
            origins.end()
        finally:
            self.leaving.begin()

    def taken_together(self, items: list[Any]) -> int:
        """A call begins with several items; the number of the first, where somebody counts."""
        return 0

    def made_together(self, first: int, made: list[Any]) -> None:
        """What has become of them, from that number on."""
