"""What came of the item at which a chunk has stopped."""

from __future__ import annotations

import asyncio
from typing import Any

from .._threads.chunk import Stop
from .call import Call
from .leaving import Leaving
from .pull import NOTHING
from .supervise import not_an_ending, own_cancel

__all__ = ("outcome",)


async def outcome(stop: Stop, call: Call, leaving: Leaving) -> tuple[Any, Exception | None]:
    """The value of the item, or the stage's own error.

    Args:
        stop: The item, which knows its value no more behind this.
        call: Its worker's.
        leaving: How that is cancelled.
    """
    try:
        if stop.raised:
            raise stop.value
        return await call.settle(stop.value), None
    except asyncio.CancelledError as cancelled:
        if leaving.ordered():
            raise
        return NOTHING, own_cancel(cancelled)
    except Exception as raised:
        if leaving.ordered():
            raise
        return NOTHING, not_an_ending(raised)
    finally:
        stop.value = None
