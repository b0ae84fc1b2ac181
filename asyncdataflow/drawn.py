"""Drawn: the picture of a graph in one of the formats there are."""

from __future__ import annotations

from .draw import dot, mermaid, text
from .graph import Graph
from .naming import nearest
from .svg import svg

__all__ = ("drawn",)


def drawn(graph: Graph, format: str) -> str:
    """A picture of the graph; ``DataFlow.draw`` says in what.

    Raises:
        ValueError: There is no such format.
    """
    drawings = {"text": text, "mermaid": mermaid, "dot": dot, "svg": svg}
    if format not in drawings:
        raise ValueError(
            f"draw({format!r}): one of {', '.join(drawings)} is needed{nearest(format, drawings)}"
        )
    return drawings[format](graph)
