"""What a definition promises about its items when something fails, and whether it can."""

from __future__ import annotations

from .graph import Graph

__all__ = ("has_answered_source",)


def has_answered_source(graph: Graph) -> bool:
    """Whether a source wants to know what became of each message."""
    return any(each.call is not None and each.call.kind == "ackable_source" for each in graph.stages)
