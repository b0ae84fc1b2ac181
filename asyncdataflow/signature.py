"""How a callable is called: its kind and its parameters, read from the signature.

Decided once, when a definition is compiled, and never from the data. Nothing is
called here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Final, Literal

from .abc import AckableSource, Sink, Source, TransactionalSink
from .errors import DefinitionError, SignatureError
from .stage import Call, Kind, Parameter

__all__ = ("is_foreign", "needs_by_place", "no_item", "read", "takes_by_place", "underlying", "written_at")

_GENERATORS: Final = ("async_generator", "generator")
_KINDS: Final[Mapping[Any, Literal["positional_only", "positional", "keyword_only"]]] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional_only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional",
    inspect.Parameter.KEYWORD_ONLY: "keyword_only",
}


def read(fn: Any, place_text: str) -> Call:
    """Judge what stands in a definition, and read its parameters.

    Args:
        fn: A callable, an iterable, a ``Source`` or a ``Sink``.
        place_text: Where it stands, for errors.

    Raises:
        DefinitionError: It is none of these.

    Returns:
        How it is called as a source, with run parameters only; where an item comes in as
        well, its place in the definition says how.
    """
    if isinstance(fn, Source | AckableSource):
        return Call("source" if isinstance(fn, Source) else "ackable_source", many=True, arguments="params")
    if isinstance(fn, Sink | TransactionalSink):
        return Call("sink" if isinstance(fn, Sink) else "transactional_sink")
    if callable(fn):
        return _read_callable(fn, place_text)
    if isinstance(fn, str | bytes):
        raise DefinitionError(
            f"{place_text}: text is a whole definition and no member of one; put the callable itself here, "
            "or write the whole definition as text; data to stream is given to the run: items=[…]"
        )
    if isinstance(fn, AsyncIterable):
        return Call("async_iterable", many=True, arguments="params")
    if isinstance(fn, Iterable):
        return Call("iterable", many=True, arguments="params")
    raise DefinitionError(f"{place_text}: {_nothing_of_ours(fn)}")


def takes_by_place(call: Call) -> int:
    """How many parameters can be given by place; ``*args`` not counted."""
    return sum(each.kind != "keyword_only" for each in call.parameters)


def needs_by_place(call: Call) -> tuple[Parameter, ...]:
    """The parameters that an item, or several zipped ones, have to fill."""
    return tuple(each for each in call.parameters if each.kind != "keyword_only" and each.required)


def underlying(fn: Any) -> Any:
    """The function that runs in the end: behind partials, methods and callable objects."""
    while True:
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif inspect.ismethod(fn):
            fn = fn.__func__
        elif _is_callable_object(fn):
            fn = type(fn).__call__
        else:
            return fn


def written_at(fn: Any) -> str:
    """The file and line of a callable, ``flow.py:12``; empty where there is none."""
    function = underlying(fn)
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def is_foreign(function: Any) -> bool:
    """Written in C: its parameters are no invitation to run parameters."""
    if isinstance(function, type):
        made_here = (function.__init__, function.__new__)  # type: ignore[misc]  # of the class, not a call
        return not any(inspect.isfunction(each) for each in made_here)
    # lru_cache makes an object of C around a function of ours.
    return not inspect.isfunction(inspect.unwrap(function)) and inspect.isroutine(function)


def _read_callable(fn: Callable[..., Any], place_text: str) -> Call:
    if isinstance(fn, type) and issubclass(fn, Source | AckableSource | Sink | TransactionalSink):
        raise DefinitionError(f"{place_text}: this is the class; write {fn.__name__}(…), an object of it")
    kind = _kind(underlying(fn))
    many = kind in _GENERATORS
    try:
        signature = inspect.signature(fn)
    except (ValueError, TypeError):
        return Call(kind, many, "params", known=False)
    parameters = _parameters(fn, signature)
    open_ended = any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values())
    if is_foreign(underlying(fn)):
        # Its names are nobody's run parameters; what it needs by place is all that counts.
        open_ended = open_ended or any(each.kind != "keyword_only" for each in parameters)
        parameters = tuple(each for each in parameters if each.required and each.kind != "keyword_only")
    return Call(kind, many, "params", parameters, open_ended=open_ended)


def _kind(function: Any) -> Kind:
    if inspect.isasyncgenfunction(function):
        return "async_generator"
    if inspect.iscoroutinefunction(function):
        return "coroutine"
    if inspect.isgeneratorfunction(function):
        return "generator"
    return "function"


def _parameters(fn: Any, signature: inspect.Signature) -> tuple[Parameter, ...]:
    """Those that are still to be given."""
    bound = _bound_by_name(fn)
    return tuple(
        Parameter(each.name, each.default is each.empty, _KINDS[each.kind])
        for each in signature.parameters.values()
        if each.kind in _KINDS and each.name not in bound
    )


def _bound_by_name(fn: Any) -> set[str]:
    bound: set[str] = set()
    while isinstance(fn, functools.partial):
        bound.update(fn.keywords)
        fn = fn.func
    return bound


def _is_callable_object(fn: Any) -> bool:
    """An object whose class says how it is called: no function, class, method or builtin."""
    return (
        not isinstance(fn, type)
        and not inspect.isroutine(fn)
        and inspect.isfunction(getattr(type(fn), "__call__", None))  # noqa: B004 - the function is wanted
    )


def _nothing_of_ours(thing: Any) -> str:
    if inspect.isawaitable(thing):
        return "this is a coroutine, already called; write the function without its parentheses"
    return (
        f"this {type(thing).__name__} is neither callable nor iterable; a definition is made of callables, "
        "stages and containers of them, and data to stream is given to the run: items=[…]"
    )


def no_item(place_text: str) -> SignatureError:
    """The refusal of a callable that cannot be given an item."""
    return SignatureError(
        f"{place_text}: it takes no item by place, and only the first step may do without; give it one "
        "positional parameter, as in `def f(item): …`"
    )
