"""The flow in streamable: half of the runs as an async iterable, half as an iterable with a runner's loop."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

from streamable import stream  # type: ignore[import-not-found]

from ..case import SLOW_SINK, Case
from ..items import in_process
from ..leaks import run_watched

BUFFER = 10


def run(case: Case, grace: float) -> None:
    """Run the flow over a case."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1)) if case.with_processes else None
        if not case.synchronously:
            run_watched(case, lambda: consume(case, pool), grace)
            return
        with asyncio.Runner():
            for item in results_of(case, pool):
                if case.take(item):
                    break


async def consume(case: Case, pool: Executor | None) -> None:
    """Take from the stream in a loop."""
    async for item in results_of(case, pool):
        if await case.take_async(item):
            break


def results_of(case: Case, pool: Executor | None) -> Any:
    """Build the stream; it runs a function in threads where the concurrency is more than one."""
    results = stream(case.numbers()).map(case.on_loop, concurrency=case.concurrency)
    results = results.map(case.in_thread, concurrency=max(2, case.concurrency))
    if pool is not None:
        results = results.map(in_process, concurrency=pool)
    return results.buffer(BUFFER) if case.flow == SLOW_SINK else results
