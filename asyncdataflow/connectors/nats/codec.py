"""How items travel as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

__all__ = ("Decode", "Encode", "decoder", "encoder")

Decode = Literal["json", "bytes"] | Callable[[bytes], Any]
Encode = Literal["json", "bytes"] | Callable[[Any], bytes]


def decoder(what: str, decode: Decode) -> Callable[[bytes], Any]:
    """What makes items of payloads.

    Raises:
        ValueError: It is no codec, and no function.
    """
    if callable(decode):
        return decode
    return _chosen(what, "decode", decode, {"json": json.loads, "bytes": bytes})


def encoder(what: str, encode: Encode) -> Callable[[Any], bytes]:
    """What makes payloads of items.

    Raises:
        ValueError: It is no codec, and no function.
    """
    if callable(encode):
        return encode
    return _chosen(what, "encode", encode, {"json": _json, "bytes": _bytes})


def _chosen(
    what: str, option: str, given: str, known: dict[str, Callable[[Any], Any]]
) -> Callable[[Any], Any]:
    if given not in known:
        raise ValueError(f"{what}: {option}= is 'json', 'bytes' or a function, not {given!r}")
    return known[given]


def _json(item: Any) -> bytes:
    return json.dumps(item, separators=(",", ":"), allow_nan=False).encode()


def _bytes(item: Any) -> bytes:
    if not isinstance(item, bytes | bytearray | memoryview):
        raise TypeError("bytes are needed")
    return bytes(item)
