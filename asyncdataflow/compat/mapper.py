"""``amapper`` of async-data-flow 0.0.1: other names for a function's arguments and results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from .exceptions import ArgsMapperArgsError, ArgsMapperInputKeyError, ArgsMapperOutputKeyError

__all__ = ("amapper",)


def amapper(func: Callable[..., Any], input: Mapping[Any, Any] | None = None, output: Any = None) -> Any:
    """Wrap a function so that it is called, and answers, with other names.

    Of a coroutine function it maps the coroutine, not what that returns; and a
    ``DataFlow`` passes what is wrapped over: see :mod:`asyncdataflow.compat`.

    Args:
        func: The function; it is called with keywords only.
        input: For each parameter the name under which its value is given.
        output: A dict gives for each key of the answer the key in the returned dict, a
            tuple names the members of what is returned, anything else names the whole.

    Raises:
        ArgsMapperInputKeyError: From the wrapper: a name of ``input`` was not given.
        ArgsMapperArgsError: From the wrapper: the function raised ``TypeError``.
        ArgsMapperOutputKeyError: From the wrapper: a name of ``output`` was not returned.

    Example:
        >>> from asyncdataflow.compat import amapper
        >>> def halves(a):
        ...     return a // 2, a % 2
        >>> amapper(halves, input={"a": "number"}, output=("whole", "rest"))(number=5)
        {'whole': 2, 'rest': 1}
    """

    @functools.wraps(func)
    def mapped(**kwargs: Any) -> Any:
        arguments = _renamed(func.__name__, input, kwargs) if input else kwargs
        try:
            result = func(**arguments)
        except TypeError as error:
            raise ArgsMapperArgsError(func.__name__, arguments) from error
        return _named(func.__name__, output, result) if output else result

    return mapped


def _renamed(function: str, names: Mapping[Any, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Rename one after the other, in place: a later pair sees what an earlier one has renamed."""
    for parameter, name in names.items():
        try:
            given[parameter] = given.pop(name)
        except KeyError as error:
            raise ArgsMapperInputKeyError(function, given, name) from error
    return given


def _named(function: str, names: Any, result: Any) -> dict[Any, Any]:
    if isinstance(names, tuple):
        return dict(zip(names, result, strict=False))
    if not isinstance(names, dict):
        return {names: result}
    named = {}
    for key, name in names.items():
        try:
            named[key] = result[name]
        except KeyError as error:
            raise ArgsMapperOutputKeyError(function, result, name) from error
    return named
