"""How many source items a run can have taken and not yet settled, known before it starts.

Every place that an item can lie in is counted: a source's hand, the channels, the
hands of the workers, the output edge. Behind a batch or a zip one thing stands for
several source items. Where a step is broadcast, the places of all branches add up,
although one item may lie in several: elsewhere than in chains and merges of
one-to-one stages, the count is an upper limit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from .graph import Edge, Graph, named
from .keeping import makes_many
from .operators.accumulate import Batch
from .operators.combine import CombineLatest, Zip
from .operators.protocol import BatchOperator, StreamOperator
from .stage import Stage

__all__ = ("bound", "is_tagged", "needed", "slots")


def bound(graph: Graph, buffer: int = 128) -> int:
    """The most source items that are taken and not yet settled.

    Args:
        graph: The graph.
        buffer: Results that the output edge holds.
    """
    weights = _Weights(graph)
    total = sum(weights.of_stage(each) for each in graph.stages)
    total += buffer * max((weights.made[each] for each in graph.outputs), default=0)
    if all(_makes_one_item(each) for each in graph.sources):
        return min(total, len(graph.sources))
    return total


def slots(stage: Stage[Any, Any]) -> int:
    """Items that a stage's workers have in hand, at most; of a stream operator, what it holds."""
    if isinstance(stage.operator, StreamOperator):
        return stage.operator.holds
    workers = stage.concurrency
    if isinstance(stage.operator, BatchOperator):
        return stage.operator.size * workers
    if stage.key is not None and workers > 1:
        # A worker parks only with a place reserved and begins only with one too, so that the
        # last of either is never there together with the last of the other.
        return 2 * workers - 1
    if workers == 1 or not stage.ordered:
        return workers
    # What a generator makes is sent by its own worker when its turn comes: nothing is parked.
    return workers if makes_many(stage) else 2 * workers


def needed(stages: Iterable[Stage[Any, Any]]) -> int:
    """Items that have to come into the first of some stages before the last makes one, at least.

    Args:
        stages: They, the last first; what makes any number of items is not among them.
    """
    count = 1
    for stage in stages:
        operator = stage.operator
        if isinstance(operator, Batch):
            count *= 1 if operator.seconds is not None else operator.size
        elif isinstance(operator, BatchOperator) and operator.within is None:
            count = operator.size * math.ceil(count / operator.size)
    return count


def is_tagged(stage: Stage[Any, Any]) -> bool:
    """Whether all ports of a stage share one channel."""
    return isinstance(stage.operator, StreamOperator) and stage.operator.tagged


class _Weights:
    """How many source items one thing stands for, at each stage of a graph.

    Attributes:
        made: For what a stage makes, by its name.
    """

    def __init__(self, graph: Graph) -> None:
        self._into: dict[str, list[Edge]] = defaultdict(list)
        for edge in graph.edges:
            self._into[edge.target].append(edge)
        self._taken: dict[str, dict[int, int]] = {}
        self.made: dict[str, int] = {}
        for stage in graph.stages:
            name = named(stage)
            self._taken[name] = taken = self._by_port(name)
            self.made[name] = _made_of(stage, taken)

    def of_stage(self, stage: Stage[Any, Any]) -> int:
        """Source items in a stage's hands and in the channels into it."""
        taken = self._taken[named(stage)]
        if not taken:
            return 1
        lying = [max(taken.values())] if is_tagged(stage) else taken.values()
        operator = stage.operator
        rows = isinstance(operator, Zip | CombineLatest)
        return stage.buffer.items * sum(lying) + slots(stage) * (
            sum(taken.values()) if rows else max(taken.values())
        )

    def _by_port(self, name: str) -> dict[int, int]:
        """What comes in, at its heaviest, by port."""
        taken: dict[int, int] = {}
        for edge in self._into[name]:
            weights = self._taken[edge.source].values() if edge.dead_letters else (self.made[edge.source],)
            taken[edge.port] = max(taken.get(edge.port, 1), *weights)
        return taken


def _made_of(stage: Stage[Any, Any], taken: dict[int, int]) -> int:
    if isinstance(stage.operator, Zip | CombineLatest):
        return sum(taken.values())
    heaviest = max(taken.values(), default=1)
    return heaviest * stage.operator.makes_of if isinstance(stage.operator, StreamOperator) else heaviest


def _makes_one_item(source: Stage[Any, Any]) -> bool:
    return source.call is not None and source.call.kind in ("coroutine", "function") and not source.call.many
