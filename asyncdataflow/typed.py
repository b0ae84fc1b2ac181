"""Types across edges: what a stage's annotations say it makes, and what the next one's say it takes.

Only what cannot be right is found: of a pair of types that might fit, or of which one is not
known, nothing is said.
"""

from __future__ import annotations

import types
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Coroutine, Generator, Iterable, Iterator
from typing import Annotated, Any, Final, Literal, NewType, TypeVar, Union, get_args, get_origin

from .abc import AckableSource, Sink, Source, TransactionalSink
from .graph import Graph, named
from .hints import hints_of
from .naming import place
from .operators.accumulate import Batch
from .operators.combine import Zip
from .operators.distribute import Balance, Partition, Route
from .operators.select import Filter, Take, Until
from .signature import written_at
from .stage import Stage

__all__ = ("misfits",)

_PASS_ON: Final = (Balance, Filter, Partition, Route, Take, Until)
_ENDS: Final = (AckableSource, Sink, Source, TransactionalSink)
_MANY: Final = (AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator, typing.AsyncIterable)
_NUMBERS: Final = ((int, float), (int, complex), (float, complex))


def misfits(graph: Graph) -> list[str]:
    """Every edge whose ends cannot have the same type, by the annotations of the callables.

    Example:
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.typed import misfits
        >>> def name(number: int) -> str: ...
        >>> def double(number: int) -> int: ...
        >>> len(misfits(DataFlow((range(3), name, double)).graph))
        1
    """
    makes: dict[str, Any] = {}
    found: list[str] = []
    for stage in graph.stages:
        for source, taken in _wanted(graph, stage):
            made = makes.get(named(source), Any)
            if not _may_fit(made, taken):
                found.append(
                    f"{_where(source)} makes {_written(made)}, and {_where(stage)} takes {_written(taken)}"
                )
        come = [makes.get(named(each), Any) for each, _ in _before(graph, stage)]
        makes[named(stage)] = _made(stage, come[0] if len(come) == 1 else Any)
    return found


def _before(graph: Graph, stage: Stage[Any, Any]) -> list[tuple[Stage[Any, Any], int]]:
    """The stages that a stage takes items from, each with the port where they come in."""
    return [
        (graph.by_name[each.source], each.port) for each in graph.into(named(stage)) if not each.dead_letters
    ]


def _where(stage: Stage[Any, Any]) -> str:
    line = written_at(stage.fn)
    return place(stage.path, stage.title) + (f" at {line}" if line else "")


def _written(annotation: Any) -> str:
    return annotation.__name__ if type(annotation) is type else str(annotation)


def _made(stage: Stage[Any, Any], comes: Any) -> Any:
    """The type of the items that leave a stage."""
    if isinstance(stage.operator, _PASS_ON):
        return comes
    if isinstance(stage.operator, Batch):
        return list
    call = stage.call
    if call is None or stage.operator is not None:
        return Any
    if not callable(stage.fn):
        return _of_end(stage.fn)
    returned = hints_of(stage.fn).get("return", Any)
    if get_origin(returned) in (Awaitable, Coroutine):
        returned = get_args(returned)[-1]
    if call.many:
        return get_args(returned)[0] if get_origin(returned) in _MANY else Any
    return returned


def _wanted(graph: Graph, stage: Stage[Any, Any]) -> Iterator[tuple[Stage[Any, Any], Any]]:
    """The stages whose items come to a stage, each with the type that it wants of those."""
    call, before = stage.call, _before(graph, stage)
    if call is None or stage.operator is not None:
        return
    if call.kind in ("sink", "transactional_sink"):
        yield from ((each, _of_end(stage.fn)) for each, _ in before)
    elif callable(stage.fn) and stage.role != "source":
        hints, names = hints_of(stage.fn), [each.name for each in call.spread_over]
        if call.arguments == "item" and names:
            yield from ((each, hints.get(names[0], Any)) for each, _ in before)
        elif len(before) == 1 and isinstance(before[0][0].operator, Zip):
            # What is zipped is spread over the parameters: each branch has one of its own.
            by_name = before[0][0].operator.names or names
            for source, port in _before(graph, before[0][0]):
                yield source, hints.get(by_name[port], Any) if port < len(by_name) else Any


def _of_end(connector: Any) -> Any:
    """The ``T`` of ``class Orders(Source[T])``."""
    for kind in type(connector).__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            if get_origin(base) in _ENDS:
                return get_args(base)[0]
    return Any


def _may_fit(made: Any, taken: Any) -> bool:
    one, other = _plain(made), _plain(taken)
    if get_origin(one) in (Union, types.UnionType):
        return any(_may_fit(each, other) for each in get_args(one))
    if get_origin(other) in (Union, types.UnionType):
        return any(_may_fit(one, each) for each in get_args(other))
    if Any in (one, other):
        return True
    return _classes_may_fit(one, other)


def _classes_may_fit(one: Any, other: Any) -> bool:
    kind, wanted = get_origin(one) or one, get_origin(other) or other
    if (
        not isinstance(kind, type)
        or not isinstance(wanted, type)
        or _is_protocol(kind)
        or _is_protocol(wanted)
    ):
        return True
    if not (_is_a(kind, wanted) or _is_a(wanted, kind)):
        return False
    inner, wanted_inner = get_args(one), get_args(other)
    if kind is wanted and kind is not tuple and len(inner) == len(wanted_inner):
        return all(_may_fit(*pair) for pair in zip(inner, wanted_inner, strict=True))
    return True


def _plain(annotation: Any) -> Any:
    """Without what says more than a type: names for types, literals, remarks."""
    if annotation is None:
        return type(None)
    if isinstance(annotation, NewType):
        return _plain(annotation.__supertype__)
    if isinstance(annotation, TypeVar) or annotation is Any:
        return Any
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin is Literal:
        return Union[tuple(type(each) for each in get_args(annotation))]  # noqa: UP007 - of a computed tuple
    return dict if typing.is_typeddict(annotation) else annotation


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False)) and kind.__module__ not in ("typing", "collections.abc")


def _is_a(kind: type, wanted: type) -> bool:
    try:
        return issubclass(kind, wanted) or (kind, wanted) in _NUMBERS
    except TypeError:
        return True
