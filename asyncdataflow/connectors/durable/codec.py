"""Items as bytes and back: what a durable buffer keeps."""

from __future__ import annotations

import json
from typing import Any, Protocol

__all__ = ("Codec", "JsonCodec")


class Codec(Protocol):
    """Makes bytes of items and items of bytes; called in threads.

    Attributes:
        name: Kept with what it wrote: a buffer is not read by a codec of another name.
    """

    name: str

    def encode(self, item: Any) -> bytes:
        """The bytes of an item.

        Raises:
            TypeError: It has none.
            ValueError: It has none.
        """

    def decode(self, data: bytes) -> Any:
        """The item again, equal and of the same type.

        Raises:
            ValueError: These are no bytes of an item.
        """


class JsonCodec:
    """Items that are the same when they come back from JSON.

    ``None``, booleans, numbers, text, and lists and mappings by text of these. It refuses what would
    come back as something else: a tuple as a list, a number in a key as text.

    Example:
        >>> from asyncdataflow.connectors.durable import JsonCodec
        >>> JsonCodec().decode(JsonCodec().encode({"n": [1, 2.5, None]}))
        {'n': [1, 2.5, None]}
        >>> JsonCodec().encode({"n": (1, 2)})
        Traceback (most recent call last):
        TypeError: a tuple would not come back from JSON as one; a codec= of your own can keep it
    """

    name = "json"

    def encode(self, item: Any) -> bytes:
        """The item as JSON text, in ASCII.

        Raises:
            TypeError: It would come back as something else.
            ValueError: It holds itself.
            RecursionError: It is nested too deep.
        """
        odd = _odd_one(item)
        if odd is not None:
            raise TypeError(f"a {odd} would not come back from JSON as one; a codec= of your own can keep it")
        return json.dumps(item, separators=(",", ":")).encode("ascii")

    def decode(self, data: bytes) -> Any:
        """The item.

        Raises:
            ValueError: It is no JSON.
        """
        return json.loads(data)


_PLAIN = frozenset({type(None), bool, int, float, str})


def _odd_one(item: Any) -> str | None:
    """The type of something in an item that JSON has not; subclasses are not what they extend."""
    kind = type(item)
    if kind in _PLAIN:
        return None
    if kind is list:
        inner = item
    elif kind is dict:
        for key in item:
            if type(key) is not str:
                return f"key of type {type(key).__qualname__}"
        inner = item.values()
    else:
        return str(kind.__qualname__)
    for each in inner:
        if type(each) not in _PLAIN and (odd := _odd_one(each)) is not None:
            return odd
    return None
