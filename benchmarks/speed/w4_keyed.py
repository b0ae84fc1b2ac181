"""W4, keyed: one stage of eight workers that keeps the order of each key."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
from typing import Any, Final

from .chains import Arriving, everything
from .feed import EDGE, END, in_any_order, numbers, step
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload

LANES: Final = 8
KEYS: Final = 64

LARGE_BATCH: Final = 1024


def key_of(number: int) -> int:
    """An item's key."""
    return number % KEYS


def in_order_by_key(items: int, taken: list[int]) -> None:
    """Every item came out once, each key's in order."""
    in_any_order(items, taken)
    latest: dict[int, int] = {}
    for number in taken:
        if latest.get(key_of(number), -1) > number:
            raise AssertionError(f"{number} came behind {latest[key_of(number)]}, of the same key")
        latest[key_of(number)] = number


async def limit(items: int) -> list[int]:
    """A ``for`` loop that awaits the function of the key's lane."""
    lanes = [step] * LANES
    return [await lanes[key_of(number) % LANES](number) async for number in numbers(items)]


async def asyncio_queue(items: int) -> list[int]:
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


async def ours(items: int) -> list[int]:
    """A stage with ``key`` and ``concurrency``."""
    from asyncdataflow import DataFlow, stage

    flow = DataFlow((numbers, stage(step, key=key_of, concurrency=LANES)))
    async with flow.stream({"count": items}) as run:
        return [each async for each in run]


async def reactivex(items: int) -> Any:
    """``group_by`` lane, and in each group a task for each item, one at a time."""
    from reactivex import defer, from_future, operators  # type: ignore[import-not-found]
    from reactivex.subject import Subject  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    arriving = Arriving()
    source = Subject()
    awaited = operators.map(lambda number: defer(lambda _: from_future(loop.create_task(step(number)))))
    source.pipe(
        operators.group_by(lambda number: key_of(number) % LANES),
        operators.flat_map(lambda lane: lane.pipe(awaited, operators.merge(max_concurrent=1))),
    ).subscribe(on_next=arriving.put_nowait)

    async def emit(number: int) -> None:
        source.on_next(number)

    return await arriving.run(numbers(items), emit, everything)


def bytewax(batch: int, items: int) -> list[int]:
    """``stateful_map`` behind ``key_on``, eight workers."""
    from bytewax import operators as op  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, TestingSource, cluster_main  # type: ignore[import-not-found]

    def stateless(_: None, number: int) -> tuple[None, int]:
        return None, number

    taken: list[int] = []
    flow = Dataflow("keyed")
    source = op.input("numbers", flow, TestingSource(range(items), batch_size=batch))
    by_key = op.key_on("key", source, lambda number: str(key_of(number)))
    results = op.key_rm("results", op.stateful_map("work", by_key, stateless))
    op.output("taken", results, TestingSink(taken))
    cluster_main(flow, [], 0, worker_count_per_proc=LANES)
    return taken


W4_KEYED = Workload(
    "W4-keyed",
    f"a trivial coroutine stage of {LANES} workers, order kept for each of {KEYS} keys",
    100_000,
    (
        Contestant(LIMIT, limit, "limit", note="an await in one `async for`"),
        Contestant("asyncio_queue", asyncio_queue, share=0.5, note="a queue for each worker, by key"),
        Contestant(OURS, ours, "ours"),
        Contestant("reactivex", reactivex, "peer", "reactivex", 0.05, "no bounds"),
        Contestant("bytewax -w8", functools.partial(bytewax, 1), "peer", "bytewax", 0.1, "plain functions"),
        Contestant(
            "bytewax -w8, batches",
            functools.partial(bytewax, LARGE_BATCH),
            "other peer",
            "bytewax",
            note=f"a batch engine: {LARGE_BATCH:,} items at a time",
        ),
    ),
    in_order_by_key,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
    cannot={
        "aiostream, streamable, pypeln, streamz, aioreactive, anyio, SPDL": "know no order by key",
        "mpservice": "only its chains are measured",
        "FastStream": "its in-memory broker has one message at work at a time",
        "Ray and Dask": "can, an actor a lane; their cost for an item is in W1 and W2",
        "Beam": "promises no order",
    },
)
