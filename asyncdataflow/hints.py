"""What the annotations of a callable say, as far as they can be had."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from .signature import underlying

__all__ = ("hints_of",)


def hints_of(fn: Any) -> Mapping[str, Any]:
    """Annotations by parameter name, and ``"return"``; one that cannot be evaluated is left out.

    Args:
        fn: A callable: a function, method, partial, class or callable object.
    """
    made = fn if isinstance(fn, type) else None
    function = fn.__init__ if isinstance(fn, type) else inspect.unwrap(underlying(fn))  # type: ignore[misc]
    try:
        found = dict(typing.get_type_hints(function))
    except Exception:  # noqa: BLE001 - annotations are the user's code; each is tried by itself
        found = _one_by_one(function)
    return {**found, "return": made} if made is not None else found


def _one_by_one(function: Callable[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, annotation in (getattr(function, "__annotations__", None) or {}).items():
        alone = _Alone({name: annotation}, getattr(function, "__globals__", {}))
        try:
            found.update(typing.get_type_hints(alone, alone.__globals__))
        except Exception:  # noqa: BLE001, S112 - it says nothing that can be known here
            continue
    return found


class _Alone:
    """One annotation of a function, for ``typing`` to evaluate."""

    def __init__(self, annotations: dict[str, Any], names: dict[str, Any]) -> None:
        self.__annotations__ = annotations
        self.__globals__ = names
