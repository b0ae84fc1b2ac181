"""From a graph to what runs: one channel for each port, one ``Work`` for each stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..graph import Graph, named
from ..operators.protocol import StreamOperator
from ..parameters import for_call
from ..stage import Stage
from .call import Bound, Calls
from .channel import Channel, Receiver, Sender
from .parts import Parts
from .routing import Discard, Edges, Outlet, Results
from .worker import Work

__all__ = ("build",)


def build(
    graph: Graph,
    results: Channel[Any],
    params: Mapping[str, Any],
    resources: Mapping[str, Any],
    items: Any,
    parts: Parts,
) -> list[Work]:
    """Make the channels and what works on them, in the graph's order; nothing is started.

    Args:
        graph: A validated graph.
        results: The output edge, which has the run's baton.
        params: The run's parameters.
        resources: The run's resources, opened.
        items: What a feed reads.
        parts: What makes channels and workers.
    """
    wiring = _Wiring(graph, results, parts)
    return [_work(stage, wiring, _bind(stage, params, resources, items)) for stage in graph.stages]


def _bind(
    stage: Stage[Any, Any], params: Mapping[str, Any], resources: Mapping[str, Any], items: Any
) -> Bound:
    if stage.call is None or not callable(stage.fn):
        return Bound(items=items)
    args, kwargs = for_call(stage.call, params, resources, tuple(stage.per_worker))
    return Bound(args, kwargs, items)


def _work(stage: Stage[Any, Any], wiring: _Wiring, bound: Bound) -> Work:
    name = named(stage)
    outlet = wiring.outlet(stage)
    return wiring.parts.work(
        stage,
        Calls(stage, bound, outlet.room, wiring.parts.workshop),
        wiring.inlets(name),
        outlet,
        wiring.dead_letters(name),
        wiring.graph.branches.get(name, ()),
    )


class _Wiring:
    """The channels of a graph, each made when first asked for."""

    def __init__(self, graph: Graph, results: Channel[Any], parts: Parts) -> None:
        self.graph = graph
        self.parts = parts
        self._results = results
        self._channels: dict[tuple[str, int], Channel[Any]] = {}

    def channel(self, target: str, port: int) -> Channel[Any]:
        """The channel into a port; a stage with tagged input has one for all its ports."""
        key = (target, 0 if self._tagged(target) else port)
        if key not in self._channels:
            stage = self.graph.by_name[target]
            self._channels[key] = self.parts.channel(
                stage.buffer,
                stage.overflow,
                name=target,
                tagged=self._tagged(target),
                baton=self._results.baton,
            )
        return self._channels[key]

    def inlets(self, name: str) -> list[Receiver[Any]]:
        """A receiving end for each port, in order."""
        ports = sorted({0 if self._tagged(name) else edge.port for edge in self.graph.into(name)})
        return [self.channel(name, port).receiver() for port in ports]

    def outlet(self, stage: Stage[Any, Any]) -> Outlet:
        """The way out of a stage."""
        name = named(stage)
        if name in self.graph.outputs:
            only = len(self.graph.outputs) == 1
            return Results(self._results.sender(), None if only else self.graph.outputs.index(name))
        branches: defaultdict[int, list[Sender[Any]]] = defaultdict(list)
        for edge in self.graph.out_of(name):
            if not edge.dead_letters:
                tag = edge.port if self._tagged(edge.target) else None
                branches[edge.branch].append(self.channel(edge.target, edge.port).sender(tag))
        if not branches:
            return Discard()
        return Edges([branches[place] for place in sorted(branches)])

    def dead_letters(self, name: str) -> Sender[Any] | None:
        """The sending end towards a stage's dead-letter sink."""
        for edge in self.graph.out_of(name):
            if edge.dead_letters:
                return self.channel(edge.target, edge.port).sender()
        return None

    def _tagged(self, name: str) -> bool:
        operator = self.graph.by_name[name].operator
        return isinstance(operator, StreamOperator) and operator.tagged
