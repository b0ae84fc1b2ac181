"""W4, in: three streams to one (merge), and one stage of eight workers that keeps the order of each key."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from .feed import EDGE, END, in_any_order, numbers, step
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload

BRANCHES: Final = 3
LANES: Final = 8
KEYS: Final = 64


def key_of(number: int) -> int:
    """An item's key."""
    return number % KEYS


def all_from_everywhere(items: int, taken: list[int]) -> None:
    """Every source's items came out once."""
    if sorted(taken) != sorted([*range(items // BRANCHES)] * BRANCHES):
        raise AssertionError(f"{len(taken)} of {items} items")


def in_order_by_key(items: int, taken: list[int]) -> None:
    """Every item came out once, each key's in order."""
    in_any_order(items, taken)
    latest: dict[int, int] = {}
    for number in taken:
        if latest.get(key_of(number), -1) > number:
            raise AssertionError(f"{number} came behind {latest[key_of(number)]}, of the same key")
        latest[key_of(number)] = number


async def merge_limit(items: int) -> list[int]:
    """One source after the other."""
    taken: list[int] = []
    for _ in range(BRANCHES):
        taken += [await step(number) async for number in numbers(items // BRANCHES)]
    return taken


async def keyed_limit(items: int) -> list[int]:
    """A ``for`` loop that awaits the function of the key's lane."""
    lanes = [step] * LANES
    return [await lanes[key_of(number) % LANES](number) async for number in numbers(items)]


async def merge_queue(items: int) -> list[int]:
    """A task per source, into one queue."""
    queue: asyncio.Queue[Any] = asyncio.Queue(EDGE)

    async def feed() -> None:
        async for number in numbers(items // BRANCHES):
            await queue.put(number)
        await queue.put(END)

    async def results() -> AsyncIterator[int]:
        ended = 0
        while ended < BRANCHES:
            number = await queue.get()
            if number is END:
                ended += 1
            else:
                yield await step(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(BRANCHES):
            group.create_task(feed())
        return [each async for each in results()]


async def keyed_queues(items: int) -> list[int]:
    """A queue and a task per lane, and one queue behind them."""
    lanes: list[asyncio.Queue[Any]] = [asyncio.Queue(EDGE) for _ in range(LANES)]
    out: asyncio.Queue[int] = asyncio.Queue(EDGE)

    async def feed() -> None:
        async for number in numbers(items):
            await lanes[key_of(number) % LANES].put(number)
        for lane in lanes:
            await lane.put(END)

    async def work(lane: asyncio.Queue[Any]) -> None:
        while (number := await lane.get()) is not END:
            await out.put(await step(number))

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        for lane in lanes:
            group.create_task(work(lane))
        return [await out.get() for _ in range(items)]


async def ours_merge(items: int) -> list[int]:
    """A group before a step with one parameter."""
    from asyncdataflow import DataFlow

    flow = DataFlow(((numbers,) * BRANCHES, step))
    async with flow.stream({"count": items // BRANCHES}) as run:
        return [each async for each in run]


async def ours_keyed(items: int) -> list[int]:
    """A stage with ``key`` and ``concurrency``."""
    from asyncdataflow import DataFlow, stage

    flow = DataFlow((numbers, stage(step, key=key_of, concurrency=LANES)))
    async with flow.stream({"count": items}) as run:
        return [each async for each in run]


async def aiostream_merge(items: int) -> list[int]:
    """``merge`` and ``map``."""
    from aiostream import pipe, stream

    async def each_step(number: int, *_: int) -> int:
        return await step(number)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    merged = stream.merge(*[numbers(items // BRANCHES) for _ in range(BRANCHES)])
    async with (merged | mapped(each_step)).stream() as streamer:
        return [each async for each in streamer]


async def streamable_merge(items: int) -> list[int]:
    """``flatten`` with concurrency."""
    from streamable import stream  # type: ignore[import-not-found]

    sources = [numbers(items // BRANCHES) for _ in range(BRANCHES)]
    return [each async for each in stream(sources).flatten(concurrency=BRANCHES).map(step)]


async def pypeln_merge(items: int) -> list[int]:
    """``concat`` and ``map``."""
    import pypeln as pl  # type: ignore[import-not-found]

    sources = [numbers(items // BRANCHES) for _ in range(BRANCHES)]
    results = pl.task.map(step, pl.task.concat(sources, maxsize=EDGE), maxsize=EDGE)
    async with aclosing(aiter(results)) as iterator:
        return [each async for each in iterator]


async def streamz_merge(items: int) -> list[int]:
    """``union`` of three streams, each emitted into by a task."""
    from streamz import Stream  # type: ignore[import-not-found]

    taken: list[int] = []

    async def keep(number: int) -> None:
        taken.append(await step(number))

    async def feed(source: Any) -> None:
        async for number in numbers(items // BRANCHES):
            await source.emit(number)

    sources = [Stream(asynchronous=True) for _ in range(BRANCHES)]
    sources[0].union(*sources[1:]).sink(keep)
    async with asyncio.TaskGroup() as group:
        for source in sources:
            group.create_task(feed(source))
    return taken


MERGE = Workload(
    "W4-merge",
    "three streams to one trivial coroutine stage",
    99_999,
    (
        Contestant(LIMIT, merge_limit, "limit", note="one `async for` after the other"),
        Contestant("asyncio_queue", merge_queue, share=0.5),
        Contestant(OURS, ours_merge, "ours"),
        Contestant("aiostream", aiostream_merge, "peer", "aiostream", 0.1),
        Contestant("streamable", streamable_merge, "peer", "streamable", 0.2),
        Contestant("pypeln", pypeln_merge, "peer", "pypeln", 0.02),
        Contestant("streamz", streamz_merge, "peer", "streamz", 0.2, "no workers: emit awaits the sink"),
    ),
    all_from_everywhere,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
)

KEYED = Workload(
    "W4-keyed",
    f"a trivial coroutine stage of {LANES} workers, order kept for each of {KEYS} keys",
    100_000,
    (
        Contestant(LIMIT, keyed_limit, "limit", note="an await in one `async for`"),
        Contestant("asyncio_queue", keyed_queues, share=0.5, note="a queue for each worker, by key"),
        Contestant(OURS, ours_keyed, "ours"),
    ),
    in_order_by_key,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
    cannot=dict.fromkeys(("aiostream", "streamable", "pypeln", "streamz"), "knows no order by key"),
)

W4_IN = (MERGE, KEYED)
