"""The loop of one of several workers whose results leave in the order of their items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .call import Call
from .crew import Crew
from .order import Order
from .plain import PlainWork

__all__ = ("OrderedLoop",)


class OrderedLoop(Crew):
    """One worker; while none of the others is at work, its stretches are in order by themselves.

    Args:
        work: As of a plain loop.
        call: As of a plain loop.
        lay: As of a plain loop.
        order: The stage's.
    """

    def __init__(self, work: PlainWork, call: Call, lay: Callable[[Any], None], order: Order) -> None:
        super().__init__(work, call, lay)
        self._order = order
        self._ticket = 0

    def _may_stretch(self) -> bool:
        return self._order.is_idle and super()._may_stretch()

    def _disturbed(self) -> None:
        # Undisturbed, a stretch is in order by itself; its item in hand needs a ticket when others run.
        self._draw()
        super()._disturbed()

    def _draw(self) -> None:
        self._ticket = self._order.draw()

    def _is_first(self) -> bool:
        return self._order.is_next(self._ticket)

    def _leave(self) -> None:
        self._order.leave()

    async def _send(self, result: Any) -> None:
        await self._order.finish(self._ticket, result)
