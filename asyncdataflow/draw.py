"""Pictures of a graph: for a terminal, for Mermaid, for Graphviz.

Names come from the user's code, and may come from the user's users: each picture
escapes them for its own reader, so that none can be more than a label.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .graph import Edge, Graph, named
from .stage import Stage

__all__ = ("details", "dot", "edge_label", "mermaid", "printable", "text")

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': '\\"', "\\": "\\\\"}
_MERMAID_SHAPES: Final = {"source": ('(["', '"])'), "transform": ('["', '"]'), "sink": ('[["', '"]]')}
_DOT_SHAPES: Final = {"source": "oval", "transform": "box", "sink": "box3d"}


def text(graph: Graph) -> str:
    """The graph as lines of text: what a stage sends to stands indented under it.

    A stage is drawn out where it is first met; later its name is marked with ``^``.
    """
    lines: list[str] = []
    drawn: set[str] = set()
    stages = graph.by_name
    out_of: dict[str, list[Edge]] = {name: [] for name in stages}
    for edge in graph.edges:
        out_of[edge.source].append(edge)
    for source in graph.sources:
        # A stack of its own: a chain may be longer than Python's.
        waiting: list[tuple[str, str, str]] = [("", "", named(source))]
        while waiting:
            prefix, indent, name = waiting.pop()
            again = name in drawn
            lines.append(f"{prefix}{printable(name)}{' ^' if again else details(stages[name])}")
            if again:
                continue
            drawn.add(name)
            edges = out_of[name]
            for edge in reversed(edges):
                last = edge is edges[-1]
                stem = f"{indent}{'└' if last else '├'}─{printable(_in_line(edge_label(graph, edge)))}> "
                waiting.append((stem, indent + ("    " if last else "│   "), edge.target))
    return "\n".join(lines)


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart."""
    numbers = _numbers(graph)
    lines = ["flowchart LR"]
    for stage in graph.stages:
        before, behind = _MERMAID_SHAPES[stage.role or "transform"]
        label = _for_mermaid(named(stage) + details(stage))
        lines.append(f"    n{numbers[named(stage)]}{before}{label}{behind}")
    for edge in graph.edges:
        arrow = "-.->" if edge.dead_letters else "-->"
        label = edge_label(graph, edge)
        marked = f'|"{_for_mermaid(label)}"|' if label else ""
        lines.append(f"    n{numbers[edge.source]} {arrow}{marked} n{numbers[edge.target]}")
    return "\n".join(lines)


def dot(graph: Graph) -> str:
    """The graph in the language of Graphviz."""
    return "\n".join(_dot_lines(graph))


def _dot_lines(graph: Graph) -> Iterator[str]:
    numbers = _numbers(graph)
    yield "digraph dataflow {"
    yield "    rankdir=LR;"
    for stage in graph.stages:
        label = _for_dot(named(stage) + details(stage))
        shape = _DOT_SHAPES[stage.role or "transform"]
        yield f'    n{numbers[named(stage)]} [label="{label}", shape={shape}];'
    for edge in graph.edges:
        label = edge_label(graph, edge)
        drawn = [f'label="{_for_dot(label)}"'] if label else []
        drawn += ["style=dashed"] if edge.dead_letters else []
        behind = f" [{', '.join(drawn)}]" if drawn else ""
        yield f"    n{numbers[edge.source]} -> n{numbers[edge.target]}{behind};"
    yield "}"


def _numbers(graph: Graph) -> dict[str, int]:
    """Names that every language takes."""
    return {named(stage): number for number, stage in enumerate(graph.stages)}


def details(stage: Stage[Any, Any]) -> str:
    """Behind a stage's name: where it runs and how often, where that says anything."""
    workers = f" ×{stage.concurrency}" if stage.concurrency > 1 else ""
    return f" [{stage.executor}{workers}]"


def edge_label(graph: Graph, edge: Edge) -> str:
    """What an edge carries, where the stages at its ends do not say it."""
    if edge.dead_letters:
        return "failed"
    for names, place in (
        (graph.branches.get(edge.source), edge.branch),
        (graph.ports.get(edge.target), edge.port),
    ):
        name = names[place] if names else None
        if name is not None and name not in (edge.source, edge.target):
            return name
    return ""


def _in_line(label: str) -> str:
    return f" {label} ─" if label else ""


def printable(name: str) -> str:
    """Without what a terminal would obey."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def _for_mermaid(name: str) -> str:
    """Everything but letters, digits and what is plain everywhere, as Mermaid's ``#60;``."""
    return "".join(each if each.isalnum() or each in " _.×" else f"#{ord(each)};" for each in printable(name))


def _for_dot(name: str) -> str:
    return "".join(_ENTITIES.get(each, each) for each in printable(name))
