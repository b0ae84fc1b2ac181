"""Whether a stage keeps the number and the order of items: what zip by signature and a bare result need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .graph import Edge, Graph
from .operators.combine import Zip
from .operators.distribute import Split
from .policy import Overflow
from .stage import Call, Stage

__all__ = ("makes_many", "makes_only_one", "why_not_one_to_one", "why_not_ordered")


def why_not_one_to_one(stage: Stage[Any, Any], call: Call) -> str:
    """Why a stage may make more or fewer items than it takes; empty where it makes one from each."""
    operator = stage.operator
    if operator is not None and not operator.one_to_one:
        rows = isinstance(operator, Zip) and operator.uneven == "error"
        if not rows and not isinstance(operator, Split):
            return f"{stage.label or stage.title} does not make one item from each"
    if call.many:
        return "it makes any number of items from each"
    if stage.on_error != "fail":
        return "its on_error= leaves items out"
    if stage.overflow in (Overflow.DROP_OLDEST, Overflow.DROP_NEWEST):
        return "its overflow= drops items"
    return ""


def makes_many(stage: Stage[Any, Any]) -> bool:
    """Whether a stage's function makes any number of items from each."""
    return stage.call is not None and stage.call.many


def why_not_ordered(stage: Stage[Any, Any]) -> str:
    """Why results may leave a stage in another order than the items came; empty where they do not."""
    if stage.concurrency > 1 and stage.key is not None:
        return "its key= keeps order per key only"
    if stage.concurrency > 1 and not stage.ordered:
        return "it is not ordered"
    return ""


def makes_only_one(graph: Graph) -> bool:
    """Whether every stage of the graph makes exactly one item in a run, or of each that a run is given."""
    flow = [each for each in graph.edges if not each.dead_letters]
    fed_by_dead_letters = {each.target for each in graph.edges if each.dead_letters}
    return not _merges(flow) and all(
        _is_single(each) for each in graph.stages if each.name not in fed_by_dead_letters
    )


def _merges(edges: Iterable[Edge]) -> bool:
    ports = [(each.target, each.port) for each in edges]
    return len(ports) > len(set(ports))


def _is_single(stage: Stage[Any, Any]) -> bool:
    if stage.call is not None and stage.call.kind == "feed":
        return True
    if stage.call is None or why_not_one_to_one(stage, stage.call):
        return False
    return stage.role != "source" or stage.call.kind in ("coroutine", "function")
