"""Values that are written as text, as the annotation of the parameter that they are for says."""

from __future__ import annotations

import enum
import json
import os
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Union, get_args, get_origin

from .naming import nearest

__all__ = ("Text", "as_annotated", "converted")

_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")


class Text(str):
    """A value that was only to be had as text, and stands for what its parameter's annotation says.

    It may be secret, so that its ``repr`` does not show it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Text(…)"


def converted(value: Any, annotation: Any) -> Any:
    """The value itself, or what it stands for where it is a :class:`Text`; in lists and tables too."""
    if isinstance(value, Text):
        return as_annotated(str(value), annotation)
    if isinstance(value, list):
        return [converted(each, Any) for each in value]
    if isinstance(value, dict):
        return {name: converted(each, Any) for name, each in value.items()}
    return value


def as_annotated(text: str, annotation: Any) -> Any:
    """What a text stands for.

    Args:
        text: The text.
        annotation: The parameter's; ``Any``, or none that says anything, is JSON where the text
            is JSON, else the text itself.

    Raises:
        ValueError: It stands for nothing of that kind; the message has what is needed, and not the text.

    Example:
        >>> from asyncdataflow.from_text import as_annotated
        >>> as_annotated("7", int), as_annotated("7", str), as_annotated("off", bool)
        (7, '7', False)
    """
    origin = get_origin(annotation)
    if origin is Literal:
        return _one_of(text, get_args(annotation))
    if origin in (Union, types.UnionType):
        return _any_of(text, get_args(annotation))
    kind = origin or annotation
    if kind is Any or not isinstance(kind, type):
        return _json_or_text(text)
    return _of_class(text, kind)


def _of_class(text: str, kind: type) -> Any:
    if kind in _READERS:
        return _READERS[kind](text)
    if issubclass(kind, os.PathLike):
        # Loaded by whoever has such a parameter, and not by everybody who imports the package.
        from pathlib import Path  # noqa: PLC0415

        return Path(text)
    if issubclass(kind, enum.Enum):
        return kind(_one_of(text, [each.value for each in kind]))
    if issubclass(kind, Sequence | Mapping | set | frozenset) and not issubclass(kind, bytes):
        return _container(text, kind)
    read = getattr(kind, "fromisoformat", None)
    if callable(read):
        return _tried(read, text, f"a {kind.__name__} as in ISO 8601 is needed")
    if kind is object:
        return _json_or_text(text)
    raise ValueError(f"a {kind.__name__} cannot be written as text")


def _one_of(text: str, known: Sequence[Any]) -> Any:
    for each in known:
        if str(each) == text:
            return each
    raise ValueError(f"one of {', '.join(map(str, known))} is needed{nearest(text, known)}")


def _any_of(text: str, kinds: Sequence[Any]) -> Any:
    """The first kind that takes it, text last: anything is text."""
    if type(None) in kinds and text.lower() in ("none", "null"):
        return None
    others = sorted((each for each in kinds if each is not type(None)), key=lambda each: each is str)
    why: list[str] = []
    for kind in others:
        # A list is written as one; a path is as good as text.
        if str in others and kind is not str and not (kind in _READERS or get_origin(kind) is Literal):
            continue
        try:
            return as_annotated(text, kind)
        except ValueError as error:
            why.append(str(error))
    raise ValueError(", or ".join(dict.fromkeys(why)))


def _container(text: str, kind: type) -> Any:
    """As JSON, or words between commas."""
    if issubclass(kind, Mapping):
        found = _tried(json.loads, text, "a table, written as JSON, is needed")
        if not isinstance(found, dict):
            raise ValueError("a table, written as JSON, is needed")
        return found
    listed = _json_or_text(text)
    if not isinstance(listed, list):
        listed = [each.strip() for each in text.split(",")]
    return kind(listed) if kind in (tuple, set, frozenset) else listed


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise ValueError("true or false is needed")


def _tried(read: Callable[[str], Any], text: str, needed: str) -> Any:
    try:
        return read(text)
    except (ValueError, RecursionError):
        # The message of what was raised shows the text.
        raise ValueError(needed) from None


_READERS: Final[Mapping[type, Callable[[str], Any]]] = {
    str: str,
    bool: _boolean,
    int: lambda text: _tried(int, text, "a whole number is needed"),
    float: lambda text: _tried(float, text, "a number is needed"),
}
