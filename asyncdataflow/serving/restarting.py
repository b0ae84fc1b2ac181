"""Which sources of a flow a service opens anew."""

from __future__ import annotations

import dataclasses

from ..graph import Graph, named
from ..policy import Restart

__all__ = ("restarting",)


def restarting(graph: Graph, restart: Restart | None) -> Graph:
    """The graph with a policy for every source that is answered and has none of its own.

    These give again what was not settled, and nothing else. Others would begin from their
    beginning, so that only the definition can say that it is meant; the end of a durable buffer
    at which items come out is a file of this machine, which is as it is.
    """
    if restart is None:
        return graph
    local = set(graph.buffered.values())
    return dataclasses.replace(
        graph,
        stages=tuple(
            dataclasses.replace(each, restart=restart)
            if each.call is not None
            and each.call.kind == "ackable_source"
            and each.restart is None
            and named(each) not in local
            else each
            for each in graph.stages
        ),
    )
