"""From a graph to what runs: its channels, and one ``Work`` for each stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..delivery import has_answered_source, upstream
from ..following import Following
from ..graph import Graph, named
from ..layout import Pipe, Site, lay_out
from ..parameters import for_call
from ..policy import Buffer
from ..stage import Stage
from .baton import Baton
from .call import Bound, Calls
from .channel import Channel, Sender
from .fused import fuse
from .marks import Marks, SourceMarks
from .parts import Parts
from .resume import Resume
from .routing import Discard, Edges, Outlet, Results
from .tracked import Tracked
from .tracked_routing import TrackedDiscard, TrackedEdges, TrackedResults
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
    following: Following | None = None,
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
        following: What follows the messages of the run; then none does, since each call is told of.
    """
    layout = graph.kept(lay_out)
    answers = graph.kept(has_answered_source)
    tracks = answers or following is not None
    channels = [_channel(pipe, results.baton, parts, tracks=tracks) for pipe in layout.pipes]
    only = len(graph.outputs) == 1
    nothing = Bound(items=items)
    resumes = _resumes(graph) if answers else {}
    how: dict[str, Any] = {"tracks": tracks, "resumes": resumes, "following": following}
    works = []
    for site in layout.sites:
        bound = _bind(site.stage, params, resources, items) if site.takes_parameters else nothing
        outlet = (_tracked_outlet if tracks else _outlet)(site, channels, results, only=only)
        works.append(_work(site, channels, outlet, bound, graph, parts, **how))
    if fused and following is None:
        fuse(works)
    if not answers:
        marks = Marks(works, results)
        for work in works:
            if work.stage.role == "source":
                work.marks = SourceMarks(marks, results.baton.clock())
    return works


def _resumes(graph: Graph) -> dict[str, dict[str, Resume]]:
    """By name of a sink that stores where its sources stand, what tells each of them, by its name."""
    return {
        named(sink): {named(each): Resume() for each in upstream(graph, sink) if each.role == "source"}
        for sink in graph.stages
        if sink.call is not None and sink.call.kind == "transactional_sink"
    }


def _channel(pipe: Pipe, baton: Baton, parts: Parts, *, tracks: bool) -> Channel[Any]:
    stage = pipe.target
    buffer = _of_tracked(stage.buffer) if tracks else stage.buffer
    made = parts.channel(buffer, stage.overflow, name=named(stage), tagged=pipe.tagged, baton=baton)
    if tracks:
        made.tell_of_drops(_settle_tagged if pipe.tagged else Tracked.settle)
    return made


def _of_tracked(buffer: Buffer) -> Buffer:
    """The same, which measures what is tracked."""
    size = buffer.size
    return buffer if buffer.bytes is None else dataclasses.replace(buffer, size=lambda each: size(each.item))


def _settle_tagged(item: tuple[int, Tracked]) -> None:
    item[1].settle()


def _bind(
    stage: Stage[Any, Any], params: Mapping[str, Any], resources: Mapping[str, Any], items: Any
) -> Bound:
    assert stage.call is not None, "of a graph"  # noqa: S101 - for the type checker
    args, kwargs = for_call(stage.call, params, resources, stage.per_worker)
    return Bound(args, kwargs, items)


def _work(
    site: Site,
    channels: Sequence[Channel[Any]],
    outlet: Outlet,
    bound: Bound,
    graph: Graph,
    parts: Parts,
    *,
    tracks: bool,
    resumes: Mapping[str, Mapping[str, Resume]],
    following: Following | None,
) -> Work:
    stage, name = site.stage, named(site.stage)
    return parts.work(
        stage,
        Calls(
            stage,
            bound,
            outlet.room,
            parts.workshop,
            resumes.get(name),
            follows=following is not None,
        ),
        [channels[each].receiver() for each in site.inlets],
        outlet,
        None if site.dead_letters is None else channels[site.dead_letters].sender(),
        graph.branches.get(name, ()),
        tracks=tracks,
        following=following,
        resume=next((own[name] for own in resumes.values() if name in own), None) if resumes else None,
    )


def _outlet(site: Site, channels: Sequence[Channel[Any]], results: Channel[Any], *, only: bool) -> Outlet:
    """The way out of a stage."""
    if site.place is not None:
        return Results(results.sender(), None if only else site.place)
    if not site.branches:
        return Discard()
    return Edges(_branches(site, channels))


def _tracked_outlet(
    site: Site, channels: Sequence[Channel[Any]], results: Channel[Any], *, only: bool
) -> Outlet:
    """The same, of a run whose items are tracked."""
    if site.place is not None:
        return TrackedResults(results.sender(), None if only else site.place)
    if not site.branches:
        return TrackedDiscard()
    return TrackedEdges(_branches(site, channels))


def _branches(site: Site, channels: Sequence[Channel[Any]]) -> list[list[Sender[Any]]]:
    return [[channels[place].sender(tag) for place, tag in branch] for branch in site.branches]
