"""Functions to write definitions of, and what the tests of compiled graphs ask of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncdataflow.graph import Graph, named
from asyncdataflow.notation import compile_definition
from asyncdataflow.stage import Stage

__all__ = ("coroutine", "edges", "graph_of", "names", "plain", "stage_called")

Make = Callable[..., Any]


def plain(name: str, parameters: str = "item") -> Callable[..., Any]:
    """A plain function of that name, with parameters as they stand between its parentheses."""
    return _made("def", name, parameters)


def coroutine(name: str, parameters: str = "item") -> Callable[..., Any]:
    """The same as an ``async def``."""
    return _made("async def", name, parameters)


def _made(how: str, name: str, parameters: str) -> Callable[..., Any]:
    space: dict[str, Any] = {"__name__": __name__}
    exec(f"{how} {name}({parameters}): pass", space)
    function: Callable[..., Any] = space[name]
    return function


def graph_of(definition: Any, names: Any = None, *, feed: bool = False) -> Graph:
    """The graph alone."""
    return compile_definition(definition, names, feed=feed).graph


def names(graph: Graph) -> list[str]:
    """Of its stages, in order."""
    return [named(each) for each in graph.stages]


def edges(graph: Graph) -> set[tuple[str, str]]:
    """The flow of items, without ports and branches."""
    return {(each.source, each.target) for each in graph.edges if not each.dead_letters}


def stage_called(graph: Graph, name: str) -> Stage[Any, Any]:
    """One stage of the graph."""
    return graph.by_name[name]
