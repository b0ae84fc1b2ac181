"""What a run is given, and whether it can be right: parameters, resources, items, an engine."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

from .abc import Instrument
from .engine import Engine
from .errors import DefinitionError, ParameterError
from .graph import Graph
from .naming import callable_name, describe_item

__all__ = (
    "as_params",
    "check_engine",
    "check_instruments",
    "check_items",
    "joined",
    "joined_resources",
    "spend",
)


def check_items(items: Any) -> None:
    """Refuse what is no iterable of items."""
    if items is None or (isinstance(items, Iterable | AsyncIterable) and not isinstance(items, str | bytes)):
        return
    raise ParameterError(
        f"items= is an iterable of items, not {describe_item(items)}; one item is items=[item]"
    )


def check_engine(engine: Any) -> None:
    """Refuse what is no engine; ``None`` is this machine."""
    if engine is not None and not isinstance(engine, Engine):
        raise ParameterError(
            f"engine= is an instance of an asyncdataflow.engine.Engine, not {describe_item(engine)}; "
            "leave it out to run on this machine"
        )


def check_instruments(instruments: Any) -> tuple[Instrument, ...]:
    """Who is told of messages; refuses what is none."""
    found = tuple(instruments) if isinstance(instruments, Iterable) else None
    for each in [instruments] if found is None else found:
        if found is None or not isinstance(each, Instrument):
            raise ValueError(
                "DataFlow(instruments=): a list of instances of asyncdataflow.abc.Instrument is needed, "
                f"not {describe_item(each)}{' in it' if found else ''}"
            )
    return found or ()


def as_params(params: Any) -> dict[str, Any]:
    """Run parameters by name."""
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise ParameterError(
            f"run parameters are a mapping of values by name, not {describe_item(params)}; "
            "items are given as run(items=…)"
        )
    return dict(params)


def joined_resources(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the dataflows in a definition, and one's own; one name may not mean two things."""
    for name in inner:
        if name in outer and inner[name] is not outer[name]:
            raise DefinitionError(
                f"resources[{name!r}]: a dataflow in the definition brings another one of that name; "
                "give one of them another name"
            )
    for name, resource in outer.items():
        _check_resource(name, resource)
    return {**inner, **outer}


def _check_resource(name: str, resource: Any) -> None:
    """Refuse what would be passed on as a generator, which nobody has begun and nobody closes."""
    is_async = inspect.isasyncgenfunction(resource)
    if is_async or inspect.isgeneratorfunction(resource):
        decorator = "asynccontextmanager" if is_async else "contextmanager"
        raise DefinitionError(
            f"resources[{name!r}] ({callable_name(resource)}): a generator function is no context manager; "
            f"decorate it with contextlib.{decorator}"
        )


def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters given as a mapping and as keywords."""
    both = [each for each in first if each in second and first[each] is not second[each]]
    if both:
        raise ParameterError(f"given twice, with two values: {', '.join(both)}; leave one out")
    return {**first, **second}


def spend(graph: Graph, spent: set[str]) -> None:
    """Use the iterators of a graph: another run would silently get what this one leaves over."""
    for stage in graph.sources:
        if isinstance(stage.fn, Iterator | AsyncIterator):
            if stage.title in spent:
                raise ParameterError(
                    f"{stage.path} ({stage.title}): an iterator serves one run, and one has used it; "
                    "give a list or range in place of it, or a generator function"
                )
            spent.add(stage.title)
