"""W2 and W2s: one plain stage in four threads, trivial or blocking."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from .feed import END, in_any_order, numbers, plain, take, take_plainly
from .thread_peers import CANNOT, THREADS, Work, peers
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Taken, Workload

CHUNK: Final = 256

SHARES: Final = {
    "aiostream": 0.02,
    "streamable": 0.1,
    "pypeln": 0.1,
    "streamz": 0.02,
    "anyio": 0.05,
    "reactivex": 0.02,
    "mpservice": 1,
    "SPDL": 0.1,
    "Ray": 0.02,
    "Dask": 0.01,
    "bytewax -w4": 0.1,
    "bytewax -w4, batches": 1,
}
"""Of a peer where the stage is trivial."""

ALL_ALIKE: Final = {name: 1 for name in SHARES if name not in ("Ray", "Dask", "bytewax -w4, batches")}
"""Where the stage is what takes the time."""

IN_BATCHES: Final = {"bytewax, in batches": "a batch of these is all of them"}


def blocks(seconds: float, number: int) -> int:
    """A stage that blocks its thread."""
    time.sleep(seconds)
    return number


async def janus_chunks(work: Work, size: int, items: int) -> Taken:
    """Two janus queues with fixed chunks, and threads between them."""
    import janus

    inbox: janus.Queue[Any] = janus.Queue(max(2, 1024 // size))
    outbox: janus.Queue[Any] = janus.Queue(max(2, 1024 // size))

    def serve() -> None:
        while (chunk := inbox.sync_q.get()) is not END:
            outbox.sync_q.put([work(number) for number in chunk])
        outbox.sync_q.put(END)

    async def feed() -> None:
        chunk: list[int] = []
        async for number in numbers(items):
            chunk.append(number)
            if len(chunk) == size:
                await inbox.async_q.put(chunk)
                chunk = []
        for last in (chunk, *[END] * THREADS):
            await inbox.async_q.put(last)

    async def results() -> AsyncIterator[int]:
        ended = 0
        while ended < THREADS:
            chunk = await outbox.async_q.get()
            if chunk is END:
                ended += 1
            else:
                for number in chunk:
                    yield number

    threads = [threading.Thread(target=serve) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        taken = await take(results())
    for thread in threads:
        thread.join()
    await inbox.aclose()
    await outbox.aclose()
    return taken


def thread_pool(work: Work, items: int) -> Taken:
    """``ThreadPoolExecutor.map``, without a loop."""
    with ThreadPoolExecutor(THREADS) as pool:
        return take_plainly(pool.map(work, range(items)))


async def ours(work: Work, items: int) -> Taken:
    """A plain function with ``concurrency``."""
    from asyncdataflow import DataFlow, stage

    flow = DataFlow((numbers, stage(work, name="work", concurrency=THREADS)))
    async with flow.stream({"count": items}) as run:
        return await take(run)


def blocking(milliseconds: int, items: int) -> Workload:
    """W2s, for a blocking time."""
    work = functools.partial(blocks, milliseconds / 1000)
    return Workload(
        f"W2s-{milliseconds}",
        f"one stage in {THREADS} threads that blocks for {milliseconds} ms",
        items,
        (
            Contestant(
                LIMIT, functools.partial(thread_pool, work), "limit", note="`ThreadPoolExecutor.map`, no loop"
            ),
            Contestant("janus", functools.partial(janus_chunks, work, 1), note="one item a chunk"),
            Contestant(OURS, functools.partial(ours, work), "ours"),
            *peers(work, ALL_ALIKE),
        ),
        in_any_order,
        (Floor(LIMIT, 0.97), Floor("", (milliseconds + 2) / 1000, "first")),
        cannot={**CANNOT, "Ray and Dask": "can; their cost for an item is in W2", **IN_BATCHES},
    )


W2 = Workload(
    "W2",
    f"one trivial plain stage in {THREADS} threads",
    100_000,
    (
        Contestant(
            LIMIT,
            functools.partial(janus_chunks, plain, CHUNK),
            "limit",
            note=f"two janus queues, fixed chunks of {CHUNK}, in no order",
        ),
        Contestant("janus", functools.partial(janus_chunks, plain, 1), share=0.05, note="one item a chunk"),
        Contestant(
            "thread_pool", functools.partial(thread_pool, plain), share=0.2, note="`.map`, without a loop"
        ),
        Contestant(OURS, functools.partial(ours, plain), "ours"),
        *peers(plain, SHARES),
    ),
    in_any_order,
    (Floor(LIMIT, 0.55), Floor(BEST_PEER, 20), Floor("bytewax -w4, batches", 1)),
    cannot=CANNOT,
)

W2S = (blocking(1, 2000), blocking(20, 200))
