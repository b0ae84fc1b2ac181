"""W7: how old an item is when it comes out of five stages, at 1,000 items a second."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from . import chains
from .by_hand import queue_chain
from .feed import EDGE, END, STAGES, plain, step
from .workload import LIMIT, OURS, Contestant, Floor, Taken, Workload

RATE: Final = 1000
"""Items a second."""

WORK: Final = (step, plain, step, plain, step)
"""The stages where two of them are in threads."""


async def paced(count: int) -> AsyncIterator[float]:
    """The source: an item is the time at which it was made."""
    begun = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        yield time.perf_counter()


async def ages(results: AsyncIterable[float]) -> Taken:
    """The consumer: how old each item was."""
    made: list[float] = []
    latencies: list[float] = []
    async for item in results:
        latencies.append(time.perf_counter() - item)
        made.append(item)
    return Taken(made, latencies=latencies)


def all_in_order(items: int, made: list[float]) -> None:
    """Every item came out once, in order."""
    if len(made) != items or made != sorted(made):
        raise AssertionError(f"{len(made)} results of {items} items, lost, doubled or out of order")


async def asyncio_queue(items: int) -> Any:
    """A task per stage, an ``asyncio.Queue`` per edge."""
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(EDGE) for _ in range(STAGES + 1)]
    return await queue_chain(paced(items), queues, ages)


async def awaits(items: int) -> Taken:
    """Five nested awaits."""
    return await ages(step_five(paced(items)))


async def step_five(source: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """All stages in one task."""
    async for item in source:
        yield await step(await step(await step(await step(await step(item)))))


async def janus_bridges(items: int) -> Any:
    """A queue per edge, from janus where a thread is at one of its ends."""
    import janus

    def serve(upstream: janus.SyncQueue[Any], downstream: janus.SyncQueue[Any]) -> None:
        while (item := upstream.get()) is not END:
            downstream.put(plain(item))
        downstream.put(END)

    async def work(upstream: Any, downstream: Any) -> None:
        while (item := await upstream.get()) is not END:
            await downstream.put(await step(item))
        await downstream.put(END)

    async def feed() -> None:
        async for item in paced(items):
            await first.put(item)
        await first.put(END)

    async def results() -> AsyncIterator[Any]:
        while (item := await last.get()) is not END:
            yield item

    first: asyncio.Queue[Any] = asyncio.Queue(EDGE)
    last: asyncio.Queue[Any] = asyncio.Queue(EDGE)
    into, out, back, behind = bridges = [janus.Queue[Any](EDGE) for _ in range(4)]
    threads = [
        threading.Thread(target=serve, args=(into.sync_q, out.sync_q)),
        threading.Thread(target=serve, args=(back.sync_q, behind.sync_q)),
    ]
    for thread in threads:
        thread.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        for ends in ((first, into.async_q), (out.async_q, back.async_q), (behind.async_q, last)):
            group.create_task(work(*ends))
        taken = await ages(results())
    for thread in threads:
        thread.join()
    for bridge in bridges:
        await bridge.aclose()
    return taken


async def ours(items: int) -> Taken:
    """Coroutine stages."""
    from asyncdataflow import DataFlow

    async with DataFlow((paced, *[step] * STAGES)).stream({"count": items}) as run:
        return await ages(run)


async def ours_in_threads(items: int) -> Taken:
    """Coroutine stages and plain ones in turn."""
    from asyncdataflow import DataFlow

    async with DataFlow((paced, *WORK)).stream({"count": items}) as run:
        return await ages(run)


def of_chain(peer: Any, **options: Any) -> Any:
    """A peer's chain of five coroutine stages."""

    async def run(items: int) -> Any:
        return await peer(paced(items), step, ages, **options)

    return run


async def streamable_in_threads(items: int) -> Taken:
    """``map``, with two threads for plain functions: with one, they are called on the loop."""
    from streamable import stream  # type: ignore[import-not-found]

    results = stream(paced(items))
    for work in WORK:
        results = results.map(work, concurrency=2) if work is plain else results.map(work)
    return await ages(results)


_LATENCY: Final = (Floor(LIMIT, 0.5, "p50"), Floor(LIMIT, 0.5, "p99"))

W7_ASYNC = Workload(
    "W7-async",
    f"how old items are behind five coroutine stages, {RATE:,} a second",
    5000,
    (
        Contestant(LIMIT, asyncio_queue, "limit", note="a task per stage, an `asyncio.Queue` per edge"),
        Contestant("awaits", awaits, note="five nested awaits in one `async for`"),
        Contestant(OURS, ours, "ours"),
        Contestant("aiostream", of_chain(chains.aiostream), "peer", "aiostream"),
        Contestant("streamable", of_chain(chains.streamable, edge=EDGE), "peer", "streamable"),
        Contestant("pypeln", of_chain(chains.pypeln), "peer", "pypeln"),
        Contestant("streamz", of_chain(chains.streamz), "peer", "streamz"),
        Contestant("anyio", of_chain(chains.anyio), "peer", "anyio"),
        Contestant("aioreactive", of_chain(chains.aioreactive), "other peer", "aioreactive", note="one task"),
        Contestant("reactivex", of_chain(chains.reactivex), "peer", "reactivex"),
    ),
    all_in_order,
    _LATENCY,
    cannot={
        "mpservice and bytewax": "take no async generator for a source",
        "SPDL": "has a loop of its own: its results are not taken with `async for`",
        "FastStream, Ray, Dask and Beam": "not measured: they take a millisecond or so for an item in W1",
    },
    ranks="p50",
)

W7_THREADS = Workload(
    "W7-threads",
    f"how old items are behind five stages, two of them in threads, {RATE:,} a second",
    5000,
    (
        Contestant(LIMIT, janus_bridges, "limit", note="a bare janus queue to each thread and from it"),
        Contestant(OURS, ours_in_threads, "ours"),
        Contestant("streamable", streamable_in_threads, "peer", "streamable", note="holds items back"),
    ),
    all_in_order,
    _LATENCY,
    cannot={
        "pypeln, mpservice and bytewax": "take no async generator before a stage in threads",
        "aiostream, streamz, anyio and reactivex": "have no stages in threads: W2 has what they await",
        "aioreactive": "knows no threads",
        "SPDL": "has a loop of its own: its results are not taken with `async for`",
        "FastStream, Ray, Dask and Beam": "not measured: they take a millisecond or so for an item in W1",
    },
    ranks="p50",
)

W7 = (W7_ASYNC, W7_THREADS)
