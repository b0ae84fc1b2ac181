"""The graph of a run that is given items one by one, each of which somebody waits for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..abc import AckableSource
from ..delivery import delivery_problems
from ..errors import DefinitionError, DeliveryError
from ..fitting import fit_source, judge
from ..graph import Edge, Graph, named
from ..holes import passing, passing_on_the_loop
from ..naming import place
from ..operators.accumulate import Batch
from ..operators.combine import CombineLatest, Merge, Zip
from ..operators.protocol import BatchOperator
from ..policy import TellCaller
from ..portable import portable
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
    """An item that fails is told of; before a zip, where that can be, a hole goes on in its place."""
    if not rows.need(stage):
        return _with(stage, TellCaller()) if stage.on_error == "fail" else stage
    if not rows.may_have_holes(stage):
        # Its rows would be mixed up: there it ends the run.
        return stage
    return _with(stage, TellCaller(hole=True), _letting_pass(stage))


def _with(stage: Stage[Any, Any], policy: TellCaller, fn: Any = None) -> Stage[Any, Any]:
    return dataclasses.replace(stage, on_error=policy, fn=stage.fn if fn is None else fn)


def _letting_pass(stage: Stage[Any, Any]) -> Any:
    """The stage's function, which is not called with holes."""
    if stage.operator is not None or stage.call is None:
        return None
    fn = portable(stage.fn) if stage.executor == "process" else stage.fn
    return passing_on_the_loop(fn) if stage.call.kind == "coroutine" else passing(fn)


class _Rows:
    """Which stages have to make one of each item, because a zip behind them counts.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        # By name of a stage, the ports of each zip that something it makes comes to.
        self._ports: dict[str, Mapping[str, set[int]]] = {}
        self._all = {name: len(branches) for name, branches in graph.ports.items()}
        for stage in reversed(graph.stages):
            self._ports[named(stage)] = self._behind(named(stage))

    def _behind(self, name: str) -> Mapping[str, set[int]]:
        found: dict[str, set[int]] = {}
        for edge in self._edges(name):
            for zip_, ports in self._ports[edge.target].items():
                found.setdefault(zip_, set()).update(ports)
            if isinstance(self._graph.by_name[edge.target].operator, Zip):
                found.setdefault(edge.target, set()).add(edge.port)
        return found

    def _edges(self, name: str) -> list[Edge]:
        return [edge for edge in self._graph.out_of(name) if not edge.dead_letters]

    def need(self, stage: Stage[Any, Any]) -> bool:
        """One branch of a zip would go on without the item, and another not."""
        return any(len(ports) < self._all[zip_] for zip_, ports in self._ports[named(stage)].items())

    def may_have_holes(self, stage: Stage[Any, Any]) -> bool:
        """It lets holes pass, and so does everything behind it up to the zip."""
        return _lets_pass(stage) and all(
            self.may_have_holes(behind) if self.need(behind) else isinstance(behind.operator, Zip)
            for behind in (self._graph.by_name[edge.target] for edge in self._edges(named(stage)))
        )


def _lets_pass(stage: Stage[Any, Any]) -> bool:
    """One item of each, in order, and no function that would have to know what a hole is."""
    if isinstance(stage.operator, Zip | Merge):
        return True
    call = stage.call
    if call is None or call.many or stage.key is not None or stage.on_error != "fail":
        return False
    if isinstance(stage.operator, BatchOperator):
        return True
    return stage.operator is None and call.kind in ("coroutine", "function")
