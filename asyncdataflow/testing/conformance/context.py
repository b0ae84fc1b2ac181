"""What is tried of a source and of a sink alike: the context that ``open`` returns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from .rules import Rule
from .trial import Visit, Watch

__all__ = (
    "ENDS_CANCELLED",
    "LEAVES_NOTHING",
    "PASSES_ERRORS",
    "STARTS_WHEN_OPENED",
    "context_of",
    "ends_cancelled",
    "leaves_nothing",
    "passes_errors",
    "starts_when_opened",
)

STARTS_WHEN_OPENED: Final = Rule("C28", "Nothing runs before it is opened.")
LEAVES_NOTHING: Final = Rule(
    "C22", "Left at any item, or cancelled at any step, it ends and leaves nothing behind."
)
ENDS_CANCELLED: Final = Rule("C24", "A cancellation comes out as one, whatever step it hits.")
PASSES_ERRORS: Final = Rule("D36", "An error in the block comes out as itself.")


def context_of(part: Any) -> AbstractAsyncContextManager[Any]:
    """What ``open`` returns.

    Raises:
        TypeError: It is no async context manager.
    """
    context = part.open()
    if isinstance(context, AbstractAsyncContextManager):
        return context
    if asyncio.iscoroutine(context):
        context.close()
    raise TypeError(
        f"open() returned {type(context).__qualname__}, which is no async context manager; "
        "write @asynccontextmanager above an async generator function"
    )


async def starts_when_opened(make: Callable[[], Any]) -> str | None:
    """What a part and its context, not entered, have started."""
    watch, threads = Watch(), set(threading.enumerate())
    context_of(make())
    left = await watch.left()
    started = [f"the thread {each.name}" for each in threading.enumerate() if each not in threads]
    return ", ".join([*([left] if left else []), *started]) or None


def leaves_nothing(visits: Iterable[Visit]) -> str | None:
    """The first visit that did not end, or left something behind."""
    for seen in visits:
        if not seen.ended:
            return f"{seen.case}, it did not end"
        if seen.left:
            return f"{seen.case}, there was left: {seen.left}"
    return None


def ends_cancelled(visits: Iterable[Visit]) -> str | None:
    """The first visit whose cancellation came to nothing, or became something else."""
    for seen in visits:
        if not seen.cancelled:
            continue
        if not seen.ended:
            return f"{seen.case}, it did not end"
        if seen.error is None:
            return f"{seen.case}, it ended as if it had not been"
        if not isinstance(seen.error, asyncio.CancelledError):
            return f"{seen.case}, it raised {seen.error!r} in place of the cancellation"
    return None


async def passes_errors(use: Callable[[BaseException], Awaitable[None]]) -> str | None:
    """What became of an error that is raised in the block."""
    error = LookupError("an error of the block")
    try:
        await use(error)
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is looked at
        return None if raised is error else f"{raised!r} came out in its place"
    return "it was swallowed"
