"""W3: waits of 1 to 5 ms, many at once, in order and not."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from .chains import Arriving, everything
from .feed import EDGE, END, in_any_order, in_order, numbers
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload


async def wait(number: int) -> int:
    """A stage that waits, each item for a time of its own, the same in every run."""
    await asyncio.sleep(0.001 + number * 7919 % 4001 / 1e6)
    return number


async def limit(concurrency: int, items: int) -> list[int]:
    """Bare tasks over one iterator, in no order."""
    taken: list[int] = []
    source = numbers(items)

    async def work() -> None:
        # Several tasks may share it, because it never waits.
        async for number in source:
            taken.append(await wait(number))

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return taken


async def asyncio_queue(concurrency: int, items: int) -> list[int]:
    """The tasks between two queues."""
    inbox: asyncio.Queue[Any] = asyncio.Queue(EDGE)
    outbox: asyncio.Queue[Any] = asyncio.Queue(EDGE)

    async def feed() -> None:
        async for number in numbers(items):
            await inbox.put(number)
        for _ in range(concurrency):
            await inbox.put(END)

    async def work() -> None:
        while (number := await inbox.get()) is not END:
            await outbox.put(await wait(number))

    async def results() -> AsyncIterator[int]:
        for _ in range(items):
            yield await outbox.get()

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        for _ in range(concurrency):
            group.create_task(work())
        return [each async for each in results()]


async def ours(concurrency: int, ordered: bool, items: int) -> list[int]:
    """A stage with ``concurrency``."""
    from asyncdataflow import DataFlow, stage

    flow = DataFlow((numbers, stage(wait, concurrency=concurrency, ordered=ordered)))
    async with flow.stream({"count": items}) as run:
        return [each async for each in run]


async def aiostream(concurrency: int, ordered: bool, items: int) -> list[int]:
    """``map`` with a task limit."""
    from aiostream import pipe, stream

    async def each_wait(number: int, *_: int) -> int:
        return await wait(number)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    results = stream.iterate(numbers(items)) | mapped(each_wait, task_limit=concurrency, ordered=ordered)
    async with results.stream() as streamer:
        return [each async for each in streamer]


async def streamable(concurrency: int, ordered: bool, items: int) -> list[int]:
    """``map`` with concurrency."""
    from streamable import stream  # type: ignore[import-not-found]

    results = stream(numbers(items)).map(wait, concurrency=concurrency, as_completed=not ordered)
    return [each async for each in results]


async def pypeln(concurrency: int, ordered: bool, items: int) -> list[int]:
    """A task stage with workers; ``ordered`` puts all results in order once they are there."""
    import pypeln as pl  # type: ignore[import-not-found]

    results = pl.task.map(wait, numbers(items), workers=concurrency, maxsize=concurrency)
    if ordered:
        results = pl.task.ordered(results, maxsize=concurrency)
    async with aclosing(aiter(results)) as iterator:
        return [each async for each in iterator]


async def streamz(concurrency: int, items: int) -> Any:
    """A ``map_async`` node, which keeps the order."""
    from streamz import Stream  # type: ignore[import-not-found]

    arriving = Arriving(EDGE)
    source = Stream(asynchronous=True)
    # It runs one more at once than that: as many as its queue holds, and the one that it waits for.
    source.map_async(wait, parallelism=concurrency - 1).sink(arriving.put)
    return await arriving.run(numbers(items), source.emit, everything)


async def anyio(concurrency: int, items: int) -> list[int]:
    """Tasks between two memory object streams."""
    from anyio import create_memory_object_stream, create_task_group

    async def feed(downstream: Any) -> None:
        async with downstream:
            async for number in numbers(items):
                await downstream.send(number)

    async def work(upstream: Any, downstream: Any) -> None:
        async with upstream, downstream:
            async for number in upstream:
                await downstream.send(await wait(number))

    async with create_task_group() as group:
        into, inbox = create_memory_object_stream(EDGE)
        outbox, out = create_memory_object_stream(EDGE)
        group.start_soon(feed, into)
        for _ in range(concurrency):
            group.start_soon(work, inbox.clone(), outbox.clone())
        inbox.close()
        outbox.close()
        async with out:
            return [each async for each in out]


async def reactivex(concurrency: int, items: int) -> Any:
    """Observables of a coroutine for each item, merged with a bound."""
    from reactivex import defer, from_future, operators  # type: ignore[import-not-found]
    from reactivex.subject import Subject  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    arriving = Arriving()
    source = Subject()

    async def emit(number: int) -> None:
        source.on_next(number)

    def begun(number: int) -> Any:
        return defer(lambda _: from_future(loop.create_task(wait(number))))

    source.pipe(operators.map(begun), operators.merge(max_concurrent=concurrency)).subscribe(
        on_next=arriving.put_nowait
    )
    return await arriving.run(numbers(items), emit, everything)


def mpservice(concurrency: int, items: int) -> list[int]:
    """``parmap`` of a coroutine function, which keeps the order."""
    from mpservice.streamer import Stream  # type: ignore[import-not-found]

    return [*Stream(range(items)).parmap(wait, concurrency=concurrency)]


def spdl(concurrency: int, ordered: bool, items: int) -> list[int]:
    """A pipe with concurrency, in a loop of its own thread."""
    from spdl.pipeline import PipelineBuilder  # type: ignore[import-not-found]

    builder = PipelineBuilder().add_source(numbers(items))
    builder.pipe(wait, concurrency=concurrency, output_order="input" if ordered else "completion")
    pipeline = builder.add_sink(EDGE).build(num_threads=1)
    with pipeline.auto_stop():
        return [*pipeline]


ALWAYS: Final = "always in order"

CANNOT: Final = {
    "aioreactive": "awaits one item at a time",
    "bytewax and Beam": "call plain functions",
    "FastStream": "its in-memory broker has one message at work at a time",
    "Ray and Dask": "can; their cost for an item is in W1 and W2",
}


def unordered_peers(concurrency: int) -> tuple[Contestant, ...]:
    """Those that know no order."""
    bound = functools.partial
    return (
        Contestant("anyio", bound(anyio, concurrency), "peer", "anyio", note="its streams, by hand"),
        Contestant("reactivex", bound(reactivex, concurrency), "peer", "reactivex", 0.5, "no bounds"),
    )


def waits(concurrency: int, items: int, floor: float, *, ordered: bool) -> Workload:
    """One cell of the row."""
    bound = functools.partial
    queue = Contestant("asyncio_queue", bound(asyncio_queue, concurrency))
    in_ = "in order" if ordered else "in any order"
    return Workload(
        f"W3-{concurrency}{'-ordered' if ordered else ''}",
        f"waits of 1 to 5 ms, {concurrency} at once, {in_}",
        items,
        (
            Contestant(
                LIMIT,
                bound(limit, concurrency),
                "limit",
                note="bare tasks over one iterator, in any order",
                check=in_any_order,
            ),
            *(() if ordered else (queue,)),
            Contestant(OURS, bound(ours, concurrency, ordered), "ours"),
            Contestant("aiostream", bound(aiostream, concurrency, ordered), "peer", "aiostream", 0.5),
            Contestant("streamable", bound(streamable, concurrency, ordered), "peer", "streamable"),
            Contestant("pypeln", bound(pypeln, concurrency, ordered), "peer", "pypeln", 0.5),
            Contestant("streamz", bound(streamz, concurrency), "peer", "streamz", 0.25, ALWAYS),
            *(() if ordered else unordered_peers(concurrency)),
            Contestant("mpservice", bound(mpservice, concurrency), "peer", "mpservice", 1, ALWAYS),
            Contestant("SPDL", bound(spdl, concurrency, ordered), "peer", "spdl"),
        ),
        in_order if ordered else in_any_order,
        (Floor(LIMIT, floor), Floor(BEST_PEER, 1, "cpu")),
        cannot={**CANNOT, **({"anyio and reactivex": "have no order among what waits"} if ordered else {})},
    )


W3 = tuple(
    waits(concurrency, items, floor, ordered=ordered)
    for concurrency, items, floor in ((100, 20_000, 0.95), (1000, 50_000, 0.8))
    for ordered in (False, True)
)
