"""Reading: the work of a source, which pulls while there is room."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import nullcontext
from typing import Any

from .._threads.job import LaneIterator
from ..errors import ChannelClosed, StageCancelledError
from ..following import Following
from ..histogram import NOTHING_SEEN, Histogram
from ..message import Message
from ..operators.streamwise import opened
from .answers import Answers
from .baton import Stretch
from .call import Call, Rejoined
from .clock import Turn
from .desk import OwnDesk
from .making import Making
from .marks import SourceMarks
from .promised import PullPromised
from .pull import NOTHING, PullAhead
from .receipts import NOBODY
from .restarts import Restarts
from .resume import Resume
from .tracked import tracked, untagged

__all__ = ("Loop", "Reading")

Loop = Callable[[], Coroutine[Any, Any, None]]
"""A worker's life, not yet begun: a coroutine that is never stepped would warn."""


class Reading(Making):
    """One stage of one run, as far as it is a source.

    Args:
        parts: As of ``Making``.
        tracks: As of ``Making``.
        resume: Of a source whose positions a sink keeps: what tells where to go on.
        following: What follows the messages of the run, where instruments do.

    Attributes:
        draining: Asked to stop taking: a source ends behind its current item.
        reading: A source waits for its next item.
        marks: Of a source that is not answered: follow how long items take.
    """

    marks: SourceMarks | None = None
    _desk: OwnDesk | None = None

    def __init__(
        self,
        *parts: Any,
        tracks: bool = False,
        resume: Resume | None = None,
        following: Following | None = None,
    ) -> None:
        super().__init__(*parts, tracks=tracks)
        if following is not None:
            self.following = following
        self.draining = False
        self.reading = False
        self._stop_making: Callable[[], None] | None = None
        self._lay = self.outlet.laying()
        self._answers: Answers | None = None
        if self.calls.is_answered:
            self._answers = Answers(self.stage, self.leaving, resume, self._loses, following)
        elif following is not None and self.stage.role == "source":
            self._desk = OwnDesk(self.stage.title, following)

    @functools.cached_property
    def _restarts(self) -> Restarts:
        """Made for those that read."""
        return Restarts(self.stage)

    @property
    def is_answered(self) -> bool:
        """A source that lives until it knows what became of each message."""
        return self._answers is not None

    @property
    def may_be_cut(self) -> bool:
        """A source that waits at an await; in a thread, it ends at its next yield by itself."""
        waits = self.reading and self._stop_making is None
        return self.stage.role == "source" and waits and not self.is_answered

    @property
    def unacked(self) -> int:
        """Of a source that is answered: messages given of which it was not told yet."""
        return self._answers.desk.unacked if self._answers is not None and self._answers.is_open else 0

    @property
    def settled(self) -> Histogram:
        """Of a source: how long its messages took until they were settled, or its marks to the end."""
        if self._answers is not None:
            return self._answers.took.histogram()
        return NOTHING_SEEN if self.marks is None else self.marks.latency

    def cut(self) -> None:
        """Of a source that is answered: wait for no further message, only for what became of the others."""
        if self._answers is not None and self.reading and self.draining:
            self._answers.cut()

    def take_back(self, message: Message[Any]) -> bool:
        """Take a message's item out of the edge behind, where it lies in one only."""
        channels = self.outlet.channels
        if len(channels) != 1:
            return False
        item = channels[0].take_out(lambda each: message in untagged(each).origins())
        if item is None:
            return False
        untagged(item).release()
        return True

    def stop(self) -> None:
        """The run stops."""
        if self._answers is not None:
            self._answers.stop()
        if self._desk is not None:
            self._desk.stop()

    def nothing_left(self) -> None:
        """Of a source that is answered: nothing is under way any more that could say what became of it."""
        if self._answers is not None:
            self._answers.nothing_left()

    def finish(self) -> None:
        """Of the source of a durable buffer: nothing more will be put into it."""
        if self._answers is not None:
            self._answers.finish()

    def drain(self) -> None:
        """Of a source: make no more. What was already made, in a thread maybe ahead, is still sent."""
        self.draining = True
        self._restarts.end()
        if self._answers is not None:
            self._answers.hurry()
        if self._stop_making is not None:
            self._stop_making()

    def reading_loops(self) -> list[Loop]:
        """One coroutine function for each worker of a source."""
        if self._answers is None:
            return [self._source]
        return [functools.partial(self._answered_source, self._answers), self._answers.work]

    async def _source(self) -> None:
        """The first step: pull while there is room."""
        async with self.calls.worker() as call:
            if not self._many:
                self.reading = True
                made = await self._made(call, tracked(None, NOBODY) if self.tracks else None)
                self.reading = False
                await self.emit(self._own(made))
                return
            while await self._read(call):
                self.counters.retried += 1

    async def _read(self, call: Call) -> bool:
        """From the beginning to the end, or to where it fails; whether it is to be read once more."""
        restarts, opened = self._restarts, False
        self.reading = self.calls.lane is None  # A drain need not wait for it to open.
        try:
            async with call.each(None) as items:
                self.reading, opened = False, True
                self._opened()
                try:
                    await self._pull(items)
                    # Before the iterator is closed, which may take its time: what was sent
                    # can be finished meanwhile. Not on failure: nobody may take that for the end.
                    if restarts.failure is None:
                        self.outlet.close()
                finally:
                    self.leaving.begin()
        except Exception as error:
            if restarts.failure is None and (opened or not self._fails(error)):
                raise
            restarts.also(error)
        return restarts.failure is not None and await self._paused()

    def _opened(self) -> None:
        """The source is open, and whoever waits for that is told."""
        self._restarts.was_open = True
        self.calls.opened()

    async def _paused(self) -> bool:
        """The source has failed: wait; whether it is to be opened anew."""
        self.reading, self._stop_making = False, None
        self.leaving.go_on()
        with self.meter.waiting:
            return await self._restarts.pause()

    def _end_with(self, error: Exception) -> None:
        """The source has raised it, which may stand."""
        try:
            if not self._fails(error):
                raise error
        finally:
            del error  # Its traceback has this frame: a cycle.

    def _fails(self, error: Exception) -> bool:
        """The source has raised it; whether it is opened anew, and the failure does not stand."""
        cut = self._answers is not None and self._answers.was_cut(error)
        return not cut and not self.leaving.ordered() and self._restarts.note(error)

    def _loses(self, error: Exception) -> bool:
        """The same of one that could not be told what became of its messages."""
        if self._answers is None or not self._restarts.note(error):
            return False
        self._answers.lose(waits=self.reading)
        return True

    async def _answered_source(self, answers: Answers) -> None:
        """A source that wants to know what became of each message: it stays open until it does."""
        while await self._session(answers):
            self.counters.retried += 1

    async def _session(self, answers: Answers) -> bool:
        """From its opening to where it is left; whether it is to be opened anew."""
        restarts = self._restarts
        self.reading = True  # A drain need not wait for it to open.
        try:
            async with self.calls.answered(await answers.after()) as subscription:
                self.reading = False
                answers.open(subscription)
                self._opened()
                try:
                    await self._pull_messages(answers)
                    await self._leave(answers)
                finally:
                    self.leaving.begin()
                    await answers.desk.close()
        except asyncio.CancelledError as error:
            if answers.is_open or not answers.was_cut(error):
                raise
        except Exception as error:
            if restarts.failure is None and (answers.is_open or not self._fails(error)):
                raise
            restarts.also(error)
        return restarts.failure is not None and await self._paused()

    async def _leave(self, answers: Answers) -> None:
        """There is nothing more, or the source has failed; what it has given is settled first."""
        restarts = self._restarts
        if restarts.failure is not None:
            with self.meter.blocked:
                settled = await answers.settle(restarts.patience)
            if not restarts.is_over:
                # What is under way would be stored twice, by position and when it comes again.
                if answers.keeps_positions and not settled:
                    raise restarts.take_failure()
                answers.renew()
                raise restarts.failure
            restarts.forget()
        restarts.end()
        self.outlet.close()
        with self.meter.blocked:
            await answers.desk.wait_until_answered()

    async def _pull_messages(self, answers: Answers) -> None:
        """Up to the end, or to where no more is wanted: what was sent is still to be answered."""
        try:
            async with opened(answers.subscription) as messages:
                await self._pull(messages)
        except StageCancelledError as error:
            if not answers.was_cut(error):
                raise
        except ChannelClosed:
            if not all(each.abandoned for each in self.outlet.channels):
                raise
            self.leaving.go_on()
        except Exception as error:
            # On the way out of a session that has failed: what it has given is settled all the same.
            if self._restarts.failure is None:
                raise
            self._restarts.also(error)
        finally:
            answers.puller = None

    def _own(self, item: Any) -> Any:
        """What a source sends for what it has made."""
        if not self.tracks or item is NOTHING:
            return item
        if self._answers is not None:
            return self._answers.desk.track(item)
        return tracked(item, NOBODY) if self._desk is None else self._desk.track(item)

    async def _pull(self, items: AsyncIterator[Any]) -> None:
        turn, meter = Turn(self._loop, len(self.outlet.channels)), self.meter
        ahead, baton = self._ahead(items), self.outlet.channels[0].baton
        self._stop_making = self._stopper(items)
        with ahead or nullcontext():
            while not self.leaving.asked and not self._is_lost and not (self.draining and self._is_drained()):
                room = self._room(ahead, turn)
                if not room and turn.patience:
                    await turn.give_way(meter.blocked, baton)
                    continue
                sent = 0
                self.reading = True
                try:
                    if ahead is not None and room:
                        sent, item, error = await ahead.pull(min(room, turn.left))
                    else:
                        with meter.waiting:
                            item, error = await self._next_of(items)
                        turn.look()
                finally:
                    self.reading = False
                if error is not None:
                    self._end_with(error)
                    return
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
                    turn.look()
                    await turn.give_way(meter.blocked, baton)
                elif turn.due(sent):
                    await turn.rest()
                if self._answers is not None and not await self._wait_for_answers(self._answers):
                    return

    @property
    def _is_lost(self) -> bool:
        """It is a session that can be told nothing any more."""
        return self._answers is not None and self._answers.is_lost

    async def _wait_for_answers(self, answers: Answers) -> bool:
        """Until one more may be given; false where the session can be told nothing any more."""
        if answers.desk.room:
            return not answers.is_lost
        with self.meter.blocked:
            return await answers.wait_for_room()

    def _room(self, ahead: PullAhead | None, turn: Turn) -> int:
        """Items that a stretch may give that begins now, and that count as given now."""
        if self.marks is not None and turn.now >= self.marks.next:
            self.marks.begin(self.outlet.channels, self.meter.clock())
        if ahead is None:
            return 0
        free = ahead.free(self.outlet.free)
        if self._answers is None:
            return free
        self._answers.desk.look()
        return min(free, self._answers.desk.room)

    async def _send_pulled(self, item: Any) -> None:
        """An item of a source that does not leave in a stretch."""
        self.counters.received += 1
        if self.limiter is not None:
            await self.limiter.wait()
        await self._send(self._own(item))
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
        if lay is None or self.limiter is not None:
            return None
        stretch = Stretch(self.outlet.channels[0].baton, None, self.outlet.ways, self.counters, works=False)
        parts = (self.watched_source(self._laying_own(lay)), stretch, self._source_error, self.meter)
        if isinstance(items, LaneIterator):
            return PullPromised(items, self.outlet, self._told(items), *parts)
        return PullAhead(self._told(items), *parts)

    def _told(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The items, as a stretch shall ask for them."""
        return items

    @staticmethod
    def _stopper(items: AsyncIterator[Any]) -> Callable[[], None] | None:
        """What makes items end that are made in a thread."""
        return items.stop if isinstance(items, LaneIterator | Rejoined) else None

    def _laying_own(self, lay: Callable[[Any], None]) -> Callable[[Any], None]:
        """What sends an item of a source, as it is sent."""
        if not self.tracks:
            return lay
        if self._answers is not None:
            return self._answers.desk.laying(lay)
        own = self._own
        return lambda item: lay(own(item))
