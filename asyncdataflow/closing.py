"""The end of a loop that ran a flow, which what swallows its cancellation does not hold up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Set
from typing import Any, Final, TypeVar

__all__ = ("close", "completed", "leave")

T = TypeVar("T")

_logger: Final = logging.getLogger("asyncdataflow")


def completed(main: Coroutine[Any, Any, T], behind: Callable[[], Set[asyncio.Task[Any]]]) -> T:
    """What comes of a coroutine on a loop of its own, as of ``asyncio.run``.

    Args:
        main: The coroutine.
        behind: Tells, when it is over, which tasks a run has left behind, and named.
    """
    runner = asyncio.Runner()
    try:
        return runner.run(main)
    finally:
        close(runner, behind=behind())


def close(
    runner: asyncio.Runner, grace: float | None = None, behind: Set[asyncio.Task[Any]] = frozenset()
) -> None:
    """Close a runner as ``asyncio.run`` does, but wait no longer for what swallows its cancellation.

    Args:
        runner: What has run the flow.
        grace: Seconds for what is left on the loop; then it is named, and left behind. 0 where it has had
            its time, and is named already; ``None`` for as long as it takes.
        behind: Tasks that a run has left behind, and named: they have had their time.
    """
    left = runner.run(_left(grace, behind))
    if not left:
        runner.close()
        return
    for each in left if grace else ():
        _logger.error("left behind, since it swallows its cancellation: %s", each.get_name())
    asyncio.set_event_loop(None)
    leave(runner.get_loop())


def leave(loop: asyncio.AbstractEventLoop) -> None:
    """Have done with a loop that cannot be closed, because of what is left on it."""
    # It is dropped with the program, which is no news any more.
    loop.set_exception_handler(_ignore)


async def _left(grace: float | None, behind: Set[asyncio.Task[Any]]) -> Set[asyncio.Task[Any]]:
    """The tasks that have not ended by then."""
    others = asyncio.all_tasks() - {asyncio.current_task()} - behind
    for each in others:
        each.cancel()
    left = (await asyncio.wait(others, timeout=grace))[1] if others else set()
    return left | {each for each in behind if not each.done()}


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing."""
