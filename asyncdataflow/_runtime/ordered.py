"""The loop of one of several workers whose results leave in the order of their items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .call import Call
from .crew import Crew
from .order import Order
from .plain import PlainWork
from .relay import Relay
from .result import checked, is_awaited

__all__ = ("OrderedLoop",)


class OrderedLoop(Crew):
    """One worker; while none of the others is at work, its stretches are in order by themselves.

    Args:
        work: As of a plain loop.
        call: As of a plain loop.
        lay: As of a plain loop.
        relay: The stage's.
        order: The stage's.
    """

    def __init__(
        self, work: PlainWork, call: Call, lay: Callable[[Any], None], relay: Relay, order: Order
    ) -> None:
        super().__init__(work, call, lay, relay)
        self._order = order
        self._ticket = 0

    def _may_stretch(self) -> bool:
        return self._order.is_idle and super()._may_stretch()

    def _disturbed(self) -> None:
        # Undisturbed, a stretch is in order by itself; its item in hand needs a ticket when others run.
        self._ticket = self._order.draw()
        super()._disturbed()

    # As of a crew.
    async def _by_turns(self) -> int:  # noqa: PLR0912
        baton, relay, order, leaving = self._baton, self._relay, self._order, self._work.leaving
        function, awaits, none = self.function, self.awaits, self.none
        take, before = relay.take, relay.before
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
            self._ticket = ticket = order.draw()
            try:
                result = function(item)
                if awaits or is_awaited(type(result)):
                    result = await result
                if type(result) is not self._usual and result is not none:
                    self._usual = type(checked(result))
            except (asyncio.CancelledError, Exception) as raised:
                error = self._own_error(raised)
                if error is None:
                    raise
            self.suspends = relay.suspends = suspends = baton.holder is not relay or relay.runner is not self
            waits, now = False, clock()
            if error is None and order.park(ticket, result):
                took.append(now - began)
                if ticket == order.left and not self._lay_due():
                    waits = True
                    await self._send_due()
                    now = clock()
            else:
                waits = True
                self.began = began
                try:
                    await self.finish(error, item, result)
                finally:
                    error = item = None  # The error's traceback has this frame: a cycle.
                now = clock()
            began = now
            if not suspends:
                self._turn.now = now
                return int(not waits)
        return 0

    def _lay_due(self) -> bool:
        """Put those whose turn it is; whether that is all of them."""
        order, relay = self._order, self._relay
        if self._baton.holder is not relay:
            relay.begin()
        order.let_leave(self.lay, relay.full_at - len(relay.behind), self.none)
        if relay.untold_behind:
            relay.tell_receivers()
        return not order.is_due

    async def _send_due(self) -> None:
        """Those that have to wait for room, or are none."""
        while self._order.is_due:
            await self._order.send_first()
            self._lay_due()

    async def _send(self, result: Any) -> None:
        await self._order.finish(self._ticket, result)
