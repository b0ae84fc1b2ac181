"""The loop of a worker of a group: whichever role it serves at the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .call import Call
from .clock import Turn
from .fused import Group, Role
from .plain import PlainLoop
from .walk import Walk
from .walked import SAMPLED_ITEMS

__all__ = ("Walker",)


class Walker(Walk):
    """One worker; made in its task.

    Args:
        group: Its group.
        role: What it serves first.
        call: The way to that stage's function, which has a ``direct`` one.
        lay: Puts a result into the edges behind that stage.

    Attributes:
        role: What it serves: others change that, while it waits or is inside a stage's function.
        task: Its task.
        waits: It waits for an item, or gives way to others first.
    """

    def __init__(self, group: Group, role: Role, call: Call, lay: Callable[[Any], None]) -> None:
        task = asyncio.current_task(group.loop)
        assert task is not None, "made in a task"  # noqa: S101 - for the type checker
        role.open(self, call, lay)
        super().__init__(group.baton)
        self.role = role
        self.task = task
        self.waits = False
        self._group = group
        self._turn = Turn(group.loop, group.wakes)

    async def run(self) -> None:
        """Work to the end of the input of whatever it serves then."""
        turn, baton, reach = self._turn, self.baton, self._group.reach
        try:
            while True:
                role, meter = self.role, self.role.work.meter
                if role.work.leaving.asked:
                    return
                lying, left = role.channel.ready, turn.left
                last, fit = reach(role.place, lying) if lying else (role.place, 0)
                if not fit and turn.patience:
                    waits = meter.blocked if lying else meter.waiting
                elif not lying:
                    if role.inlet.over:
                        return
                    self.waits = True
                    await role.channel.wait_for_item()
                    self.waits = False
                    baton.drop()  # Whoever walks may be inside this stage, and serves it then.
                    turn.begin()
                    continue
                else:
                    if last == role.place and role.loop is not None:
                        done = await role.loop.advance(fit if fit < left else left, turn)
                    else:
                        done = await self._walk(last, fit if fit < left else left)
                    if not done:
                        turn.begin()
                        continue
                    if not turn.is_idle_after(done, fit):
                        if turn.due(done, turn.now):
                            await turn.rest()
                        continue
                    waits = meter.waiting if lying <= fit else meter.blocked
                self.waits = True
                await turn.give_way(waits, baton)
                self.waits = False
        finally:
            self.waits = False
            self.role.work.leaving.begin()
            self.role.close()

    async def _walk(self, last: int, items: int) -> int:
        """Take so many items as far as this place; how many that may have been, 0 where others ran."""
        group, first, sample = self._group, self.role.place, None
        walked = group.walked or group.steps()
        self.baton.watch()
        walked.left -= 1
        if walked.left:
            path = group.path(first, last)
        else:
            items = min(items, SAMPLED_ITEMS)
            path, sample = group.sampling(first, last)
            sample.begin()
            walked.begin()
        ended = await self.along(path, items)
        if ended is None:
            self.end()
            path.took.add_together(self._turn.look(), items)
            if sample is not None:
                walked.sampled(first, sample.seconds[:-1], items)
            return items
        error, item, made = ended
        loop = self._ended_early(first, last)
        finishing = loop.finish(error, item, made)
        done = int(error is not None)
        del ended, error, item, made  # The traceback gets this frame: a cycle.
        await finishing
        self._turn.look()
        return done

    def _ended_early(self, first: int, last: int) -> PlainLoop:
        """Count what a walk has done that was to go from a place to a place; what the item in hand is in."""
        walked, began, before = self._group.steps(), self._turn.now, self.taken - 1
        each = (self.until - began) / max(before, 1)
        at = self.role.place
        if before > 0:
            walked.of(first, last).add(each, before)
        if at > first:
            walked.of(first, at - 1).add(each)
        loop = self.role.loop
        assert loop is not None, "open"  # noqa: S101 - for the type checker
        loop.began = self.until if before > 0 or at > first else began
        return loop

    def own_error(self, raised: BaseException) -> Exception | None:
        """As in ``Walk``: of the stage that this serves from now on, because it is in there."""
        super().own_error(raised)
        if not isinstance(raised, asyncio.CancelledError | Exception):
            return None
        return self.role.work.own_error(raised)

    def disturbed(self, at: int) -> None:
        """As in ``Walk``."""
        self._group.disturbed(self, self.role.place + at)
