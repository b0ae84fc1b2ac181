"""What a worker process and its parent say to each other.

A message is its kind and what it carries, so that its kind is known before anything is
unpickled. Calls and their results go many to a message, each pickled by itself: what two
items share is not shared by their copies, however the items are put together, and what
cannot be unpickled is one of them alone.
"""

from __future__ import annotations

import functools
import io
import pickle
import struct
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from ..errors import ArgumentsError

__all__ = (
    "CALLS",
    "CLOSE",
    "EACH",
    "END",
    "ERROR",
    "ITEM",
    "MORE",
    "MOST_BYTES",
    "NEXT",
    "RESULTS",
    "SKIPPED",
    "Message",
    "joined",
    "kind_of",
    "packed",
    "parts",
    "pickled",
    "said",
    "text_of",
    "unpacked",
    "unpickled",
    "unsendable",
)

Message = bytes | bytearray

# Requests: calls; more calls, unless one before them failed; an iteration up to its first
# item; its next item; its end, or that of the process.
CALLS: Final = b"c"
MORE: Final = b"m"
EACH: Final = b"e"
NEXT: Final = b"n"
CLOSE: Final = b"q"
# Answers. Calls have as many messages of results as it takes, with an error in place of the
# rest where one failed, or are skipped; each other request has exactly one answer.
RESULTS: Final = b"r"
SKIPPED: Final = b"s"
ITEM: Final = b"i"
END: Final = b"."
ERROR: Final = b"!"

MOST_BYTES: Final = 1 << 20
"""Of what is put together in a message; one that is larger goes alone."""

pickled: Final[Callable[[Any], bytes]] = functools.partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL)
"""One value of several that go together."""

unpickled: Final = pickle.loads
"""What that was made from, or a copy: between a parent and its own child, by an inherited socket."""

_COUNT: Final = struct.Struct("<I")


def packed(kind: bytes, value: Any = None) -> bytes:
    """A message that carries one value."""
    buffer = io.BytesIO()
    buffer.write(kind)
    pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def unpacked(message: Message) -> Any:
    """The value that a message carries."""
    return unpickled(memoryview(message)[1:])


def joined(kind: bytes, pickles: Sequence[bytes]) -> bytes:
    """A message that carries several pickles."""
    sizes = struct.pack(f"<{len(pickles)}Q", *map(len, pickles))
    return b"".join((kind, _COUNT.pack(len(pickles)), sizes, *pickles))


def parts(message: Message) -> list[memoryview]:
    """The pickles that a message carries."""
    (count,) = _COUNT.unpack_from(message, 1)
    begin = 1 + _COUNT.size
    sizes = struct.unpack_from(f"<{count}Q", message, begin)
    ends = accumulate(sizes, initial=begin + 8 * count)
    view = memoryview(message)
    return [view[begin:end] for begin, end in pairwise(ends)]


def kind_of(message: Message) -> Message:
    """The kind of a message."""
    return message[:1]


def said(error: BaseException) -> str:
    """An exception's type and text on one line."""
    return f"{type(error).__name__}: {text_of(error)}"


def text_of(error: BaseException) -> str:
    """An exception's text."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a __str__ may raise anything
        return "(its text cannot be had)"


def unsendable(error: BaseException) -> ArgumentsError:
    """An item cannot be pickled, because of ``error``."""
    made = ArgumentsError(f"the item cannot be sent to a worker process ({said(error)})")
    made.__cause__ = error
    return made
