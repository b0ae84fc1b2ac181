"""W1 and W1f: five trivial coroutine stages, each with a worker of its own, and fused."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from . import chains
from .by_hand import queue_chain
from .chains import everything, over_numbers
from .engines import ENGINES
from .feed import EDGE, STAGES, in_order, numbers, step
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


async def asyncio_queue(items: int) -> Any:
    """A task per stage, an ``asyncio.Queue`` per edge."""
    return await queue_chain(numbers(items), [asyncio.Queue(EDGE) for _ in range(STAGES + 1)], everything)


async def janus_queue(items: int) -> Any:
    """The same over janus queues, from the loop's side."""
    import janus

    queues: list[janus.Queue[Any]] = [janus.Queue(EDGE) for _ in range(STAGES + 1)]
    taken = await queue_chain(numbers(items), [each.async_q for each in queues], everything)
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


PEERS = (
    Contestant("aiostream", over_numbers(chains.aiostream, step), "peer", "aiostream", 0.02),
    Contestant(
        "streamable",
        over_numbers(chains.streamable, step, edge=EDGE),
        "peer",
        "streamable",
        0.1,
        "a buffer behind each map",
    ),
    Contestant("pypeln", over_numbers(chains.pypeln, step), "peer", "pypeln", 0.02),
    Contestant("streamz", over_numbers(chains.streamz, step), "peer", "streamz", 0.02, "fed with emit"),
    Contestant("anyio", over_numbers(chains.anyio, step), "peer", "anyio", 0.1, "its streams, by hand"),
    Contestant("reactivex", over_numbers(chains.reactivex, step), "peer", "reactivex", 0.02, "no bounds"),
    *ENGINES,
)

ONE_TASK = "one task: no stages side by side"

UNBUFFERED = over_numbers(chains.streamable, step)
AIOREACTIVE = over_numbers(chains.aioreactive, step)

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
        Contestant("streamable unbuffered", UNBUFFERED, "other peer", "streamable", note=ONE_TASK),
        Contestant("aioreactive", AIOREACTIVE, "other peer", "aioreactive", note=ONE_TASK),
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
        Contestant("streamable", UNBUFFERED, "peer", "streamable", note=ONE_TASK),
        Contestant("aioreactive", AIOREACTIVE, "peer", "aioreactive", note=ONE_TASK),
    ),
    in_order,
    (Floor(LIMIT, 0.75), Floor("async_generators", 1)),
    cannot={"aiostream, pypeln, streamz, anyio, reactivex and the engines": "never fuse: as in W1"},
)
