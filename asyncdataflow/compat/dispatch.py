"""``fdispatch`` of async-data-flow 0.0.1: functions chosen by key when a definition is written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

from .exceptions import DispatchError

__all__ = ("fdispatch",)

_Function = Callable[..., Any]


def fdispatch(fn: _Function) -> Any:
    """Make of a function a register of functions, itself under the key ``''``.

    Args:
        fn: Gives its name and docstring.

    Returns:
        A function from a key to what is registered for it, with two attributes:
        ``register(key)``, a decorator that returns ``None``, and ``registry``, a live
        view of the keys. An unknown key ends in ``IndexError``: ``DispatchError``, which is
        meant, is made without the second argument that its message asks for.

    Example:
        >>> from asyncdataflow.compat import fdispatch
        >>> @fdispatch
        ... def parser(kind): ...
        >>> @parser.register("csv")
        ... def _(line):
        ...     return {"fields": line.split(",")}
        >>> parser("csv")("a,b")
        {'fields': ['a', 'b']}
        >>> list(parser.registry)
        ['', 'csv']
    """
    functions: dict[Hashable, _Function] = {"": fn}

    def register(key_: Hashable) -> Callable[[_Function], None]:
        def under_key(function: _Function) -> None:
            functions[key_] = function

        return under_key

    @functools.wraps(fn)
    def dispatched(_dispatch_key: Hashable) -> _Function:
        if _dispatch_key not in functions:
            raise DispatchError(_dispatch_key)
        return functions[_dispatch_key]

    vars(dispatched).update(register=register, registry=functions.keys())
    return dispatched
