"""W2 and W2s: one plain stage in four threads, trivial or blocking."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from .feed import EDGE, END, in_any_order, numbers, plain, take, take_plainly
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Taken, Workload

THREADS: Final = 4

CHUNK: Final = 256

Work = Callable[[int], int]


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


async def aiostream(work: Work, items: int) -> Taken:
    """``map`` of a coroutine that awaits ``asyncio.to_thread``."""
    from aiostream import pipe, stream

    async def in_thread(number: int, *_: int) -> int:
        return await asyncio.to_thread(work, number)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    results = stream.iterate(numbers(items)) | mapped(in_thread, task_limit=THREADS)
    async with results.stream() as streamer:
        return await take(streamer)


async def streamable(work: Work, items: int) -> Taken:
    """``map`` with threads."""
    from streamable import stream  # type: ignore[import-not-found]

    return await take(stream(numbers(items)).map(work, concurrency=THREADS))


def pypeln(work: Work, items: int) -> Taken:
    """A thread stage."""
    import pypeln as pl  # type: ignore[import-not-found]

    return take_plainly(pl.thread.map(work, range(items), workers=THREADS, maxsize=EDGE))


async def streamz(work: Work, items: int) -> Taken:
    """A ``map_async`` node whose coroutine awaits ``asyncio.to_thread``."""
    from streamz import Stream  # type: ignore[import-not-found]

    results: asyncio.Queue[Any] = asyncio.Queue()

    async def in_thread(number: int) -> int:
        return await asyncio.to_thread(work, number)

    async def feed() -> None:
        async for number in numbers(items):
            await source.emit(number)

    async def taken_of_sink() -> AsyncIterator[int]:
        for _ in range(items):
            yield await results.get()

    source = Stream(asynchronous=True)
    # It runs one more at once than that: as many as its queue holds, and the one that it waits for.
    source.map_async(in_thread, parallelism=THREADS - 1).sink(results.put_nowait)
    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        return await take(taken_of_sink())


def peers(work: Work, *shares: float) -> tuple[Contestant, ...]:
    """The peers, with their shares of the items in this order."""
    aiostreams, streamables, pypelns, streamzs = shares
    awaits = "no threads of its own: a coroutine awaits `asyncio.to_thread`"
    plainly = "read from a plain iterable, without a loop: its thread stages take nothing else"
    return (
        Contestant("aiostream", functools.partial(aiostream, work), "peer", "aiostream", aiostreams, awaits),
        Contestant("streamable", functools.partial(streamable, work), "peer", "streamable", streamables),
        Contestant("pypeln", functools.partial(pypeln, work), "peer", "pypeln", pypelns, plainly),
        Contestant("streamz", functools.partial(streamz, work), "peer", "streamz", streamzs, awaits),
    )


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
            *peers(work, 1, 1, 1, 1),
        ),
        in_any_order,
        (Floor(LIMIT, 0.97), Floor("", (milliseconds + 2) / 1000, "first")),
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
        *peers(plain, 0.02, 0.1, 0.1, 0.02),
    ),
    in_any_order,
    (Floor(LIMIT, 0.55), Floor(BEST_PEER, 20)),
    cannot={"bytewax": "not measured yet: the issue wants ours ahead of its `-w4`"},
)

W2S = (blocking(1, 2000), blocking(20, 200))
