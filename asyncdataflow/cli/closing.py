"""The end of a command's loop, which nothing may hold up."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

__all__ = ("close",)

_logger: Final = logging.getLogger("asyncdataflow")


def close(runner: asyncio.Runner, grace: float) -> None:
    """Close a runner as ``asyncio.run`` does, but wait no longer for what swallows its cancellation.

    Args:
        runner: What has run the flow.
        grace: Seconds for what is left on the loop; then it is named, and left behind. 0 where it has had
            its time, and is named already.
    """
    left = runner.run(_left(grace))
    if not left:
        runner.close()
        return
    for each in left if grace else ():
        _logger.error("left behind, since it swallows its cancellation: %s", each.get_name())
    # It is dropped with the program, which is no news any more.
    runner.get_loop().set_exception_handler(_ignore)


async def _left(grace: float) -> set[asyncio.Task[Any]]:
    """The tasks that have not ended by then."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    if not others:
        return set()
    _, left = await asyncio.wait(others, timeout=grace)
    return left


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing."""
