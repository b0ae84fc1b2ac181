"""Fused: neighbouring stages whose workers take an item through several of them in one go.

As many workers as stages, as ever; but which of them serves which stage may change. Whoever
finds the stages before it idle and the edges between them empty walks its items through
all of them, from one function into the next. The moment that an item suspends inside one,
its worker serves that one, and who had served it, and was idle, takes over where the walk
began. So nothing waits that would not have waited with a worker of its own for each.

A stage in which an item has suspended is walked into again once one has gone through it
alone without. Stages that always wait cost what they cost alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from .call import Call
from .channel import Channel, Receiver
from .plain import PlainLoop, PlainWork
from .tracked_plain import TrackedLoop
from .walk import Path
from .walked import Sample, Walked

__all__ = ("FusedWork", "Group", "Role", "Server", "fuse")

_MOST_STAGES: Final = 16
"""In one go: what is written out for them is kept, for each number and sort of them."""


class FusedWork(PlainWork, Protocol):
    """What is needed of the work of a stage that may be one of a group.

    Attributes:
        group: The group that it belongs to, if it does.
        role: What it is there.
        tracks: Its items are tracked.
        walked: How long items took on their way through it, once it is gone, and at which place it is.
    """

    group: Group | None
    role: Role | None
    tracks: bool
    walked: tuple[Walked, int] | None

    @property
    def is_fusable(self) -> bool:
        """It has one worker, which has nothing of its own and makes at most one item of each."""


class Server(Protocol):
    """A worker of a group.

    Attributes:
        role: What it serves.
        task: Its task.
        waits: It is idle: it waits for an item.
    """

    role: Role
    task: asyncio.Task[Any]
    waits: bool


Serves = Callable[[asyncio.Task[Any], Any], None]
"""Takes a task and whose work it does from now on."""


class Role:
    """One stage of a group, for whoever serves it.

    Args:
        place: Its place in the group.
        work: The stage's work.

    Attributes:
        inlet: Where its items come from.
        channel: The edge that they lie in.
        free: How many more find room behind it.
        server: Who serves it, while somebody does.
        loop: What serves it alone.
    """

    def __init__(self, place: int, work: FusedWork) -> None:
        self.place = place
        self.work = work
        self.inlet: Receiver[Any] = work.inlets[0]
        self.channel: Channel[Any] = self.inlet.channel
        self.free = work.outlet.free
        self.server: Server | None = None
        self.loop: PlainLoop | None = None

    def open(self, server: Server, call: Call, lay: Callable[[Any], None]) -> None:
        """Its first server is there."""
        self.server = server
        self.loop = (TrackedLoop if self.work.tracks else PlainLoop)(self.work, call, lay)

    def close(self) -> None:
        """Its last server has gone."""
        self.server = self.loop = None

    @property
    def is_idle(self) -> bool:
        """Its server waits, nothing lies before it, and its function has not suspended of late."""
        server, loop = self.server, self.loop
        if server is None or not server.waits or self.work.leaving.asked:
            return False
        return not self.channel.queue and loop is not None and not loop.suspends


class Group:
    """Stages in a row, each with one worker.

    Args:
        works: Theirs, in that order.

    Attributes:
        roles: One for each.
        baton: The run's.
        serves: Told which task serves which stage from now on.
        loop: The run's.
        wakes: How many the last may have to wake.
        walked: How long items took on their way, once any has gone more than one step.
    """

    def __init__(self, works: Sequence[FusedWork]) -> None:
        self.roles = [Role(place, work) for place, work in enumerate(works)]
        self._behind = [self.roles[at + 1 : at + _MOST_STAGES] for at in range(len(works))]
        self.baton = self.roles[0].channel.baton
        self.serves: Serves | None = None
        self.loop = asyncio.get_running_loop()
        self.wakes = len(works[-1].outlet.channels)
        self.walked: Walked | None = None
        self._paths: dict[tuple[int, int], Path] = {}
        self._sampling: dict[tuple[int, int], tuple[Path, Sample]] = {}

    def let_go(self) -> None:
        """Break the cycles, when the run is over."""
        self.serves = None
        self._paths.clear()
        self._sampling.clear()
        for role in self.roles:
            role.work.group = role.work.role = None
            if self.walked is not None:
                role.work.walked = self.walked, role.place

    def steps(self) -> Walked:
        """How long items took on their way."""
        if self.walked is None:
            self.walked = Walked(len(self.roles))
        return self.walked

    def path(self, first: int, last: int) -> Path:
        """From a place to a place."""
        known = self._paths.get((first, last))
        if known is None:
            known = self._paths[first, last] = self._make_path(self.roles[first : last + 1])
        return known

    def sampling(self, first: int, last: int) -> tuple[Path, Sample]:
        """The same with a look at the clock between any two stages, and what comes of it."""
        known = self._sampling.get((first, last))
        if known is None:
            sample = Sample(self.baton.clock, last - first + 1)
            path = self._make_path(self.roles[first : last + 1], sample)
            known = self._sampling[first, last] = (path, sample)
        return known

    def _make_path(self, roles: Sequence[Role], sample: Sample | None = None) -> Path:
        loops = [role.loop for role in roles if role.loop is not None]
        passing = [role.work.passing for role in roles]
        functions = [loops[0].function]
        functions += [take(each.function) for take, each in zip(passing, loops[1:], strict=False)]
        lay = loops[-1].lay
        if sample is not None:
            functions = [sample.entering(place, each) for place, each in enumerate(functions)]
            lay = sample.entering(len(functions), lay)
        return Path(
            inlets=[role.channel for role in roles],
            tallies=[role.work.counters for role in roles],
            outlets=roles[-1].work.outlet.ways,
            functions=functions,
            awaited=[each.awaits for each in loops],
            lay=lay,
            none=loops[-1].none,
            tracked=roles[0].work.tracks,
            took=self.steps().of(roles[0].place, roles[-1].place),
        )

    def reach(self, first: int, most: int) -> tuple[int, int]:
        """To which place items of a role can go in one go, and how many; at most ``most``."""
        roles = self.roles
        last = first
        loop = roles[first].loop
        if loop is not None and not loop.suspends:
            for role in self._behind[first]:
                if not role.is_idle:
                    break
                last += 1
        while True:
            free = roles[last].free()
            if free > 0 or last == first:
                return last, most if most < free else free
            last -= 1

    def disturbed(self, server: Server, at: int) -> None:
        """The item in hand of this server, which walks, is in the stage at this place, maybe for long."""
        own, there = server.role, self.roles[at]
        if there.loop is not None:
            there.loop.suspends = True
        if there is not own and there.server is not None:
            self._exchange(server, there.server)

    def _exchange(self, walker: Server, idle: Server) -> None:
        walker.role, idle.role = idle.role, walker.role
        walker.role.server, idle.role.server = walker, idle
        idle.waits = False
        walker.role.channel.dismiss()
        name = walker.task.get_name()
        walker.task.set_name(idle.task.get_name())
        idle.task.set_name(name)
        if self.serves is not None:
            self.serves(walker.task, walker.role.work)
            self.serves(idle.task, idle.role.work)


def fuse(works: Iterable[FusedWork]) -> None:
    """Give those that may be a group, each as long as can be, their roles; nothing else changes.

    Args:
        works: A stage's stands behind those of the stages before it.
    """
    rows: list[list[FusedWork]] = []
    ending: dict[Channel[Any], list[FusedWork]] = {}
    for work in works:
        if work.is_fusable:
            channel = work.inlets[0].channel
            row = ending.get(channel) if channel.is_private else None
            if row is None:
                row = []
                rows.append(row)
            row.append(work)
            if len(work.outlet.channels) == 1:
                ending[work.outlet.channels[0]] = row
    for row in rows:
        if len(row) > 1:
            group = Group(row)
            for role in group.roles:
                role.work.group, role.work.role = group, role
