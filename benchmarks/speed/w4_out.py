"""W4, out of one: a stream to three sinks, every item to each (broadcast) or to its own (route)."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .fan_peers import BRANCHES, CANNOT, Lists, Sink, branch_of, peers, sinks
from .feed import EDGE, END, numbers
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload


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


BROADCAST = Workload(
    "W4-broadcast",
    "one stream to three trivial sinks, every item to each",
    100_000,
    (
        Contestant(LIMIT, broadcast_limit, "limit", note="three awaits in one `async for`"),
        Contestant("asyncio_queue", broadcast_queues, share=0.5),
        Contestant(OURS, ours_broadcast, "ours"),
        *peers(routed=False),
    ),
    all_everywhere,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
    cannot=CANNOT,
)

ROUTE = Workload(
    "W4-route",
    "one stream to three trivial sinks, each item to its own",
    100_000,
    (
        Contestant(LIMIT, route_limit, "limit", note="an await in one `async for`"),
        Contestant("asyncio_queue", route_queues, share=0.5),
        Contestant(OURS, ours_route, "ours"),
        *peers(routed=True),
    ),
    each_where_it_belongs,
    (Floor(BEST_PEER, 5), Floor(LIMIT, 0.5)),
    cannot=CANNOT,
)

W4_OUT = (BROADCAST, ROUTE)
