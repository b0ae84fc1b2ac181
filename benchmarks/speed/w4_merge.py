"""W4, merge: three streams to one stage."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from .chains import Arriving, everything
from .feed import EDGE, END, numbers, plain, step
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload

BRANCHES: Final = 3

LARGE_BATCH: Final = 1024


def all_from_everywhere(items: int, taken: list[int]) -> None:
    """Every source's items came out once."""
    if sorted(taken) != sorted([*range(items // BRANCHES)] * BRANCHES):
        raise AssertionError(f"{len(taken)} of {items} items")


def sources(items: int) -> list[AsyncIterator[int]]:
    """The streams."""
    return [numbers(items // BRANCHES) for _ in range(BRANCHES)]


async def limit(items: int) -> list[int]:
    """One source after the other."""
    taken: list[int] = []
    for _ in range(BRANCHES):
        taken += [await step(number) async for number in numbers(items // BRANCHES)]
    return taken


async def asyncio_queue(items: int) -> list[int]:
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


async def ours(items: int) -> list[int]:
    """A group before a step with one parameter."""
    from asyncdataflow import DataFlow

    flow = DataFlow(((numbers,) * BRANCHES, step))
    async with flow.stream({"count": items // BRANCHES}) as run:
        return [each async for each in run]


async def aiostream(items: int) -> list[int]:
    """``merge`` and ``map``."""
    from aiostream import pipe, stream

    async def each_step(number: int, *_: int) -> int:
        return await step(number)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    merged = stream.merge(*sources(items))
    async with (merged | mapped(each_step)).stream() as streamer:
        return [each async for each in streamer]


async def streamable(items: int) -> list[int]:
    """``flatten`` with concurrency."""
    from streamable import stream  # type: ignore[import-not-found]

    return [each async for each in stream(sources(items)).flatten(concurrency=BRANCHES).map(step)]


async def pypeln(items: int) -> list[int]:
    """``concat`` and ``map``."""
    import pypeln as pl  # type: ignore[import-not-found]

    results = pl.task.map(step, pl.task.concat(sources(items), maxsize=EDGE), maxsize=EDGE)
    async with aclosing(aiter(results)) as iterator:
        return [each async for each in iterator]


async def streamz(items: int) -> list[int]:
    """``union`` of three streams, each emitted into by a task."""
    from streamz import Stream  # type: ignore[import-not-found]

    taken: list[int] = []

    async def keep(number: int) -> None:
        taken.append(await step(number))

    async def feed(source: AsyncIterator[int], into: Any) -> None:
        async for number in source:
            await into.emit(number)

    streams = [Stream(asynchronous=True) for _ in range(BRANCHES)]
    streams[0].union(*streams[1:]).sink(keep)
    async with asyncio.TaskGroup() as group:
        for source, into in zip(sources(items), streams, strict=True):
            group.create_task(feed(source, into))
    return taken


async def anyio(items: int) -> list[int]:
    """A task per source, one memory object stream from all of them."""
    from anyio import create_memory_object_stream, create_task_group

    async def feed(source: AsyncIterator[int], downstream: Any) -> None:
        async with downstream:
            async for number in source:
                await downstream.send(number)

    async with create_task_group() as group:
        into, out = create_memory_object_stream(EDGE)
        for source in sources(items):
            group.start_soon(feed, source, into.clone())
        into.close()
        async with out:
            return [await step(number) async for number in out]


async def aioreactive(items: int) -> list[int]:
    """``merge`` and ``map_async``."""
    import aioreactive as rx  # type: ignore[import-not-found]

    first, *others = [rx.from_async_iterable(each) for each in sources(items)]
    merged = functools.reduce(lambda one, other: rx.merge(other)(one), others, first)
    return await everything(rx.AsyncIteratorObserver(rx.map_async(step)(merged)))


async def reactivex(items: int) -> Any:
    """``merge``, and a task for each item, one at a time."""
    from reactivex import defer, from_future, merge, operators  # type: ignore[import-not-found]
    from reactivex.subject import Subject  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    arriving = Arriving()
    subjects = [Subject() for _ in range(BRANCHES)]
    awaited = operators.map(lambda number: defer(lambda _: from_future(loop.create_task(step(number)))))
    merge(*subjects).pipe(awaited, operators.merge(max_concurrent=1)).subscribe(on_next=arriving.put_nowait)

    async def emit(number: int) -> None:
        for subject in subjects:
            subject.on_next(number)

    return await arriving.run(numbers(items // BRANCHES), emit, everything, BRANCHES)


def bytewax(batch: int, items: int) -> list[int]:
    """``merge`` and ``map``, one worker."""
    from bytewax import operators as op  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, TestingSource, run_main  # type: ignore[import-not-found]

    taken: list[int] = []
    flow = Dataflow("merge")
    streams = [
        op.input(f"numbers_{number}", flow, TestingSource(range(items // BRANCHES), batch_size=batch))
        for number in range(BRANCHES)
    ]
    op.output("taken", op.map("step", op.merge("merge", *streams), plain), TestingSink(taken))
    run_main(flow)
    return taken


def spdl(items: int) -> list[int]:
    """``Merge`` of pipelines and a pipe behind it, in a loop of its own thread."""
    from spdl.pipeline import build_pipeline  # type: ignore[import-not-found]
    from spdl.pipeline.defs import (  # type: ignore[import-not-found]
        Merge,
        Pipe,
        PipelineConfig,
        SinkConfig,
        SourceConfig,
    )

    streams = [PipelineConfig(SourceConfig(each), [], SinkConfig(EDGE)) for each in sources(items)]
    config = PipelineConfig(Merge(streams), [Pipe(step)], SinkConfig(EDGE))
    pipeline = build_pipeline(config, num_threads=1)
    with pipeline.auto_stop():
        return [*pipeline]


W4_MERGE = Workload(
    "W4-merge",
    "three streams to one trivial coroutine stage",
    99_999,
    (
        Contestant(LIMIT, limit, "limit", note="one `async for` after the other"),
        Contestant("asyncio_queue", asyncio_queue, share=0.5),
        Contestant(OURS, ours, "ours"),
        Contestant("aiostream", aiostream, "peer", "aiostream", 0.1),
        Contestant("streamable", streamable, "peer", "streamable", 0.2),
        Contestant("pypeln", pypeln, "peer", "pypeln", 0.02),
        Contestant("streamz", streamz, "peer", "streamz", 0.2, "emit awaits the sink"),
        Contestant("anyio", anyio, "peer", "anyio", 0.2, "its streams, by hand"),
        Contestant("aioreactive", aioreactive, "peer", "aioreactive", 0.5),
        Contestant("reactivex", reactivex, "peer", "reactivex", 0.05, "no bounds"),
        Contestant("SPDL", spdl, "peer", "spdl", 0.05, "its loop is a thread of its own"),
        Contestant("bytewax", functools.partial(bytewax, 1), "peer", "bytewax", 0.5, "plain functions"),
        Contestant(
            "bytewax, batches",
            functools.partial(bytewax, LARGE_BATCH),
            "other peer",
            "bytewax",
            note=f"a batch engine: {LARGE_BATCH:,} items at a time",
        ),
    ),
    all_from_everywhere,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
    cannot={
        "mpservice": "only its chains are measured",
        "FastStream": "its in-memory broker has one message at work at a time: as a chain of one in W1",
        "Ray, Dask and Beam": "can; their cost for an item is in W1 and W2",
    },
)
