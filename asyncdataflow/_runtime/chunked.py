"""The workers of a stage whose items go to its threads several at a time.

One job, one way in, one way back and one wake-up for a chunk of items instead of for each.
Everything that can be said of an item stays said of it: it is begun or it is not, has one
outcome, leaves in its order, is counted by itself, and what fails is dealt with before the
items behind it go on. What a worker has taken together is a *lot*; it goes to a thread as one
chunk, and in further ones where that stops at a failure or lasts longer than it was to.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from .._threads.chunk import Chunk, Stop
from ..errors import EndOfChannel
from ..holes import HOLE
from ..stage import Stage
from .call import Call, Calls
from .channel import Receiver
from .hands import Hands
from .leaving import Leaving
from .lot import Lot
from .order import Order
from .pace import Pace
from .pull import NOTHING
from .routing import Outlet
from .stopped import outcome
from .supervise import Counters, Supervisor
from .tally import AtWork, Tally

__all__ = ("Chunked",)

_LATE: Final = 2.0
"""How many times as long as it was to last a chunk may take before it is looked after."""

_TURNS: Final = 3
"""How many turns of the loop somebody behind may have to make room, before less is taken."""


class Chunked:
    """The workers.

    More of them than threads, where an item need not have left before a later one begins:
    the threads find their next chunk without waiting for the loop.

    Args:
        stage: The stage.
        calls: Its callable.
        inlet: Its receiving end.
        outlet: Where what it makes goes.
        counters: Its figures.
        supervisor: Its policies.
        leaving: How its workers are cancelled.
        at_work: How long its threads are.
        emit: Sends one value, and counts what became of it.
        tracks: Items are ``Tracked``.
    """

    def __init__(
        self,
        stage: Stage[Any, Any],
        calls: Calls,
        inlet: Receiver[Any],
        outlet: Outlet,
        *,
        counters: Counters,
        supervisor: Supervisor,
        leaving: Leaving,
        at_work: AtWork,
        emit: Callable[[Any], Coroutine[Any, Any, None]],
        tracks: bool = False,
    ) -> None:
        several = stage.concurrency > 1
        places = 2 * stage.concurrency if several and stage.ordered else stage.concurrency
        self.workers = 2 * stage.concurrency if several else 1
        self.hands = Hands(places, outlet)
        self._calls = calls
        self._inlet = inlet
        self._most = inlet.channel.statistics().capacity
        self._outlet = outlet
        self._counters = counters
        self._supervisor = supervisor
        self._leaving = leaving
        self._at_work = at_work
        self._emit = emit
        self._tracks = tracks
        self._order = Order(0, emit) if several and stage.ordered else None
        self._pace = Pace(calls.chunk_seconds)
        self._patience = calls.chunk_seconds * _LATE
        self._loop = asyncio.get_running_loop()
        self._tally = Tally(stage.concurrency, counters)
        self._holding: asyncio.Future[None] | None = None
        self._held_up: list[Lot] = []

    @property
    def waiting(self) -> int:
        """Items taken and, as far as is known here, not begun."""
        return self._tally.waiting

    async def work(self) -> None:
        """The life of a worker: take a lot, see it out, again."""
        async with self._calls.worker() as call:
            again = False
            try:
                while not self._leaving.asked:
                    await self.hands.reserve(again=again)
                    try:
                        lot = await self._take()
                    except EndOfChannel:
                        return
                    again = await self._see_out(call, lot)
                    del lot  # Else what it made lives until the next one comes.
            finally:
                self._leaving.begin()

    async def _take(self) -> Lot:
        """What lies there and one thread shall have; its turn is settled in the same step."""
        try:
            await self._wait_for_items()
        except BaseException:
            self.hands.unreserve()
            raise
        channel, lane = self._inlet.channel, self._calls.lane
        wanted = self._pace.length(channel.ready, lane.idle if lane is not None else 1)
        items = deque(channel.take_more(self.hands.take(wanted)))
        self._tally.taken += len(items)
        ticket = None if self._order is None else self._order.draw()
        return Lot(items, ticket, self._loop, tracks=self._tracks)

    async def _wait_for_items(self) -> None:
        """Wait until there are some, and it is worth while to take them now."""
        channel = self._inlet.channel
        turns = 0
        while True:
            room, lying = self._outlet.claimable(self.hands.claims), channel.ready
            if not lying:
                if channel.ended():
                    raise EndOfChannel(channel.name)
                await channel.wait_for_item()
            elif self._may_wait(min(room, lying)):
                channel.wake_next()  # Nobody waits beside items that lie there, but for the same reason.
                self._holding = self._loop.create_future()
                await self._holding
            elif 4 * room < 3 * lying and self._pace.is_quick and turns < _TURNS:
                # Whoever takes what has just been sent makes room for more.
                turns += 1
                channel.wake_next()
                await asyncio.sleep(0)
            else:
                return

    def _may_wait(self, items: int) -> bool:
        """A thread is at work, and so few quick items are not worth another one before it is done."""
        return self._tally.at_work > 0 and not self._pace.is_worth(items)

    def _go_on_taking(self) -> None:
        if self._holding is not None and not self._holding.done():
            self._holding.set_result(None)

    async def _see_out(self, call: Call, lot: Lot) -> bool:
        """Up to its end; whether the turn to take was kept until then."""
        order, ticket = self._order, lot.ticket
        try:
            if order is not None and ticket is not None and not order.due(ticket):
                order.awaited(ticket).add_done_callback(lot.wake)
            self._post(call, lot)
            if not self._may_wait(self._most):
                self._pass_turn(lot)
            while lot.chunks:
                await lot.news()
                if lot.chunks:
                    await self._look_after(call, lot)
            if order is not None and lot.ticket is not None:
                await order.turn(lot.ticket)
                await self._flush(lot)
                order.leave()
            again, lot.keeps_turn = lot.keeps_turn, False
            return again
        finally:
            self._pass_turn(lot)
            lot.stop_clock()
            while lot.chunks:
                # Taken out, since each knows its lot: a cycle.
                lot.chunks.popleft().abandon()
            lot.made = []
            self.hands.let_go(lot.held)

    def _pass_turn(self, lot: Lot) -> None:
        """Let others take, if none could while this lot was at work."""
        if lot.keeps_turn:
            lot.keeps_turn = False
            self.hands.unreserve()

    def _post(self, call: Call, lot: Lot) -> None:
        """Give the rest of it to the threads."""
        chunk = self._hand_on(call, lot.rest, functools.partial(self._told, lot))
        lot.rest.clear()
        lot.chunks.append(chunk)
        self._tally.posted(chunk, watched=self._watch(lot, chunk))

    def _post_first(self, call: Call, lot: Lot, items: deque[Any]) -> None:
        """Give a thread what comes before all that the others have."""
        chunk = self._hand_on(call, items, functools.partial(self._told, lot))
        lot.chunks.appendleft(chunk)
        self._tally.posted(chunk, watched=False)

    def _hand_on(self, call: Call, items: deque[Any], tell: Callable[[Chunk], object]) -> Chunk:
        """Everything that threads get."""
        return self._at_work.begun(call.post(items, tell))

    def _told(self, lot: Lot, chunk: Chunk) -> None:
        """A thread has news of a chunk."""
        # First, so that what was made leaves before somebody looks for room behind it.
        if self._needs_nothing(lot, chunk):
            self._leave_at_once(lot, chunk)
        else:
            self._pass_turn(lot)
        lot.wake()
        if chunk.ended:
            self._at_work.ended(chunk)
            self._tally.ended(chunk)
            self._go_on_taking()
            held_up, self._held_up = self._held_up, []
            for each in held_up:
                each.wake()

    def _needs_nothing(self, lot: Lot, chunk: Chunk) -> bool:
        """All of a lot has come well out of this chunk, may leave, and has slots behind.

        Its worker waits for that, and is not about to send what came before.
        """
        well = chunk.ended and chunk.stop is None and lot.is_awaited and self._may_leave(lot)
        if not well or len(lot.chunks) > 1 or lot.rest or lot.made or self.hands.claims < lot.held:
            return False
        return not any(each.abandoned for each in self._outlet.channels)

    def _leave_at_once(self, lot: Lot, chunk: Chunk) -> None:
        """In the step in which a thread has told of it."""
        self._keep(lot, chunk.fetch())
        self._over(lot, chunk)
        made, lot.made = lot.made, []
        lot.held -= self.hands.use(len(made))
        self._put(made)
        if self._order is not None:
            lot.ticket = None
            self._order.leave()

    def _over(self, lot: Lot, chunk: Chunk) -> None:
        """The first chunk of a lot has ended."""
        lot.chunks.popleft()
        if not lot.chunks:
            lot.stop_clock()
        self._pace.took(chunk.done, chunk.seconds)

    def _watch(self, lot: Lot, chunk: Chunk) -> bool:
        """Do not let one item of its last chunk hold up many for long; whether that may happen."""
        if len(chunk.pending) < 2 and (self.workers == 1 or not self._pace.is_quick):
            return False
        lot.start_clock(self._patience, functools.partial(self._is_late, lot, chunk))
        return True

    def _is_late(self, lot: Lot, chunk: Chunk) -> None:
        """Nobody waits for it before taking more; told by the clock, whatever its worker waits for."""
        self._tally.late(chunk)
        self._pass_turn(lot)
        self._go_on_taking()

    async def _look_after(self, call: Call, lot: Lot) -> None:
        """See to the first chunk of a lot."""
        chunk = lot.chunks[0]
        ended = chunk.ended
        self._keep(lot, chunk.fetch())
        if ended:
            await self._finish(call, lot, chunk)
        else:
            self._tally.fetched(chunk)
        if lot.late:
            self._relieve(call, lot)
        elif lot.rest and lot.chunks:
            self._pass_on(call, lot)
        if self._may_leave(lot):
            await self._flush(lot)

    async def _finish(self, call: Call, lot: Lot, chunk: Chunk) -> None:
        """The first chunk has ended: deal with what it failed at, and go on with the rest."""
        self._over(lot, chunk)
        # What comes later may be on its way already, where a thread was slow to begin this one.
        first = deque(chunk.pending) if lot.chunks else deque()
        if not lot.chunks:
            lot.rest.extendleft(reversed(chunk.pending))
        stop = chunk.stop
        took = chunk.each
        chunk.let_go()
        if stop is not None:
            if self._may_leave(lot):
                await self._flush(lot)
            since = chunk.began if chunk.began is not None else self._loop.time()
            with self._at_work.alone(took):
                self._keep(lot, [await self._made(call, stop, since, lot)])
        if first:
            self._post_first(call, lot, first)
        if lot.chunks:
            lot.wake()  # There may have been news of it.
        elif lot.rest:
            self._post(call, lot)

    def _relieve(self, call: Call, lot: Lot) -> None:
        """What a slow item holds up goes to another thread, where one is idle, and else waits here."""
        lot.stop_clock()
        chunk = lot.chunks[-1]
        if chunk.ended:
            return
        self._pace.late()
        lot.rest.extendleft(reversed(chunk.take_back()))
        if lot.rest:
            self._pass_on(call, lot)

    def _pass_on(self, call: Call, lot: Lot) -> None:
        """What was taken back, once a thread is idle or the last that had some of it is done."""
        last, lane = lot.chunks[-1], self._calls.lane
        if last.stop is None and (last.ended or (lane is not None and lane.idle)):
            self._post(call, lot)
        else:
            self._held_up.append(lot)

    def _may_leave(self, lot: Lot) -> bool:
        return self._order is None or lot.ticket is None or self._order.due(lot.ticket)

    def _keep(self, lot: Lot, values: list[Any]) -> None:
        """These were made, in order."""
        self._line_up(lot, lot.tracked(values) if self._tracks else values)

    def _line_up(self, lot: Lot, values: list[Any]) -> None:
        """These may leave when it is their turn."""
        lot.made = lot.made + values if lot.made else values
        if len(values) == 1 and values[0] is NOTHING:
            lot.holes = True

    async def _flush(self, lot: Lot) -> None:
        """Let leave what is made; it is its turn."""
        while made := lot.made:
            count = self.hands.use(1 if lot.holes else len(made)) if made[0] is not NOTHING else 0
            if count:
                lot.made = made[count:]
                lot.held -= count
                self._put(made[:count] if lot.made else made)
                continue
            value = made.pop(0)
            await self._emit(value)
            lot.held -= 1
            if value is NOTHING:
                self.hands.let_go(1)
            else:
                self.hands.free()
            del value
        lot.holes = False

    def _put(self, values: list[Any]) -> None:
        """Send values into slots claimed."""
        counters = self._counters
        absent = self._outlet.put(values)
        counters.sent += len(values) - absent
        counters.filtered += absent
        counters.settled += len(values)

    async def _made(self, call: Call, stop: Stop, since: float, lot: Lot) -> Any:
        """What comes, under the stage's policies, of the item at which a chunk has stopped."""
        item, attempt = stop.item, 1
        while True:
            made, error = await outcome(stop, call, self._leaving)
            if error is None:
                return made
            try:
                told = lot.origins[0] if self._tracks else item
                if not await self._supervisor.again(error, told, attempt, since):
                    return HOLE if self._supervisor.leaves_hole else NOTHING
            finally:
                del error  # Its traceback has frames that have the item: a cycle.
            attempt += 1
            stop = await self._once_more(call, item)

    async def _once_more(self, call: Call, item: Any) -> Stop:
        """Another attempt."""
        lot = Lot(deque((item,)), None, self._loop)
        chunk = self._hand_on(call, lot.rest, lot.wake)
        try:
            while not chunk.ended:
                await lot.news()
        finally:
            if not chunk.ended:
                chunk.abandon()
        self._at_work.ended(chunk, counts=False)
        if chunk.stop is not None:
            return chunk.stop
        (value,) = chunk.fetch()
        return Stop(item, False, value)
