"""One plain stage in four threads, in each peer."""

# What a peer needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from .chains import Arriving
from .feed import EDGE, numbers, take, take_plainly
from .workload import Contestant, Taken

THREADS: Final = 4

LARGE_BATCH: Final = 1024

Work = Callable[[int], int]


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

    async def in_thread(number: int) -> int:
        return await asyncio.to_thread(work, number)

    arriving = Arriving(EDGE)
    source = Stream(asynchronous=True)
    # It runs one more at once than that: as many as its queue holds, and the one that it waits for.
    source.map_async(in_thread, parallelism=THREADS - 1).sink(arriving.put)
    taken: Taken = await arriving.run(numbers(items), source.emit, take)
    return taken


async def anyio(work: Work, items: int) -> Taken:
    """Tasks between memory object streams, each of which awaits ``anyio.to_thread``."""
    from anyio import create_memory_object_stream, create_task_group, to_thread

    async def feed(downstream: Any) -> None:
        async with downstream:
            async for number in numbers(items):
                await downstream.send(number)

    async def serve(upstream: Any, downstream: Any) -> None:
        async with upstream, downstream:
            async for number in upstream:
                await downstream.send(await to_thread.run_sync(work, number))

    async with create_task_group() as group:
        into, inbox = create_memory_object_stream(EDGE)
        outbox, out = create_memory_object_stream(EDGE)
        group.start_soon(feed, into)
        for _ in range(THREADS):
            group.start_soon(serve, inbox.clone(), outbox.clone())
        inbox.close()
        outbox.close()
        async with out:
            return await take(out)


async def reactivex(work: Work, items: int) -> Taken:
    """Observables of a thread pool's future for each item, as many at once as there are threads."""
    from reactivex import from_future, operators  # type: ignore[import-not-found]
    from reactivex.subject import Subject  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    arriving = Arriving()
    source = Subject()

    async def emit(number: int) -> None:
        source.on_next(number)

    with ThreadPoolExecutor(THREADS) as pool:
        source.pipe(
            operators.map(lambda number: from_future(loop.run_in_executor(pool, work, number))),
            operators.merge(max_concurrent=THREADS),
        ).subscribe(on_next=arriving.put_nowait)
        taken: Taken = await arriving.run(numbers(items), emit, take)
        return taken


def mpservice(work: Work, items: int) -> Taken:
    """``parmap`` in threads."""
    from mpservice.streamer import Stream  # type: ignore[import-not-found]

    return take_plainly(Stream(range(items)).parmap(work, executor="thread", concurrency=THREADS))


def spdl(work: Work, items: int) -> Taken:
    """A pipe in threads; the results are taken by another."""
    from spdl.pipeline import PipelineBuilder  # type: ignore[import-not-found]

    builder = PipelineBuilder().add_source(numbers(items)).pipe(work, concurrency=THREADS)
    pipeline = builder.add_sink(EDGE).build(num_threads=THREADS)
    with pipeline.auto_stop():
        return take_plainly(pipeline)


def bytewax(batch: int, work: Work, items: int) -> Taken:
    """``map`` behind ``redistribute``, as many workers as threads."""
    from bytewax import operators as op  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, TestingSource, cluster_main  # type: ignore[import-not-found]

    taken: list[int] = []
    flow = Dataflow("threads")
    source = op.input("numbers", flow, TestingSource(range(items), batch_size=batch))
    op.output("taken", op.map("work", op.redistribute("share", source), work), TestingSink(taken))
    cluster_main(flow, [], 0, worker_count_per_proc=THREADS)
    return Taken(taken)


def ray(work: Work, items: int) -> Taken:
    """An actor that has four threads."""
    import ray as package  # type: ignore[import-not-found]

    class Stage:
        def work(self, number: int) -> int:
            return work(number)

    if not package.is_initialized():
        package.init(num_cpus=2, include_dashboard=False, logging_level="error")
    actor = package.remote(Stage).options(num_cpus=0, max_concurrency=THREADS).remote()
    return Taken(package.get([actor.work.remote(number) for number in range(items)]))


async def dask(work: Work, items: int) -> Taken:
    """A task for each item, in a worker with four threads in this process."""
    from dask.distributed import Client  # type: ignore[import-not-found]

    async with Client(
        processes=False, asynchronous=True, n_workers=1, threads_per_worker=THREADS, dashboard_address=None
    ) as client:
        return Taken(await client.gather(client.map(work, range(items), pure=False)))


BY_AWAITING: Final = "a coroutine stage that awaits `to_thread`"

PLAINLY: Final = "read from a plain iterable, without a loop"

CANNOT: Final = {
    "aioreactive": "knows no threads",
    "FastStream": "its in-memory broker has one message at work at a time",
    "Beam": "hands bundles to workers, not items to threads",
}


def peers(work: Work, shares: Mapping[str, float]) -> tuple[Contestant, ...]:
    """Those that have a share, by name, of the items."""
    bound = functools.partial
    everybody = (
        Contestant("aiostream", bound(aiostream, work), "peer", "aiostream", note=BY_AWAITING),
        Contestant("streamable", bound(streamable, work), "peer", "streamable"),
        Contestant("pypeln", bound(pypeln, work), "peer", "pypeln", note=PLAINLY),
        Contestant("streamz", bound(streamz, work), "peer", "streamz", note=BY_AWAITING),
        Contestant("anyio", bound(anyio, work), "peer", "anyio", note=BY_AWAITING),
        Contestant("reactivex", bound(reactivex, work), "peer", "reactivex", note="no bounds"),
        Contestant("mpservice", bound(mpservice, work), "peer", "mpservice", note=PLAINLY),
        Contestant("SPDL", bound(spdl, work), "peer", "spdl", note="its loop is a thread of its own"),
        Contestant("Ray", bound(ray, work), "peer", "ray", note="one actor, in a process"),
        Contestant("Dask", bound(dask, work), "peer", "dask", note="a task for each item"),
        Contestant(
            "bytewax -w4", bound(bytewax, 1, work), "other peer", "bytewax", note="one item at a time"
        ),
        Contestant(
            "bytewax -w4, batches",
            bound(bytewax, LARGE_BATCH, work),
            "other peer",
            "bytewax",
            note=f"a batch engine: {LARGE_BATCH:,} items at a time",
        ),
    )
    return tuple(replace(each, share=shares[each.name]) for each in everybody if each.name in shares)
