"""One stream to three sinks, every item to each or each to its own, in each peer that can."""

# What a peer needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

from .feed import EDGE, numbers, step
from .workload import Contestant

BRANCHES: Final = 3

LARGE_BATCH: Final = 1024

Sink = Callable[[int], Awaitable[None]]
Lists = list[list[int]]


def sinks() -> tuple[Lists, list[Sink]]:
    """As many sinks as branches, and what each has taken."""

    def sink(taken: list[int]) -> Sink:
        async def keep(number: int) -> None:
            taken.append(number)

        return keep

    lists: Lists = [[] for _ in range(BRANCHES)]
    return lists, [sink(each) for each in lists]


def branch_of(number: int) -> int:
    """Where an item is routed to."""
    return number % BRANCHES


def mine(branch: int, number: int) -> bool:
    """Whether an item is routed to a branch."""
    return branch_of(number) == branch


async def pypeln(routed: bool, items: int) -> Lists:
    """One stage that several others read, and ``concat`` of those, which holds them together."""
    import pypeln as pl  # type: ignore[import-not-found]

    lists, into = sinks()
    source = pl.task.map(step, numbers(items), maxsize=EDGE)

    def branch(number: int, sink: Sink) -> Any:
        own = pl.task.filter(functools.partial(mine, number), source, maxsize=EDGE) if routed else source
        return pl.task.map(sink, own, maxsize=EDGE)

    ends = [branch(number, sink) for number, sink in enumerate(into)]
    async with aclosing(aiter(pl.task.concat(ends, maxsize=EDGE))) as iterator:
        async for _ in iterator:
            pass
    return lists


async def streamz(routed: bool, items: int) -> Lists:
    """Three sinks of one stream, which emitting awaits."""
    from streamz import Stream  # type: ignore[import-not-found]

    lists, into = sinks()
    source = Stream(asynchronous=True)
    for number, sink in enumerate(into):
        (source.filter(functools.partial(mine, number)) if routed else source).sink(sink)
    async for number in numbers(items):
        await source.emit(number)
    return lists


async def anyio(routed: bool, items: int) -> Lists:
    """A task per sink, a memory object stream to each."""
    from anyio import create_memory_object_stream, create_task_group

    lists, into = sinks()

    async def drained(upstream: Any, sink: Sink) -> None:
        async with upstream:
            async for number in upstream:
                await sink(number)

    async with create_task_group() as group:
        branches = []
        for sink in into:
            downstream, upstream = create_memory_object_stream(EDGE)
            group.start_soon(drained, upstream, sink)
            branches.append(downstream)
        async for number in numbers(items):
            for branch in (branches[branch_of(number)],) if routed else branches:
                await branch.send(number)
        for branch in branches:
            branch.close()
    return lists


async def aioreactive(routed: bool, items: int) -> Lists:
    """Three observers of one subject, which sending awaits."""
    import aioreactive as rx  # type: ignore[import-not-found]

    lists, into = sinks()
    source = rx.AsyncSubject()
    for number, sink in enumerate(into):
        own = rx.filter(functools.partial(mine, number))(source) if routed else source
        await own.subscribe_async(rx.AsyncAnonymousObserver(sink))
    async for number in numbers(items):
        await source.asend(number)
    return lists


async def reactivex(routed: bool, items: int) -> Lists:
    """Three subscriptions to one subject, each with a task for each item, one at a time."""
    from reactivex import defer, from_future, operators  # type: ignore[import-not-found]
    from reactivex.subject import Subject  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    lists, into = sinks()
    source = Subject()

    def awaited(sink: Sink) -> Callable[[int], Any]:
        async def call(number: int) -> None:
            await sink(number)

        return lambda number: defer(lambda _: from_future(loop.create_task(call(number))))

    ended = [asyncio.Event() for _ in into]
    for number, (sink, end) in enumerate(zip(into, ended, strict=True)):
        own = source.pipe(operators.filter(functools.partial(mine, number))) if routed else source
        own.pipe(operators.map(awaited(sink)), operators.merge(max_concurrent=1)).subscribe(
            on_completed=end.set
        )
    async for number in numbers(items):
        source.on_next(number)
    source.on_completed()
    for end in ended:
        await end.wait()
    return lists


def bytewax(batch: int, routed: bool, items: int) -> Lists:
    """Three outputs of one stream, one worker."""
    from bytewax import operators as op  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, TestingSource, run_main  # type: ignore[import-not-found]

    lists: Lists = [[] for _ in range(BRANCHES)]
    flow = Dataflow("fan")
    source = op.input("numbers", flow, TestingSource(range(items), batch_size=batch))
    for number, taken in enumerate(lists):
        own = op.filter(f"mine_{number}", source, functools.partial(mine, number)) if routed else source
        op.output(f"sink_{number}", own, TestingSink(taken))
    run_main(flow)
    return lists


async def faststream(routed: bool, items: int) -> Lists:
    """Three subscribers, to one subject or to their own, in the in-memory broker."""
    from faststream.nats import NatsBroker, TestNatsBroker  # type: ignore[import-not-found]

    def typed(sink: Sink) -> Sink:
        async def keep(number: int) -> None:
            await sink(number)

        return keep

    lists, into = sinks()
    broker = NatsBroker(logger=None)
    for number, sink in enumerate(into):
        broker.subscriber(f"branch.{number}" if routed else "all")(typed(sink))
    async with TestNatsBroker(broker) as connected:
        async for number in numbers(items):
            await connected.publish(number, f"branch.{branch_of(number)}" if routed else "all")
    return lists


def peers(*, routed: bool) -> Iterator[Contestant]:
    """Those that can."""
    bound = functools.partial
    filters = "every item to three filters" if routed else ""
    alone = "one task: sending awaits the sinks"
    yield Contestant("pypeln", bound(pypeln, routed), "peer", "pypeln", 0.02, filters)
    yield Contestant("streamz", bound(streamz, routed), "peer", "streamz", 0.2, filters or alone)
    yield Contestant("anyio", bound(anyio, routed), "peer", "anyio", 0.2, "its streams, by hand")
    yield Contestant("aioreactive", bound(aioreactive, routed), "other peer", "aioreactive", 1, alone)
    yield Contestant("reactivex", bound(reactivex, routed), "peer", "reactivex", 0.05, filters or "no bounds")
    yield Contestant("FastStream", bound(faststream, routed), "peer", "faststream", 0.01, "in-memory broker")
    yield Contestant("bytewax", bound(bytewax, 1, routed), "peer", "bytewax", 0.5, PLAIN)
    batches = f"a batch engine: {LARGE_BATCH:,} items at a time"
    yield Contestant(
        "bytewax, batches", bound(bytewax, LARGE_BATCH, routed), "other peer", "bytewax", note=batches
    )


PLAIN: Final = "one worker; plain functions"

CANNOT: Final = {
    "aiostream and streamable": "a stream has one consumer",
    "mpservice": "only its chains are measured",
    "SPDL": "a pipeline has one sink",
    "Ray, Dask and Beam": "can; their cost for an item is in W1 and W2",
}
