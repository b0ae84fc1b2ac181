"""Trace: the steps of a simulated run, in words."""

from __future__ import annotations

import asyncio
import reprlib
from collections import deque
from typing import Final

from ..message import DeadLetter
from ..naming import describe_item

__all__ = ("Trace", "shown")

_MOST_SHOWN: Final = 60
_MOST_LINES: Final = 10_000


class Trace:
    """What happened, line by line.

    A seed is run again to be told, so that a thousand that pass cost nothing for it.

    Args:
        loop: Whose time and steps the lines carry.
        kept: Whether anything is written down at all.

    Attributes:
        lines: What was written down; of a very long run, its end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, kept: bool) -> None:
        self.lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._loop = loop
        self._kept = kept

    def note(self, words: str, *things: object) -> None:
        """Write a line; each ``{}`` in the words is one of the things, shown."""
        if self._kept:
            # Not by `format`: in the words are names of stages, which may have braces of their own.
            pieces = words.split("{}", len(things))
            told = "".join(f"{piece}{shown(each)}" for piece, each in zip(pieces, things, strict=False))
            step = getattr(self._loop, "steps", 0)
            self.lines.append(f"step {step:5d}  {self._loop.time():9.3f} s  {told}{pieces[-1]}")

    def close(self) -> None:
        """What comes now is no part of the story."""
        self._kept = False


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = _MOST_SHOWN

    def repr_bytes(self, x: bytes, level: int) -> str:
        """Cut before it is shown: it may be long."""
        return repr(x[: self.maxother]) + ("…" if len(x) > self.maxother else "")

    def repr_DeadLetter(self, x: DeadLetter, level: int) -> str:  # noqa: N802 - reprlib looks for that name
        """Without its time, which no seed governs."""
        return f"DeadLetter({self.repr1(x.item, level - 1)}, {self.repr1(x.error, level - 1)}, {x.stage})"


_short = _Short()


def shown(thing: object) -> str:
    """An item in a few words; its type, where it cannot be shown."""
    try:
        return _short.repr(thing).replace("\n", " ")
    except Exception:  # noqa: BLE001 - a hostile __repr__ must not hide what is being told
        return describe_item(thing)
