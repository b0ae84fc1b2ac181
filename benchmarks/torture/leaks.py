"""What a run left behind, after a grace: tasks, threads, child processes, sources that were not closed."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from multiprocessing import resource_tracker
from typing import Any

import psutil  # type: ignore[import-untyped]

from .case import Case

PAUSE = 0.01
"""Seconds between two looks during the grace; what is gone at the first look costs none."""


def run_watched(case: Case, main: Callable[[], Coroutine[Any, Any, None]], grace: float) -> None:
    """Run a coroutine as ``asyncio.run`` does, and see what it leaves before that tidies it away."""

    async def watched() -> None:
        seen: BaseException | None = None
        try:
            await main()
        except BaseException as error:  # noqa: BLE001 - raised again when the loop has been looked at
            seen = without_frames(error)
        await _wait_until_tidy(case, grace)
        if seen is not None:
            raise seen

    asyncio.run(watched())


def without_frames(error: BaseException) -> BaseException:
    """Take the tracebacks off: as long as they are held, so are the generators that their frames name."""
    pending = [error]
    while pending:
        each = pending.pop().with_traceback(None)
        inner = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        # Those that still have one: a chain may be a circle.
        pending += [one for one in (*inner, each.__cause__, each.__context__) if one and one.__traceback__]
    return error


async def _wait_until_tidy(case: Case, grace: float) -> None:
    """Note the tasks and the sources that are left when the grace is over."""
    end = time.monotonic() + grace
    while left := [*_other_tasks(), *_open_sources(case)]:
        if time.monotonic() > end:
            case.left += left
            return
        gc.collect()
        await asyncio.sleep(PAUSE)


def _other_tasks() -> list[str]:
    # By name: what looks must not hold a task that nobody else does.
    return [_named(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def _open_sources(case: Case) -> list[str]:
    return ["the source was not closed"] * case.open_sources


def _named(task: asyncio.Task[Any]) -> str:
    return f"task {getattr(task.get_coro(), '__qualname__', '')}"


class Leftovers:
    """What was there before a run, to be told from what it leaves."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._children = {child.pid for child in psutil.Process().children(recursive=True)}

    def note(self, case: Case, grace: float) -> None:
        """Note what is left when the grace is over; what is gone at the first look costs none."""
        end = time.monotonic() + grace
        while left := [*self._looks(case)]:
            if time.monotonic() > end:
                case.left += left
                return
            gc.collect()
            time.sleep(PAUSE)

    def _looks(self, case: Case) -> Iterable[str]:
        yield from (f"thread {each.name}" for each in set(threading.enumerate()) - self._threads)
        yield from (f"child process {pid}" for pid in self._living_children())
        yield from (_named(task) for task in _all_tasks() if not task.done())
        yield from _open_sources(case)

    def _living_children(self) -> list[int]:
        multiprocessing.active_children()  # reaps those that have ended
        # The tracker of multiprocessing is shared by all that spawn, and stays by design.
        kept = {*self._children, getattr(resource_tracker._resource_tracker, "_pid", None)}
        found = psutil.Process().children(recursive=True)
        return [child.pid for child in found if child.pid not in kept and _lives(child)]


def _lives(child: psutil.Process) -> bool:
    try:
        return bool(child.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _all_tasks() -> list[asyncio.Task[Any]]:
    """The tasks of all loops, closed ones too; where they are kept differs among CPythons."""
    for name in ("_scheduled_tasks", "_all_tasks"):
        if (kept := getattr(asyncio.tasks, name, None)) is not None:
            return _listed(kept)
    return []


def _listed(tasks: Iterable[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """As ``asyncio.all_tasks`` does: a loop in another thread may add one while they are listed."""
    for _ in range(1000):
        try:
            return list(tasks)
        except RuntimeError:
            continue
    raise RuntimeError("the tasks change faster than they can be listed")


def processes_of_group(group: int) -> list[int]:
    """The living processes of a process group: what a child left that has itself ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    found = []
    for each in psutil.process_iter():
        try:
            if os.getpgid(each.pid) == group and _lives(each):
                found.append(each.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found
