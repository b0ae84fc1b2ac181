"""Leaving: how the workers of a stage are cancelled, which never cuts their clean-up short."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..frames import awaited_frames
from ..stage import Stage

__all__ = ("Leaving", "described", "settled")


class Leaving:
    """Which workers of a stage only clean up, and which of these are to hear later that they were cancelled.

    Attributes:
        asked: They were cancelled: one that swallows that takes nothing more.
        runner: The run's own task: where that is cancelled, everything is, as by ``asyncio.run``
            on its way out.
    """

    def __init__(self) -> None:
        self.asked = False
        self.runner: asyncio.Task[None] | None = None
        self._ordered: set[asyncio.Task[Any]] = set()
        self._cleaning: set[asyncio.Task[Any]] = set()
        self._told_later: set[asyncio.Task[Any]] = set()

    def cancel(self, task: asyncio.Task[None], *, again: bool = True) -> None:
        """Cancel a worker, unless it only cleans up: then when it has, if it would go on.

        Args:
            task: The worker.
            again: Also if it is being cancelled already, as by a timeout of the stage's own.
        """
        self.asked = True
        if task in self._cleaning:
            self._told_later.add(task)
        elif again or not task.cancelling():
            self.insist(task)

    def insist(self, task: asyncio.Task[None]) -> None:
        """Cancel a worker, whatever it does."""
        self._ordered.add(task)
        task.cancel()

    def ordered(self) -> bool:
        """Whether the calling worker was cancelled, and is on its way out.

        The task itself cannot be asked: before CPython 3.13, a ``TaskGroup`` of a stage's own
        that has failed leaves ``cancelling()`` at 1 for good, which is taken back here.
        """
        task = asyncio.current_task()
        if task is None:
            return False
        if task in self._ordered or (self.runner is not None and self.runner.cancelling()):
            return True
        while task.cancelling():
            task.uncancel()
        return False

    def begin(self) -> None:
        """The calling worker starts to clean up."""
        task = asyncio.current_task()
        if task is not None:
            self._cleaning.add(task)

    def go_on(self) -> None:
        """The calling worker has cleaned up behind an item, and hears now that it was cancelled."""
        task = asyncio.current_task()
        if task is not None:
            self._cleaning.discard(task)
            if task in self._told_later:
                self.insist(task)


def described(task: asyncio.Task[None], stage: Stage[Any, Any]) -> str:
    """The stage and where its task waits."""
    stack = [
        f"    {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        for frame in awaited_frames(task.get_coro())
        if frame is not None
    ]
    return "\n".join([f"stage {stage.title} ({stage.path}) swallows its cancellation in", *stack])


async def settled(futures: Sequence[asyncio.Future[None]], timeout: float) -> None:
    """Wait for all of them, at most ``timeout``; a cancellation of who waits changes nothing."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    with suppress(asyncio.CancelledError):
        # Tasks that are done already are buried by callbacks, which need a turn of the loop.
        await asyncio.sleep(0)
    while not all(each.done() for each in futures) and (left := until - loop.time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait(futures, timeout=left)
