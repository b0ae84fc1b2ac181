"""Layout: which channels a graph needs and which stage has which ends of them; worked out once a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .graph import Edge, Graph, named
from .operators.protocol import StreamOperator
from .stage import Stage

__all__ = ("Layout", "Pipe", "Site", "lay_out")


class Pipe(NamedTuple):
    """A channel to be made.

    Attributes:
        target: The stage that it leads into.
        tagged: It is one for all ports of that stage, and its items say which they came for.
    """

    target: Stage[Any, Any]
    tagged: bool


class Site(NamedTuple):
    """A stage and the ends that it has; a channel is meant by its place among the layout's.

    Attributes:
        stage: The stage.
        inlets: The channels that it receives from, one a port.
        place: Its place among the outputs, where it is one.
        branches: For each branch behind it the channels that it sends into, each with its tag.
        dead_letters: The channel into its dead-letter sink, where it has one.
        takes_parameters: It gets something by name from the run.
    """

    stage: Stage[Any, Any]
    inlets: tuple[int, ...]
    place: int | None
    branches: tuple[tuple[tuple[int, int | None], ...], ...]
    dead_letters: int | None
    takes_parameters: bool


class Layout(NamedTuple):
    """What a run of a graph is built from.

    Attributes:
        pipes: The channels.
        sites: The stages, in the graph's order.
    """

    pipes: tuple[Pipe, ...]
    sites: tuple[Site, ...]


def lay_out(graph: Graph) -> Layout:
    """The layout of a graph."""
    pipes: list[Pipe] = []
    ends: dict[tuple[str, int], int] = {}
    for stage in graph.stages:
        tagged = isinstance(stage.operator, StreamOperator) and stage.operator.tagged
        for count, port in enumerate(sorted({edge.port for edge in graph.into(named(stage))})):
            if not tagged or not count:
                pipes.append(Pipe(stage, tagged))
            ends[named(stage), port] = len(pipes) - 1
    return Layout(tuple(pipes), tuple(_site(graph, stage, pipes, ends) for stage in graph.stages))


def _site(
    graph: Graph, stage: Stage[Any, Any], pipes: Sequence[Pipe], ends: Mapping[tuple[str, int], int]
) -> Site:
    name = named(stage)
    out = graph.out_of(name)
    letters = [ends[edge.target, edge.port] for edge in out if edge.dead_letters]
    return Site(
        stage,
        tuple(sorted({ends[name, edge.port] for edge in graph.into(name)})),
        graph.outputs.index(name) if name in graph.outputs else None,
        _branches((edge for edge in out if not edge.dead_letters), pipes, ends),
        letters[0] if letters else None,
        callable(stage.fn) and stage.call is not None and bool(stage.call.run_parameters),
    )


def _branches(
    edges: Iterable[Edge], pipes: Sequence[Pipe], ends: Mapping[tuple[str, int], int]
) -> tuple[tuple[tuple[int, int | None], ...], ...]:
    branches: defaultdict[int, list[tuple[int, int | None]]] = defaultdict(list)
    for edge in edges:
        place = ends[edge.target, edge.port]
        branches[edge.branch].append((place, edge.port if pipes[place].tagged else None))
    return tuple(tuple(branches[branch]) for branch in sorted(branches))
