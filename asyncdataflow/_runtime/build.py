"""From a graph to what runs: its channels, and one ``Work`` for each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..graph import Graph, named
from ..layout import Site, lay_out
from ..parameters import for_call
from ..stage import Stage
from .call import Bound, Calls
from .channel import Channel
from .fused import fuse
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
    *,
    fused: bool = True,
) -> list[Work]:
    """Make the channels and what works on them, in the graph's order; nothing is started.

    Args:
        graph: A validated graph.
        results: The output edge, which has the run's baton.
        params: The run's parameters.
        resources: The run's resources, opened.
        items: What a feed reads.
        parts: What makes channels and workers.
        fused: Workers of neighbouring stages may take an item through several of them in one go.
    """
    layout = graph.kept(lay_out)
    channels = [
        parts.channel(
            pipe.target.buffer,
            pipe.target.overflow,
            name=named(pipe.target),
            tagged=pipe.tagged,
            baton=results.baton,
        )
        for pipe in layout.pipes
    ]
    only = len(graph.outputs) == 1
    nothing = Bound(items=items)
    works = []
    for site in layout.sites:
        bound = _bind(site.stage, params, resources, items) if site.takes_parameters else nothing
        works.append(_work(site, channels, _outlet(site, channels, results, only=only), bound, graph, parts))
    if fused:
        fuse(works)
    return works


def _bind(
    stage: Stage[Any, Any], params: Mapping[str, Any], resources: Mapping[str, Any], items: Any
) -> Bound:
    assert stage.call is not None, "of a graph"  # noqa: S101 - for the type checker
    args, kwargs = for_call(stage.call, params, resources, stage.per_worker)
    return Bound(args, kwargs, items)


def _work(
    site: Site, channels: Sequence[Channel[Any]], outlet: Outlet, bound: Bound, graph: Graph, parts: Parts
) -> Work:
    stage = site.stage
    return parts.work(
        stage,
        Calls(stage, bound, outlet.room, parts.workshop),
        [channels[each].receiver() for each in site.inlets],
        outlet,
        None if site.dead_letters is None else channels[site.dead_letters].sender(),
        graph.branches.get(named(stage), ()),
    )


def _outlet(site: Site, channels: Sequence[Channel[Any]], results: Channel[Any], *, only: bool) -> Outlet:
    """The way out of a stage."""
    if site.place is not None:
        return Results(results.sender(), None if only else site.place)
    if not site.branches:
        return Discard()
    return Edges([[channels[place].sender(tag) for place, tag in branch] for branch in site.branches])
