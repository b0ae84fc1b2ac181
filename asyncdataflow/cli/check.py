"""``asyncdataflow check``: what can be known of a flow before it runs."""

from __future__ import annotations

from typing import Any

import click

from ..bound import bound
from ..delivery import has_answered_source
from ..draw import printable
from ..errors import ParameterError
from ..graph import Graph, named
from ..parameters import check as check_params
from ..signature import written_at
from ..typed import misfits
from .arguments import Asked, Prepared, flow_arguments, prepare
from .failure import USAGE, reported
from .output import say, say_as_json
from .parent import parent_option

__all__ = ("command",)


@click.command("check")
@flow_arguments
@parent_option
@reported
def command(
    asked: Asked,
    *,
    as_json: bool,
) -> int:
    """Check a flow and run nothing of it.

    Definition, types across edges, parameters, memory, delivery.

    Loading the flow is what refuses a definition that is wrong or would stand still, with the
    file and line. Types are compared across edges as far as functions are annotated. Parameters are
    checked where any are given.

    Exit code: 0 where nothing is wrong, 2 where something is.
    """
    prepared = prepare(asked)
    problems = [*misfits(prepared.flow.graph), *_of_params(prepared)]
    told = _told(prepared, problems)
    if as_json:
        say_as_json(told)
    else:
        say("\n".join(_lines(told)))
    return USAGE if problems else 0


def _of_params(prepared: Prepared) -> list[str]:
    if not prepared.params:
        return []
    try:
        check_params(prepared.flow.graph, prepared.params, prepared.flow.resources)
    except ParameterError as error:
        return str(error).splitlines()
    return []


def _told(prepared: Prepared, problems: list[str]) -> dict[str, Any]:
    flow = prepared.flow
    stages = [
        {
            "name": named(each),
            "role": each.role,
            "executor": each.executor,
            "concurrency": each.concurrency,
            "buffer": each.buffer.items,
            "written_at": written_at(each.fn),
        }
        for each in flow.graph.stages
    ]
    return {
        "flow": flow.name,
        "ok": not problems,
        "problems": problems,
        "stages": stages,
        "edges": len(flow.graph.edges),
        "bound": {"source_items": bound(flow.graph), "bytes": _bytes(flow.graph)},
        "delivery": flow.delivery or ("at_least_once" if has_answered_source(flow.graph) else None),
    }


def _bytes(graph: Graph) -> int | None:
    """The most bytes that lie in the edges, where each of them says so."""
    bounds = [each.buffer.bytes for each in graph.stages if each.role != "source"]
    return None if None in bounds else sum(each for each in bounds if each is not None)


def _lines(told: dict[str, Any]) -> list[str]:
    delivery = told["delivery"] or "nothing is promised: no source can be told what became of its items"
    size = "" if told["bound"]["bytes"] is None else f", {told['bound']['bytes']} bytes in its edges"
    stages = [
        f"  {each['name']}: {each['executor']}"
        + (f" ×{each['concurrency']}" if each["concurrency"] > 1 else "")
        + (f", {each['written_at']}" if each["written_at"] else "")
        for each in told["stages"]
    ]
    lines = [
        f"{told['flow']}: {len(stages)} stages, {told['edges']} edges",
        *stages,
        f"memory: at most {told['bound']['source_items']} source items at once{size}",
        f"delivery: {delivery.replace('_', ' ')}",
        *(f"wrong: {each}" for each in told["problems"]),
        "" if told["problems"] else "nothing is wrong",
    ][: None if not told["problems"] else -1]
    return [printable(each) for each in lines]
