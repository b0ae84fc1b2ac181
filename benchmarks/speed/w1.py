"""W1 and W1f: five trivial coroutine stages, each with a worker of its own, and fused."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from typing import Any

from .feed import EDGE, END, STAGES, in_order, numbers, step
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload


async def limit(items: int) -> list[int]:
    """Five nested awaits."""
    return [await step(await step(await step(await step(await step(n))))) async for n in numbers(items)]


async def async_generators(items: int) -> list[int]:
    """An async generator per stage, one in the other."""

    async def stage(upstream: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in upstream:
            yield await step(number)

    results = numbers(items)
    for _ in range(STAGES):
        results = stage(results)
    return [each async for each in results]


async def asyncio_queue(items: int) -> list[int]:
    """A task per stage, an ``asyncio.Queue`` per edge."""
    return await queue_chain(numbers(items), [asyncio.Queue(EDGE) for _ in range(STAGES + 1)])


async def queue_chain(source: AsyncIterable[int], queues: list[Any]) -> list[int]:
    """Run the stages between queues with ``get`` and ``put``."""

    async def feed() -> None:
        async for number in source:
            await queues[0].put(number)
        await queues[0].put(END)

    async def work(upstream: Any, downstream: Any) -> None:
        while (number := await upstream.get()) is not END:
            await downstream.put(await step(number))
        await downstream.put(END)

    async def results() -> AsyncIterator[int]:
        while (number := await queues[-1].get()) is not END:
            yield number

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        for upstream, downstream in pairwise(queues):
            group.create_task(work(upstream, downstream))
        return [each async for each in results()]


async def janus_queue(items: int) -> list[int]:
    """The same over janus queues, from the loop's side."""
    import janus

    queues: list[janus.Queue[Any]] = [janus.Queue(EDGE) for _ in range(STAGES + 1)]
    taken = await queue_chain(numbers(items), [each.async_q for each in queues])
    for queue in queues:
        await queue.aclose()
    return taken


async def ours(items: int) -> list[int]:
    """A worker per stage."""
    return await ours_of(items, fuse=False)


async def ours_fused(items: int) -> list[int]:
    """Fused, as is the default."""
    return await ours_of(items, fuse=True)


async def ours_of(items: int, *, fuse: bool) -> list[int]:
    """The flow, with default options beside ``fuse``."""
    from asyncdataflow import DataFlow

    flow = DataFlow((numbers, *[step] * STAGES), fuse=fuse)
    async with flow.stream({"count": items}) as run:
        return [each async for each in run]


async def aiostream(items: int) -> list[int]:
    """``map`` with a task limit."""
    from aiostream import pipe, stream

    async def each_step(number: int, *_: int) -> int:
        return await step(number)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    results: Any = stream.iterate(numbers(items))
    for _ in range(STAGES):
        results = results | mapped(each_step, task_limit=1)
    async with results.stream() as streamer:
        return [each async for each in streamer]


async def streamable(items: int) -> list[int]:
    """``map`` in one chain."""
    from streamable import stream  # type: ignore[import-not-found]

    results = stream(numbers(items))
    for _ in range(STAGES):
        results = results.map(step)
    return [each async for each in results]


async def streamable_buffered(items: int) -> list[int]:
    """A buffer behind each ``map``, which makes it a task."""
    from streamable import stream

    results = stream(numbers(items))
    for _ in range(STAGES):
        results = results.map(step).buffer(EDGE)
    return [each async for each in results]


async def pypeln(items: int) -> list[int]:
    """Task stages."""
    import pypeln as pl  # type: ignore[import-not-found]

    results: Any = numbers(items)
    for _ in range(STAGES):
        results = pl.task.map(step, results, workers=1, maxsize=EDGE)
    async with aclosing(aiter(results)) as iterator:
        return [each async for each in iterator]


async def streamz(items: int) -> list[int]:
    """``map_async`` nodes into which the items are emitted, and a sink."""
    from streamz import Stream  # type: ignore[import-not-found]

    taken: list[int] = []
    ended = asyncio.Event()

    def sink(number: int) -> None:
        taken.append(number)
        if len(taken) == items:
            ended.set()

    source = Stream(asynchronous=True)
    last = source
    for _ in range(STAGES):
        last = last.map_async(step)
    last.sink(sink)
    async for number in numbers(items):
        await source.emit(number)
    await ended.wait()
    return taken


PEERS = (
    Contestant("aiostream", aiostream, "peer", "aiostream", 0.02),
    Contestant("streamable", streamable_buffered, "peer", "streamable", 0.1, "a buffer behind each map"),
    Contestant(
        "streamable unbuffered", streamable, "other peer", "streamable", 1, "one task: no stages side by side"
    ),
    Contestant("pypeln", pypeln, "peer", "pypeln", 0.02),
    Contestant("streamz", streamz, "peer", "streamz", 0.02, "fed with emit; a sink is the consumer"),
)

W1 = Workload(
    "W1",
    "five trivial coroutine stages, a worker each (fuse=False)",
    200_000,
    (
        Contestant(LIMIT, limit, "limit", note="five nested awaits in one `async for`"),
        Contestant("async_generators", async_generators),
        Contestant("asyncio_queue", asyncio_queue, share=0.2),
        Contestant("janus", janus_queue, share=0.05),
        Contestant(OURS, ours, "ours"),
        *PEERS,
    ),
    in_order,
    (Floor(LIMIT, 0.5), Floor("asyncio_queue", 4), Floor(BEST_PEER, 8)),
)

W1F = Workload(
    "W1f",
    "five trivial coroutine stages, fused while nothing suspends",
    200_000,
    (
        Contestant(LIMIT, limit, "limit", note="five nested awaits in one `async for`"),
        Contestant("async_generators", async_generators),
        Contestant(OURS, ours_fused, "ours"),
        Contestant("streamable", streamable, "peer", "streamable", note="one task: no stages side by side"),
    ),
    in_order,
    (Floor(LIMIT, 0.75), Floor("async_generators", 1)),
)
