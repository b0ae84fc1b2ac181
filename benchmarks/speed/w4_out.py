"""W4, out of one: a stream to three sinks, every item to each (broadcast) or to its own (route)."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from .feed import EDGE, END, numbers, step
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload

BRANCHES: Final = 3

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


def branch_named(number: int) -> str:
    """The same by name."""
    return "abc"[number % BRANCHES]


def all_everywhere(items: int, taken: Lists) -> None:
    """Every branch has every item, in order."""
    if taken != [list(range(items))] * BRANCHES:
        raise AssertionError(f"{[len(each) for each in taken]} of {items} items each, or out of order")


def each_where_it_belongs(items: int, taken: Lists) -> None:
    """Every branch has its own items, in order."""
    if taken != [list(range(branch, items, BRANCHES)) for branch in range(BRANCHES)]:
        raise AssertionError(f"{[len(each) for each in taken]} of {items} items, or out of order")


async def broadcast_limit(items: int) -> Lists:
    """A ``for`` loop that awaits each sink."""
    lists, (first, second, third) = sinks()
    async for number in numbers(items):
        await first(number)
        await second(number)
        await third(number)
    return lists


async def route_limit(items: int) -> Lists:
    """A ``for`` loop that awaits the item's sink."""
    lists, into = sinks()
    async for number in numbers(items):
        await into[branch_of(number)](number)
    return lists


async def drained(queue: asyncio.Queue[Any], into: Sink) -> None:
    """The life of a sink behind a queue."""
    while (number := await queue.get()) is not END:
        await into(number)


async def fan_of_queues(items: int, choose: Callable[[int], list[int]]) -> Lists:
    """A queue and a task per sink."""
    lists, into = sinks()
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(EDGE) for _ in into]
    async with asyncio.TaskGroup() as group:
        for queue, sink in zip(queues, into, strict=True):
            group.create_task(drained(queue, sink))
        async for number in numbers(items):
            for branch in choose(number):
                await queues[branch].put(number)
        for queue in queues:
            await queue.put(END)
    return lists


async def broadcast_queues(items: int) -> Lists:
    """Every item into every queue."""
    everywhere = [*range(BRANCHES)]
    return await fan_of_queues(items, lambda _: everywhere)


async def route_queues(items: int) -> Lists:
    """Every item into its queue."""
    return await fan_of_queues(items, lambda number: [branch_of(number)])


async def ours_broadcast(items: int) -> Lists:
    """A step, and a group behind it."""
    from asyncdataflow import DataFlow

    lists, into = sinks()
    async with DataFlow((numbers, tuple(into))).stream({"count": items}) as run:
        await run.wait()
    return lists


async def ours_route(items: int) -> Lists:
    """``route`` before a group."""
    from asyncdataflow import DataFlow, route

    lists, into = sinks()
    flow = DataFlow((numbers, route(branch_named), dict(zip("abc", into, strict=True))))
    async with flow.stream({"count": items}) as run:
        await run.wait()
    return lists


async def pypeln_fan(items: int, branch: Callable[[Any, int, Sink], Any]) -> Lists:
    """One stage that several others read, and ``concat`` of those, which holds them together."""
    import pypeln as pl  # type: ignore[import-not-found]

    lists, into = sinks()
    source = pl.task.map(step, numbers(items), maxsize=EDGE)
    ends = [branch(source, number, sink) for number, sink in enumerate(into)]
    async with aclosing(aiter(pl.task.concat(ends, maxsize=EDGE))) as iterator:
        async for _ in iterator:
            pass
    return lists


async def pypeln_broadcast(items: int) -> Lists:
    """Three readers of one stage."""
    import pypeln as pl

    return await pypeln_fan(items, lambda source, _, sink: pl.task.map(sink, source, maxsize=EDGE))


async def pypeln_route(items: int) -> Lists:
    """Three readers of one stage, each behind a filter."""
    import pypeln as pl

    def branch(source: Any, wanted: int, sink: Sink) -> Any:
        mine = pl.task.filter(lambda number: branch_of(number) == wanted, source, maxsize=EDGE)
        return pl.task.map(sink, mine, maxsize=EDGE)

    return await pypeln_fan(items, branch)


async def streamz_broadcast(items: int) -> Lists:
    """Three sinks of one stream."""
    from streamz import Stream  # type: ignore[import-not-found]

    lists, into = sinks()
    source = Stream(asynchronous=True)
    for sink in into:
        source.sink(sink)
    async for number in numbers(items):
        await source.emit(number)
    return lists


async def streamz_route(items: int) -> Lists:
    """Three sinks of one stream, each behind a filter."""
    from streamz import Stream

    lists, into = sinks()
    source = Stream(asynchronous=True)
    for branch, sink in enumerate(into):
        source.filter(lambda number, wanted=branch: branch_of(number) == wanted).sink(sink)
    async for number in numbers(items):
        await source.emit(number)
    return lists


UNABLE = {
    "aiostream": "a stream has one consumer",
    "streamable": "a stream has one consumer",
}

BROADCAST = Workload(
    "W4-broadcast",
    "one stream to three trivial sinks, every item to each",
    100_000,
    (
        Contestant(LIMIT, broadcast_limit, "limit", note="three awaits in one `async for`"),
        Contestant("asyncio_queue", broadcast_queues, share=0.5),
        Contestant(OURS, ours_broadcast, "ours"),
        Contestant("pypeln", pypeln_broadcast, "peer", "pypeln", 0.02),
        Contestant("streamz", streamz_broadcast, "peer", "streamz", 0.2, "no workers: emit awaits the sinks"),
    ),
    all_everywhere,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
    cannot=UNABLE,
)

ROUTE = Workload(
    "W4-route",
    "one stream to three trivial sinks, each item to its own",
    100_000,
    (
        Contestant(LIMIT, route_limit, "limit", note="an await in one `async for`"),
        Contestant("asyncio_queue", route_queues, share=0.5),
        Contestant(OURS, ours_route, "ours"),
        Contestant("pypeln", pypeln_route, "peer", "pypeln", 0.02, "every item to three filters"),
        Contestant("streamz", streamz_route, "peer", "streamz", 0.2, "every item to three filters"),
    ),
    each_where_it_belongs,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
    cannot=UNABLE,
)

W4_OUT = (BROADCAST, ROUTE)
