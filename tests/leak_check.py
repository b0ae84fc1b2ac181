"""What every test is held to: it leaves nothing behind.

After each test there is no pending task, no async generator that was never closed, no
extra thread, descriptor or child process, and asyncio has logged no error (a task whose
exception nobody retrieved, a callback that raised). Coroutines that were never awaited
and destructors that raise become pytest's own warnings, which are errors here.

A test that has to leave something says so, with the reason::

    @pytest.mark.leaks("threads", reason="a thread that will not end is the point")
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

import psutil
import pytest

from tests import loops

__all__ = ("PARTS", "allowed_parts", "watch")

PARTS = ("tasks", "generators", "threads", "files", "children", "log")
_PATIENCE = 2.0
"""Seconds given to a thread or child that is on its way out; one that is gone costs none."""


def allowed_parts(item: pytest.Item) -> frozenset[str]:
    """The parts that the test's ``leaks`` markers switch off."""
    parts: set[str] = set()
    for marker in item.iter_markers("leaks"):
        unknown = set(marker.args) - set(PARTS)
        if unknown or not marker.args or not marker.kwargs.get("reason"):
            raise pytest.UsageError(
                f"{item.nodeid}: leaks(*parts, reason=) needs some of {', '.join(PARTS)} and a reason"
            )
        parts.update(marker.args)
    return frozenset(parts)


@contextmanager
def watch(allowed: frozenset[str]) -> Iterator[None]:
    """Raise ``AssertionError`` at the end for all that was left behind in between."""
    left: dict[str, list[str]] = {part: [] for part in PARTS}
    threads, files, children = set(threading.enumerate()), _open_files(), _children()
    with pytest.MonkeyPatch.context() as patch, _asyncio_errors(left["log"]):
        _watch_closing_loops(patch, left)
        yield
        gc.collect()
    left["threads"] += _left_threads(threads)
    left["children"] += _left_children(children)
    left["files"] += sorted(f"{number} -> {target}" for number, target in _open_files() - files)
    complaints = [f"{part}: {each}" for part in PARTS if part not in allowed for each in left[part]]
    assert not complaints, "the test left behind\n  " + "\n  ".join(complaints)


def _watch_closing_loops(patch: pytest.MonkeyPatch, left: dict[str, list[str]]) -> None:
    """See what a loop still has when its runner closes it, before that tidies it away.

    ``asyncio.Runner`` is what ``asyncio.run``, ``run_virtual`` and pytest-asyncio have in
    common; its clean-up is where leaks would vanish unseen.
    """
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
        left["tasks"] += [f"{task.get_name()}: {task.get_coro()}" for task in asyncio.all_tasks(loop)]
        cancel_all(loop)

    patch.setattr(asyncio.runners, "_cancel_all_tasks", cancel_all_tasks)
    for kind in loops.KINDS:
        _watch_generators(patch, kind, left["generators"])


def _watch_generators(patch: pytest.MonkeyPatch, kind: Any, left: list[str]) -> None:
    begin, shut_down = kind._asyncgen_firstiter_hook, kind.shutdown_asyncgens
    begun: weakref.WeakKeyDictionary[Any, weakref.WeakSet[Any]] = weakref.WeakKeyDictionary()

    def first_step(loop: Any, generator: Any) -> None:
        begun.setdefault(loop, weakref.WeakSet()).add(generator)
        begin(loop, generator)

    async def shutdown_asyncgens(loop: Any) -> None:
        mine = begun.pop(loop, ())
        if mine:  # collecting is dear where a test has a loop for each of a thousand seeds
            gc.collect()
            await asyncio.sleep(0)  # a dropped generator is closed by a task that its finalizer starts
        left.extend(repr(each) for each in mine if each.ag_frame is not None)
        await shut_down(loop)

    patch.setattr(kind, "_asyncgen_firstiter_hook", first_step)
    patch.setattr(kind, "shutdown_asyncgens", shutdown_asyncgens)


@contextmanager
def _asyncio_errors(seen: list[str]) -> Iterator[None]:
    """All that a loop's default exception handler reports goes to this logger, in any thread."""
    logger = logging.getLogger("asyncio")
    handler = _Collect(lambda record: seen.append(record.getMessage()))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Collect(logging.Handler):
    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(logging.ERROR)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record)


def _left_threads(before: set[threading.Thread]) -> list[str]:
    new = [each for each in threading.enumerate() if each not in before]
    for each in new:
        each.join(_PATIENCE)
    return [repr(each) for each in new if each.is_alive()]


def _left_children(before: set[psutil.Process]) -> list[str]:
    # The tracker of multiprocessing is shared by all that spawn, and stays by design.
    tracker = getattr(resource_tracker._resource_tracker, "_pid", None)  # type: ignore[attr-defined]
    new = [each for each in _children() - before if each.pid != tracker]
    _, alive = psutil.wait_procs(new, timeout=_PATIENCE) if new else ([], [])
    return [repr(each) for each in alive]


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children())


def _open_files() -> set[tuple[int, str]]:
    found = set()
    for number in _descriptors():
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            target = "?"
        found.add((number, target))
    return found


def _descriptors() -> list[int]:
    """The open descriptors; ``/dev/fd`` is there on Linux and on macOS.

    Listing takes a descriptor of its own, which is closed again when it is looked at.
    """
    found = []
    for name in os.listdir("/dev/fd"):
        try:
            os.fstat(int(name))
        except OSError:
            continue
        found.append(int(name))
    return found
