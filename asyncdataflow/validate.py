"""What of a graph as a whole must stand still: every check refuses only what cannot go well.

A branch of a broadcast that keeps items back lets its siblings fill up. Where a zip or
a concat behind them takes nothing from the full ones meanwhile, the step before can
send to nobody, and the branch never gets what it waits for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .bound import needed, slots
from .graph import Edge, Graph, named
from .keeping import makes_many, why_not_one_to_one
from .naming import place
from .operators.accumulate import Batch
from .operators.combine import Concat, Zip
from .operators.distribute import Split
from .operators.protocol import BatchOperator
from .operators.select import Take, Until
from .operators.streamwise import Through
from .policy import Overflow
from .stage import Stage

__all__ = ("problems",)


def problems(graph: Graph) -> list[str]:
    """What is wrong with the graph as a whole: each with its place and what to write instead."""
    reader = _Reader(graph)
    found = (each for stage in graph.stages for each in reader.problems_at(stage))
    return list(dict.fromkeys(found))


class _Reader:
    """Follows branches back from where they meet to where they part."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._stages = graph.by_name
        self._into: dict[str, list[Edge]] = {name: [] for name in self._stages}
        for edge in graph.edges:
            if not edge.dead_letters:
                self._into[edge.target].append(edge)

    def problems_at(self, meeting: Stage[Any, Any]) -> Iterator[str]:
        """Why the branches that meet at a stage must stand still."""
        if not isinstance(meeting.operator, Zip | Concat):
            return
        chains = [self._chain(meeting, port) for port in range(len(self._graph.ports[named(meeting)]))]
        for one, other in itertools.permutations(range(len(chains)), 2):
            fork = _fork(chains[one], chains[other])
            if fork is None or not _gives_to_all(fork):
                continue
            pair = _Pair(meeting, fork, _behind(fork, chains[one]), _behind(fork, chains[other]))
            if isinstance(meeting.operator, Zip):
                yield from _starved(pair, self._most_items(fork))
            elif one < other:
                yield from _stuck(pair, self._most_items(fork))

    def _chain(self, meeting: Stage[Any, Any], port: int) -> list[Stage[Any, Any]]:
        """The stages before a port, nearest first, as far as each takes from one other only."""
        edges = [each for each in self._into[named(meeting)] if each.port == port]
        chain: list[Stage[Any, Any]] = []
        while len(edges) == 1:
            stage = self._stages[edges[0].source]
            chain.append(stage)
            edges = self._into[named(stage)]
        return chain

    def _most_items(self, stage: Stage[Any, Any]) -> float:
        """The most items that a stage can make in a run."""
        while stage.role != "source":
            if isinstance(stage.operator, Take):
                return stage.operator.count
            edges = self._into[named(stage)]
            if len(edges) != 1 or _may_make_many(stage):
                return math.inf
            stage = self._stages[edges[0].source]
        return math.inf if _may_make_many(stage) else 1


class _Pair(NamedTuple):
    """Two branches that part at ``fork`` and meet again; their stages in the order of the items."""

    meeting: Stage[Any, Any]
    fork: Stage[Any, Any]
    one: Sequence[Stage[Any, Any]]
    other: Sequence[Stage[Any, Any]]


def _starved(pair: _Pair, most: float) -> Iterator[str]:
    """A zip waits for a branch that waits for more items than its sibling can hold."""
    withheld = _withheld(pair.one)
    # Besides, the fork's workers may each have an item in hand that the one branch already has.
    room = _room(pair.other, pair.meeting) + pair.fork.concurrency
    if withheld > room and most > room:
        batches = [each for each in pair.one if isinstance(each.operator, Batch | BatchOperator)]
        timed = "the batch seconds=" if isinstance(batches[0].operator, Batch) else "it within="
        yield (
            f"{_where(batches[0])}: its branch keeps {withheld} items back before it makes one, and the "
            f"branch beside it holds at most {room} until {_where(pair.meeting)} has one of each, so that "
            f"nothing would move any more; give {timed}, or one of the edges beside it "
            f"buffer={withheld}, as in stage({pair.other[-1].title}, buffer={withheld})"
        )


def _stuck(pair: _Pair, most: float) -> Iterator[str]:
    """A concat empties a branch that cannot go on while a later one is full."""
    if most <= 1 or any(_may_end_early(each) for each in pair.one):
        return
    if _room(pair.other, pair.meeting) < math.inf:
        yield (
            f"{_where(pair.meeting)}: its branches come from one step, {_where(pair.fork)}, which cannot go "
            "on once a later branch is full, and the first one would never end; write merge, or give each "
            "branch a source of its own"
        )


def _withheld(branch: Sequence[Stage[Any, Any]]) -> int:
    """Items that have to enter a branch before one leaves it, at least."""
    if any(isinstance(each.operator, Through) for each in branch):
        return 1
    # A batch behind one that makes many may fill from one item, or be sent half full.
    counted = itertools.takewhile(lambda each: not (_may_make_many(each) or _may_end_early(each)), branch)
    return needed(reversed(list(counted)))


def _room(branch: Sequence[Stage[Any, Any]], meeting: Stage[Any, Any]) -> float:
    """Items that a branch holds when nothing is taken from its end, at most."""
    room, weight = 0, 1
    for stage in branch:
        if stage.overflow is not Overflow.BLOCK or _loses_count(stage):
            return math.inf
        room += weight * (stage.buffer.items + slots(stage))
        weight *= stage.operator.size if isinstance(stage.operator, Batch) else 1
    return room + weight * (meeting.buffer.items + 1) if meeting.overflow is Overflow.BLOCK else math.inf


def _loses_count(stage: Stage[Any, Any]) -> bool:
    if isinstance(stage.operator, Batch):
        return False
    return stage.call is None or bool(why_not_one_to_one(stage, stage.call))


def _may_make_many(stage: Stage[Any, Any]) -> bool:
    return stage.call is None or makes_many(stage) or isinstance(stage.operator, Through)


def _may_end_early(stage: Stage[Any, Any]) -> bool:
    return isinstance(stage.operator, Take | Until | Through)


def _gives_to_all(fork: Stage[Any, Any]) -> bool:
    return fork.operator is None or not fork.operator.fans_out or isinstance(fork.operator, Split)


def _fork(one: Sequence[Stage[Any, Any]], other: Sequence[Stage[Any, Any]]) -> Stage[Any, Any] | None:
    """The nearest stage of both chains."""
    names = {named(each) for each in other}
    return next((each for each in one if named(each) in names), None)


def _behind(fork: Stage[Any, Any], chain: Sequence[Stage[Any, Any]]) -> list[Stage[Any, Any]]:
    """The stages of a chain between the fork and its end, in the order of the items."""
    return list(reversed(list(itertools.takewhile(lambda each: each is not fork, chain))))


def _where(stage: Stage[Any, Any]) -> str:
    return place(stage.path, stage.title)
