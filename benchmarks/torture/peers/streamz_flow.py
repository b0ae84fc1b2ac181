"""The flow in streamz: ``map_async`` nodes into which the caller emits, and a sink.

It has no worker kinds but coroutines (and a Dask cluster, which is another thing): the stages in
threads and processes are coroutines that await the standard library's executors. A stream has
no end, so a run is over when every item has come out, or nothing has for a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

from streamz import Stream  # type: ignore[import-not-found]

from ..case import Case, Item
from ..items import in_process
from ..leaks import run_watched

QUIET = 1.0
"""Seconds without a result after which nothing more is expected."""


def run(case: Case, grace: float) -> None:
    """Run the flow over a case."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1)) if case.with_processes else None
        run_watched(case, lambda: emit(case, pool), grace)


async def emit(case: Case, pool: Executor | None) -> None:
    """Build the stream, emit the source into it, and wait for what comes out."""
    enough = asyncio.Event()

    async def in_thread(item: Item) -> Item:
        return await asyncio.to_thread(case.in_thread, item)

    async def in_pool(item: Item) -> Item:
        return await asyncio.get_running_loop().run_in_executor(pool, in_process, item)

    async def consume(item: Item) -> None:
        if not enough.is_set() and await case.take_async(item):
            enough.set()

    source = Stream(asynchronous=True)
    last = source
    for function in (case.on_loop, in_thread, *([in_pool] if pool else [])):
        last = last.map_async(function, parallelism=case.concurrency)
    sink = last.sink(consume)
    with contextlib.closing(case.numbers()) as numbers:
        try:
            for number in numbers:
                await source.emit(number)
                if enough.is_set():
                    break
            else:
                await until_quiet(case)
        finally:
            stop(last)
            sink.destroy()


async def until_quiet(case: Case) -> None:
    """Wait until all has come out, or nothing has for a while."""
    clock = asyncio.get_running_loop().time
    taken, since = len(case.taken), clock()
    while len(case.taken) < case.count and clock() - since < QUIET:
        await asyncio.sleep(0.002)
        if len(case.taken) > taken:
            taken, since = len(case.taken), clock()


def stop(last: Any) -> None:
    """Stop the stream from its last node up, as far as it has not stopped itself."""
    # Stopping a node that has not started, or has stopped itself, is an error there.
    with contextlib.suppress(TypeError):
        last.stop()
