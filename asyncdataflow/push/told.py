"""The graph of a run that is given items one by one, each of which somebody waits for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..abc import AckableSource
from ..delivery import delivery_problems
from ..errors import DefinitionError, DeliveryError
from ..fitting import fit_source, judge
from ..graph import Graph, named
from ..naming import place
from ..operators.accumulate import Batch
from ..operators.combine import CombineLatest, Zip
from ..operators.protocol import BatchOperator
from ..policy import TellCaller
from ..stage import Stage

__all__ = ("told",)


def told(graph: Graph, inbox: AckableSource[Any]) -> Graph:
    """The graph with its items from an inbox, where an item's failure is told and ends nothing else.

    Args:
        graph: A flow's graph that is fed the items of the run.
        inbox: Takes the place of the feed.

    Raises:
        DefinitionError: A call would have to wait for other calls, or could not be told what came of it.
    """
    found = [each for stage in graph.stages for each in _problems(graph, stage)]
    if found:
        raise DefinitionError("\n".join(found))
    rows = _Rows(graph)
    stages = tuple(
        _source(stage, inbox) if stage.role == "source" else _telling(stage, rows) for stage in graph.stages
    )
    made = dataclasses.replace(graph, stages=stages)
    unkept = delivery_problems(made, None)
    if unkept:
        raise DeliveryError("\n".join(unkept))
    return made


def _problems(graph: Graph, stage: Stage[Any, Any]) -> Iterator[str]:
    """Why an item that is alone would wait at a stage for ever."""
    where = f"open(): {place(stage.path, stage.title)}"
    operator = stage.operator
    if isinstance(operator, Batch) and operator.seconds is None and operator.size > 1:
        yield f"{where} waits for {operator.size} items, and a caller may be alone; give it seconds="
    if isinstance(operator, BatchOperator) and operator.within is None and operator.size > 1:
        yield f"{where} waits for {operator.size} items, and a caller may be alone; give it within="
    if isinstance(operator, CombineLatest):
        yield f"{where} keeps an item until a newer one comes, and its caller would wait for that; write zip_"
    if named(stage) in graph.buffered:
        yield f"{where}: behind a durable buffer nobody knows any more who called; write another buffer="


def _source(stage: Stage[Any, Any], inbox: AckableSource[Any]) -> Stage[Any, Any]:
    made = Stage[Any, Any](inbox, label=stage.label)
    return dataclasses.replace(fit_source(made, judge(made, stage.path), stage.path), name=stage.name)


def _telling(stage: Stage[Any, Any], rows: _Rows) -> Stage[Any, Any]:
    """An item that fails is told of, unless the rows of a zip behind it would be mixed up without it."""
    if stage.on_error != "fail" or rows.need(stage):
        return stage
    return dataclasses.replace(stage, on_error=TellCaller())


class _Rows:
    """Which stages have to make one of each item, because a zip behind them counts.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        # By name of a stage, the ports of each zip that something it makes comes to.
        self._ports: dict[str, Mapping[str, set[int]]] = {}
        self._all = {name: len(branches) for name, branches in graph.ports.items()}
        for stage in reversed(graph.stages):
            self._ports[named(stage)] = self._behind(graph, named(stage))

    def _behind(self, graph: Graph, name: str) -> Mapping[str, set[int]]:
        found: dict[str, set[int]] = {}
        for edge in graph.out_of(name):
            if edge.dead_letters:
                continue
            for zip_, ports in self._ports[edge.target].items():
                found.setdefault(zip_, set()).update(ports)
            if isinstance(graph.by_name[edge.target].operator, Zip):
                found.setdefault(edge.target, set()).add(edge.port)
        return found

    def need(self, stage: Stage[Any, Any]) -> bool:
        """One branch of a zip would go on without the item, and another not."""
        return any(len(ports) < self._all[zip_] for zip_, ports in self._ports[named(stage)].items())
