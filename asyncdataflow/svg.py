"""A picture of a graph as SVG, drawn here: layers from left to right, nothing to install.

Every text in it is escaped, and nothing in it can run or load anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final, NamedTuple

from .draw import details, edge_label, printable
from .graph import Edge, Graph, named
from .stage import Stage

__all__ = ("svg",)

_CHARACTER: Final = 7.3
"""Width of a character of the font; it is monospaced, so that no font has to be asked."""
_PADDING: Final = 12
_HEIGHT: Final = 44
_BETWEEN_ROWS: Final = 22
_BETWEEN_LAYERS: Final = 76
_MARGIN: Final = 16
_SWEEPS: Final = 4
_STYLE: Final = (
    "text{font:12px ui-monospace,monospace;text-anchor:middle;fill:#1f2933}"
    ".place,.label{font-size:10px;fill:#616e7c}.label{paint-order:stroke;stroke:#fff;stroke-width:4px}.edge{fill:none;stroke:#7b8794;stroke-width:1.4}"
    ".failed{stroke-dasharray:4 3;stroke:#ba2525}"
    ".box{fill:#f5f7fa;stroke:#52606d}.source{fill:#e3f8ff;stroke:#0b69a3}.sink{fill:#e3f9e5;stroke:#207227}"
)


class _Box(NamedTuple):
    """Where a stage is drawn."""

    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.y + _HEIGHT / 2


def svg(graph: Graph) -> str:
    """The graph as an SVG document: sources on the left, a dashed edge for what has failed."""
    boxes = _boxes(graph)
    width = max(each.x + each.width for each in boxes.values()) + _MARGIN
    height = max(each.y for each in boxes.values()) + _HEIGHT + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker></defs>',
        *(_drawn_edge(edge, boxes) for edge in graph.edges),
        *(line for edge in graph.edges for line in _drawn_label(graph, edge, boxes)),
        *(line for stage in graph.stages for line in _drawn_stage(stage, boxes[named(stage)])),
        "</svg>",
    ]
    return "\n".join(lines)


def _drawn_stage(stage: Stage[Any, Any], box: _Box) -> Iterator[str]:
    role = stage.role or "transform"
    radius = _HEIGHT / 2 if role == "source" else 4
    kind = "box" if role == "transform" else f"box {role}"
    middle = box.x + box.width / 2
    yield (
        f'<rect class="{kind}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{_HEIGHT}" '
        f'rx="{radius:.0f}"/>'
    )
    yield f'<text x="{middle:.1f}" y="{box.y + 19:.1f}">{_text(named(stage))}</text>'
    yield f'<text class="place" x="{middle:.1f}" y="{box.y + 34:.1f}">{_text(details(stage).strip())}</text>'


def _drawn_edge(edge: Edge, boxes: Mapping[str, _Box]) -> str:
    start, end = boxes[edge.source], boxes[edge.target]
    x, y, to_x, to_y = start.x + start.width, start.middle, end.x, end.middle
    bend = max((to_x - x) / 2, _BETWEEN_LAYERS / 3)
    kind = "edge failed" if edge.dead_letters else "edge"
    return (
        f'<path class="{kind}" marker-end="url(#end)" d="M{x:.1f} {y:.1f}'
        f'C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"/>'
    )


def _drawn_label(graph: Graph, edge: Edge, boxes: Mapping[str, _Box]) -> Iterator[str]:
    label = edge_label(graph, edge)
    if label:
        start, end = boxes[edge.source], boxes[edge.target]
        middle, row = (start.x + start.width + end.x) / 2, (start.middle + end.middle) / 2 + 3
        yield f'<text class="label" x="{middle:.1f}" y="{row:.1f}">{_text(label)}</text>'


def _boxes(graph: Graph) -> dict[str, _Box]:
    """A column for each layer, as wide as its widest stage, centred on the tallest."""
    layers = _in_order(graph, _layers(graph))
    tallest = max(len(each) for each in layers)
    boxes: dict[str, _Box] = {}
    x = float(_MARGIN)
    for layer in layers:
        width = max(_width(graph.by_name[name]) for name in layer)
        top = _MARGIN + (tallest - len(layer)) * (_HEIGHT + _BETWEEN_ROWS) / 2
        for row, name in enumerate(layer):
            boxes[name] = _Box(x, top + row * (_HEIGHT + _BETWEEN_ROWS), width)
        labels = [len(printable(edge_label(graph, edge))) for name in layer for edge in graph.out_of(name)]
        x += width + max(_BETWEEN_LAYERS, (max(labels, default=0) + 2) * _CHARACTER)
    return boxes


def _width(stage: Stage[Any, Any]) -> float:
    longest = max(len(printable(named(stage))), len(printable(details(stage))))
    return longest * _CHARACTER + 2 * _PADDING


def _layers(graph: Graph) -> list[list[str]]:
    """Every stage one layer behind the last of those it takes from; the graph is in that order."""
    at: dict[str, int] = {}
    for stage in graph.stages:
        name = named(stage)
        at[name] = max((at[edge.source] + 1 for edge in graph.into(name)), default=0)
    layers: defaultdict[int, list[str]] = defaultdict(list)
    for name, layer in at.items():
        layers[layer].append(name)
    return [layers[each] for each in sorted(layers)]


def _in_order(graph: Graph, layers: list[list[str]]) -> list[list[str]]:
    """Each layer in the order of what it is joined to, to and fro, so that few edges cross."""
    before = {name: [edge.source for edge in graph.into(name)] for layer in layers for name in layer}
    behind = {name: [edge.target for edge in graph.out_of(name)] for layer in layers for name in layer}
    for sweep in range(_SWEEPS):
        joined = before if sweep % 2 == 0 else behind
        place = {name: row for layer in layers for row, name in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            layer.sort(key=lambda name: _mean([place[each] for each in joined[name]], place[name]))
            place.update({name: row for row, name in enumerate(layer)})
    return layers


def _mean(rows: list[int], otherwise: int) -> float:
    return sum(rows) / len(rows) if rows else otherwise


def _text(label: str) -> str:
    return escape(printable(label))
