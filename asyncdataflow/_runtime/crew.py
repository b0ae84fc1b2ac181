"""The loop of one of several workers of a stage on the loop: one of them leads, while nothing suspends.

Where no call suspends, a second worker has nothing to add: it would be woken for nothing, or take
its items at the price of a wake-up. So the worker that does a stretch *attends* to the edge for as
long as it is awake, and those that sleep beside it are left asleep. Whether its call suspends, which
no line of its own can tell, the loop tells: what was put on its list before the stretch runs only
then (leader and followers, see ``edge``). Where calls do suspend, the workers share their stretches:
see ``relay``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from ..errors import ChannelClosed
from .call import Call
from .plain import PlainLoop, PlainWork
from .relay import Relay
from .result import checked, is_awaited
from .tracked_plain import TrackedLoop

__all__ = ("Crew", "TrackedCrew")


class Crew(PlainLoop):
    """One worker.

    Args:
        work: As of a plain loop.
        call: As of a plain loop.
        lay: As of a plain loop.
        relay: The stage's.
    """

    _tracked: ClassVar[bool] = False

    def __init__(self, work: PlainWork, call: Call, lay: Callable[[Any], None], relay: Relay) -> None:
        super().__init__(work, call, lay)
        self._relay = relay
        self.suspends = relay.suspends
        self._has_stretch = False

    def _open(self) -> None:
        """Later: of many workers that suspend, most never have a stretch of their own."""

    def over(self) -> None:
        """As of a plain loop."""
        self._channel.leave(self)
        # Cycles.
        if self._has_stretch:
            self._stretch.on_interrupt = None
        if self._relay.runner is self:
            self._relay.runner = None

    async def _wait(self) -> None:
        self._channel.leave(self)
        await self._inlet.wait()
        self.suspends = self._relay.suspends

    def _may_stretch(self) -> bool:
        if not self._has_stretch:
            self._has_stretch = True
            super()._open()
            self._stretch.on_interrupt = self._disturbed
        self._channel.attend(self)
        return True

    def _disturbed(self) -> None:
        """Others run while it has an item in hand: they have to attend to what lies there."""
        self._channel.leave(self)

    def _one_by_one(self) -> Coroutine[Any, Any, int]:
        self._channel.leave(self)
        return self._by_turns()

    # A call for a part of it would take as long as the part does.
    async def _by_turns(self) -> int:  # noqa: PLR0912
        """Items one by one, in what the stage's workers share.

        Returns:
            As of a plain loop.
        """
        baton, relay, leaving = self._baton, self._relay, self._work.leaving
        function, lay, awaits, none, tracked = self.function, self.lay, self.awaits, self.none, self._tracked
        take, before, behind = relay.take, relay.before, relay.behind
        clock, began, took = self._meter.clock, self._turn.now, relay.took
        while not leaving.asked:
            if baton.holder is not relay:
                relay.begin()
            if len(before) <= relay.promised:
                return 0
            result = error = None
            item = take()
            relay.runner = self
            if relay.untold_before:
                relay.wake_senders()
            try:
                result = function(item.given if tracked else item)
                if awaits or is_awaited(type(result)):
                    result = await result
                if type(result) is not self._usual and result is not none:
                    self._usual = type(checked(result))
            except (asyncio.CancelledError, Exception) as raised:
                error = self._own_error(raised)
                if error is None:
                    raise
            self.suspends = relay.suspends = suspends = baton.holder is not relay or relay.runner is not self
            done, now = 1, clock()
            if baton.holder is not relay:
                relay.begin()
            if error is None and result is not none and len(behind) < relay.full_at:
                took.append(now - began)
                lay(self._made_of(item, result) if tracked else result)
                if relay.untold_behind:
                    relay.wake_receivers()
            else:
                self.began = began
                try:
                    done = await self._long_way(error, item, result)
                finally:
                    error = item = None  # The error's traceback has this frame: a cycle.
                now = clock()
            began = now
            if not suspends:
                self._turn.now = now
                return done
        return 0

    async def _long_way(self, error: Exception | None, item: Any, result: Any) -> int:
        """For an item that has failed, of which there is no result, or for which there is no room.

        Returns:
            0 where others ran for sure.
        """
        line_up = self._lining_up() if error is None and result is not self.none else None
        if line_up is None:
            waits = result is not self.none and self._work.outlet.is_full()
            try:
                await self.finish(error, item, result)
            finally:
                del error, item  # As above.
            return int(not waits)
        self._meter.recorder.add(self._meter.clock() - self.began)
        await self._sent(line_up(self._made_of(item, result)))
        return 0

    def _lining_up(self) -> Callable[[Any], asyncio.Future[bool]] | None:
        """What puts a result in its place among those that wait for room; none where more is to be done."""
        work = self._work
        line_up = work.outlet.lining_up()
        if line_up is None or work.outlet.channels[0].abandoned:
            return None
        return work.watched(self._call.direct, line_up, awaits=self.awaits)[1]

    async def _sent(self, waiter: asyncio.Future[bool]) -> None:
        """Wait until a result that found no room is where it belongs."""
        (channel,) = self._work.outlet.channels
        try:
            with self._meter.blocked:
                wanted = await waiter
        except asyncio.CancelledError:
            if not waiter.done() or waiter.cancelled():
                channel.take_back(waiter)
            raise
        if not wanted:
            raise ChannelClosed(channel.name)
        counters = self._work.counters
        counters.sent += 1
        counters.settled += 1

    def _own_error(self, raised: BaseException) -> Exception | None:
        self._baton.drop()
        return self._work.own_error(raised)


class TrackedCrew(Crew, TrackedLoop):
    """One worker, with tracked items."""

    _tracked: ClassVar[bool] = True
