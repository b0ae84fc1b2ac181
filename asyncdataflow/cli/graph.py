"""``asyncdataflow graph``: a picture of a flow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from ..graph import Graph, named
from .arguments import Asked, flow_arguments, prepare
from .failure import Refused, reported
from .output import as_json as to_json
from .output import say

__all__ = ("command",)

_ENDINGS: Final[Mapping[str, str]] = {
    ".svg": "svg",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".txt": "text",
    "": "text",
}


@click.command("graph")
@flow_arguments
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "dot", "svg"]),
    help="What to draw; by default what the name of the output says, else text.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file, instead of stdout."
)
@reported
def command(
    asked: Asked,
    *,
    as_json: bool,
    form: str | None,
    output: Path | None,
) -> None:
    """Draw a flow as text, Mermaid, Graphviz or SVG.

    SVG is drawn here and needs nothing. With --json: its stages and edges.
    """
    chosen = "json" if as_json else form or _form_of(output)
    flow = prepare(asked).flow
    drawn = to_json(_as_dict(flow.graph)) if as_json else flow.draw(chosen)
    if output is None:
        say(drawn)
    else:
        try:
            output.write_text(drawn + "\n", encoding="utf-8")
        except OSError as error:
            raise Refused(f"cannot be written: {error.strerror}", where=str(output)) from None


def _form_of(output: Path | None) -> str:
    """By the name's ending.

    Raises:
        Refused: It is that of something which is not drawn here.
    """
    if output is None:
        return "text"
    if output.suffix not in _ENDINGS:
        known = ", ".join(each for each in _ENDINGS if each)
        raise Refused(
            f"{output.name}: nothing is drawn as {output.suffix}; there are {known}, or say --format"
        )
    return _ENDINGS[output.suffix]


def _as_dict(graph: Graph) -> dict[str, Any]:
    return {
        "stages": [
            {
                "name": named(each),
                "role": each.role,
                "executor": each.executor,
                "concurrency": each.concurrency,
            }
            for each in graph.stages
        ],
        "edges": [
            {"source": each.source, "target": each.target, "dead_letters": each.dead_letters}
            for each in graph.edges
        ],
        "outputs": list(graph.outputs),
    }
