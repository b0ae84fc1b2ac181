"""Where a coroutine waits."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

__all__ = ("awaited_frames",)

_KINDS: Final = {"cr": "cr_await", "ag": "ag_await", "gi": "gi_yieldfrom"}


def awaited_frames(awaitable: Any) -> Iterator[FrameType | None]:
    """The frames down the awaits of a coroutine, async generator or generator, its own first.

    ``Task.get_stack`` has the first only. The last is ``None`` where it cannot be seen further,
    as behind the ``anext`` of an async generator; where it waits for a future, there is none.
    """
    while awaitable is not None and type(awaitable).__name__ != "FutureIter":
        kind = next((each for each in _KINDS if hasattr(awaitable, f"{each}_frame")), None)
        frame = None if kind is None else getattr(awaitable, f"{kind}_frame")
        yield frame
        if kind is None or frame is None:
            return
        awaitable = getattr(awaitable, _KINDS[kind])
