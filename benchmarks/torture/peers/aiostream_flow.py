"""The flow in aiostream: coroutines with a ``task_limit``, in its streaming context.

It has no worker kinds but coroutines: the stages in threads and processes are coroutines that
await the standard library's executors.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

from aiostream import pipe, stream

from ..case import Case, Item
from ..items import in_process
from ..leaks import run_watched


def run(case: Case, grace: float) -> None:
    """Run the flow over a case."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(1)) if case.with_processes else None
        run_watched(case, lambda: consume(case, pool), grace)


async def consume(case: Case, pool: Executor | None) -> None:
    """Build the stream and take from it."""

    async def in_thread(item: Item, *_: Item) -> Item:
        return await asyncio.to_thread(case.in_thread, item)

    async def in_pool(item: Item, *_: Item) -> Item:
        return await asyncio.get_running_loop().run_in_executor(pool, in_process, item)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    results = stream.iterate(case.numbers())
    results |= mapped(case.on_loop, task_limit=case.concurrency)
    results |= mapped(in_thread, task_limit=case.concurrency)
    if pool is not None:
        results |= mapped(in_pool, task_limit=case.concurrency)
    async with results.stream() as streamer:
        async for item in streamer:
            if await case.take_async(item):
                break
