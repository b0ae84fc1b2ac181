"""What a simulation shuts out, or listens to, while a seed runs: everything that no seed governs."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
import warnings
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .trace import Trace

__all__ = (
    "collecting_nothing",
    "drawing_from",
    "refuse_on_a_loop",
    "told_of_logs",
    "told_of_warnings",
    "watched_generators",
)


def refuse_on_a_loop(told: str) -> None:
    """What has loops of its own cannot run where one runs already.

    Raises:
        RuntimeError: One does; the message is ``told``.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(told)


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """When garbage is collected no seed governs, and finalizers may wake whoever waits."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """What the flow draws from ``random`` is drawn from the seed, and nobody else's draws are disturbed."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


@contextmanager
def told_of_warnings(report: Callable[[str, str], None]) -> Iterator[None]:
    """A run that was dropped, or a coroutine never awaited, is no matter of taste here."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        warnings.filterwarnings("always", ".*never awaited", RuntimeWarning)
        yield
    for each in seen:
        if issubclass(each.category, ResourceWarning):
            # A run that was dropped, or what is the flow's own: a file, a socket.
            report("C22" if str(each.message).startswith("unclosed") else "C23", str(each.message))
        elif "never awaited" in str(each.message):
            report("D42", str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


@contextmanager
def told_of_logs(trace: Trace) -> Iterator[None]:
    """What the library logs is part of what happened here, and no news to anybody else."""

    def take(record: logging.LogRecord) -> bool:
        trace.note(f"logged: {record.getMessage()}")
        return False

    logger = logging.getLogger("asyncdataflow")
    logger.addFilter(take)
    try:
        yield
    finally:
        logger.removeFilter(take)


@contextmanager
def watched_generators() -> Iterator[weakref.WeakSet[AsyncGenerator[Any, Any]]]:
    """All async generators that begin within, as long as they live."""
    begun: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()
    before = sys.get_asyncgen_hooks()

    def first(generator: AsyncGenerator[Any, Any]) -> None:
        begun.add(generator)
        if before.firstiter is not None:
            before.firstiter(generator)

    sys.set_asyncgen_hooks(firstiter=first)
    try:
        yield begun
    finally:
        sys.set_asyncgen_hooks(*before)
