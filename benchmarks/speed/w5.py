"""W5: pure Python in two processes, 50 us and 1 ms an item."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

from .feed import EDGE, in_order, numbers, take, take_plainly
from .workload import LIMIT, OURS, Contestant, Floor, Taken, Workload

PROCESSES: Final = 2

CHUNKS: Final = (1, 4, 16, 64, 256, 1024)
"""Of the pool: which of them is best, the table tells; nobody is told beforehand."""

LIMIT_CHUNK: Final = 64

MICROSECONDS_A_CLIMB: Final = 4.2
"""On a machine of 2025."""

Work = Callable[[int], int]


def compute(microseconds: int, number: int) -> int:
    """A stage of pure Python; so much work rather than so much time, since the processors are shared."""
    for _ in range(round(microseconds / MICROSECONDS_A_CLIMB)):
        climb(27)
    return number


def climb(number: int) -> int:
    """Collatz's way down to one: 111 steps from 27.

    An empty loop is quicker, but takes from 36 to 86 µs for the same rounds, by where in its pages the
    frame and the iterator lie: so the depth of the caller's stack would be what is measured.
    """
    steps = 0
    while number != 1:
        number = 3 * number + 1 if number % 2 else number // 2
        steps += 1
    return steps


def pool(work: Work, chunk: int, items: int) -> Taken:
    """``Pool.imap``, in processes that are spawned as ours are: a program with threads cannot fork."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as workers:
        return take_plainly(workers.imap(work, range(items), chunk))


def executor(work: Work, items: int) -> Taken:
    """``ProcessPoolExecutor.map`` with its own chunks, which are of one item."""
    with _executor() as workers:
        return take_plainly(workers.map(work, range(items)))


async def ours(work: Work, items: int) -> Taken:
    """A stage in processes."""
    from asyncdataflow import DataFlow, stage

    flow = DataFlow((numbers, stage(work, name="work", executor="process", concurrency=PROCESSES)))
    async with flow.stream({"count": items}) as run:
        return await take(run)


def pypeln(work: Work, items: int) -> Taken:
    """A process stage, in order."""
    import pypeln as pl  # type: ignore[import-not-found]

    stage = pl.process.map(work, range(items), workers=PROCESSES, maxsize=EDGE)
    return take_plainly(pl.process.ordered(stage))


async def streamable(work: Work, items: int) -> Taken:
    """``map`` with an executor of processes."""
    from streamable import stream  # type: ignore[import-not-found]

    with _executor() as workers:
        return await take(stream(numbers(items)).map(work, concurrency=workers))


async def aiostream(work: Work, items: int) -> Taken:
    """``map`` of a coroutine that awaits an executor of processes."""
    from aiostream import pipe, stream

    loop = asyncio.get_running_loop()
    with _executor() as workers:

        async def in_process(number: int, *_: int) -> int:
            return await loop.run_in_executor(workers, work, number)

        # Typed for functions of any number of streams, which does not infer one.
        mapped: Any = pipe.map
        results = stream.iterate(numbers(items)) | mapped(in_process, task_limit=2 * PROCESSES)
        async with results.stream() as streamer:
            return await take(streamer)


def _executor() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))


def computing(microseconds: int, items: int, least: float, slow: float, slowest: float) -> Workload:
    """W5, for a time an item.

    Args:
        microseconds: Of work.
        items: How many.
        least: What ours must reach of the pool, whatever its chunks.
        slow: The part of the items for those who send one at a time.
        slowest: For those who take longer still.
    """
    work = functools.partial(compute, microseconds)
    names = {chunk: LIMIT if chunk == LIMIT_CHUNK else f"pool-{chunk}" for chunk in CHUNKS}
    plainly = "read from a plain iterable, without a loop"
    executors = "no processes of its own: an executor"
    return Workload(
        f"W5-{microseconds}",
        f"one stage of pure Python, {microseconds} µs an item, in {PROCESSES} processes, in order",
        items,
        (
            *(
                Contestant(
                    name,
                    functools.partial(pool, work, chunk),
                    "limit" if name == LIMIT else "by hand",
                    share=1 if chunk > 1 else slow,
                    note=f"`Pool.imap`, chunks of {chunk}",
                )
                for chunk, name in names.items()
            ),
            Contestant(
                "executor", functools.partial(executor, work), share=slow, note="`.map`, without a loop"
            ),
            Contestant(OURS, functools.partial(ours, work), "ours"),
            Contestant("pypeln", functools.partial(pypeln, work), "peer", "pypeln", slowest, plainly),
            Contestant(
                "streamable", functools.partial(streamable, work), "peer", "streamable", slow, executors
            ),
            Contestant("aiostream", functools.partial(aiostream, work), "peer", "aiostream", slow, executors),
        ),
        in_order,
        tuple(Floor(name, least) for name in names.values()),
        {"streamz": "its processes are those of Dask"},
    )


W5 = (computing(50, 100_000, 0.9, 0.2, 0.05), computing(1000, 4_000, 0.85, 1, 0.5))
