"""The same dataflow with other options of its stages: what a configuration or a command line says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .dataflow import DataFlow
from .errors import DefinitionError
from .graph import named
from .naming import nearest
from .notation import Tuned

__all__ = ("overridden",)

In = TypeVar("In")
Out = TypeVar("Out")


def overridden(flow: DataFlow[In, Out], options: Mapping[str, Mapping[str, Any]]) -> DataFlow[In, Out]:
    """A dataflow like another, some of whose stages have other options.

    Args:
        flow: The dataflow, which stays as it is.
        options: Options of ``stage(…)`` by the name that the stage has in the graph.

    Raises:
        DefinitionError: There is no such stage, or with these options the definition is wrong.
        TypeError: An option is not known.
        ValueError: An option's value is wrong.

    Example:
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.overrides import overridden
        >>> def fetch(number):
        ...     return number * 2
        >>> flow = overridden(DataFlow((range(3), fetch)), {"fetch": {"concurrency": 4}})
        >>> flow.graph.by_name["fetch"].concurrency, flow()
        (4, [0, 2, 4])
    """
    written = {
        named(each): each
        for each in flow.graph.stages
        if not any(e.dead_letters for e in flow.graph.into(named(each)))
    }
    for name in options:
        if name not in written:
            raise DefinitionError(
                f"stage {name!r}: the flow has no stage of this name{nearest(name, written)}; it has "
                f"{', '.join(written)}"
            )
    by_place = {written[name].path: told for name, told in options.items()}
    if not by_place:
        return flow
    return DataFlow(
        Tuned(flow.definition, flow.names, by_place),
        name=flow.name,
        resources=flow.resources,
        delivery=flow.delivery,
        fuse=flow.fuse,
        instruments=flow.instruments,
    )
