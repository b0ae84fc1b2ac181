"""W1s: five trivial plain functions that run on the loop."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

from .feed import EDGE, STAGES, in_order, numbers, plain
from .workload import LIMIT, OURS, Contestant, Floor, Workload


async def limit(items: int) -> list[int]:
    """Five nested calls."""
    return [plain(plain(plain(plain(plain(n))))) async for n in numbers(items)]


def generators(items: int) -> list[int]:
    """A plain generator per stage, without a loop."""

    def stage(upstream: Iterator[int]) -> Iterator[int]:
        for number in upstream:
            yield plain(number)

    results: Iterator[int] = iter(range(items))
    for _ in range(STAGES):
        results = stage(results)
    return list(results)


async def ours(items: int) -> list[int]:
    """Stages with ``executor="inline"``."""
    from asyncdataflow import DataFlow, stage

    flow = DataFlow((numbers, *[stage(plain, executor="inline")] * STAGES))
    async with flow.stream({"count": items}) as run:
        return [each async for each in run]


async def aiostream(items: int) -> list[int]:
    """``map`` of plain functions."""
    from aiostream import pipe, stream

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    results: Any = stream.iterate(numbers(items))
    for _ in range(STAGES):
        results = results | mapped(lambda number, *_: plain(number))
    async with results.stream() as streamer:
        return [each async for each in streamer]


async def streamable(items: int) -> list[int]:
    """``map`` in one chain."""
    from streamable import stream  # type: ignore[import-not-found]

    results = stream(numbers(items))
    for _ in range(STAGES):
        results = results.map(plain)
    return [each async for each in results]


async def pypeln(items: int) -> list[int]:
    """Task stages."""
    import pypeln as pl  # type: ignore[import-not-found]

    results: Any = numbers(items)
    for _ in range(STAGES):
        results = pl.task.map(plain, results, workers=1, maxsize=EDGE)
    async with aclosing(aiter(results)) as iterator:
        return [each async for each in iterator]


async def streamz(items: int) -> list[int]:
    """``map`` nodes, called one in the other."""
    from streamz import Stream  # type: ignore[import-not-found]

    taken: list[int] = []
    source = Stream(asynchronous=True)
    last = source
    for _ in range(STAGES):
        last = last.map(plain)
    last.sink(taken.append)
    async for number in numbers(items):
        await source.emit(number)
    return taken


W1S = Workload(
    "W1s",
    'five trivial plain functions, executor="inline"',
    200_000,
    (
        Contestant(LIMIT, limit, "limit", note="five nested calls in one `async for`"),
        Contestant("generators", generators, note="without a loop"),
        Contestant(OURS, ours, "ours"),
        Contestant("aiostream", aiostream, "peer", "aiostream", 0.1),
        Contestant("streamable", streamable, "peer", "streamable"),
        Contestant("pypeln", pypeln, "peer", "pypeln", 0.02),
        Contestant("streamz", streamz, "peer", "streamz", 0.1, "fed with emit; a sink is the consumer"),
    ),
    in_order,
    (Floor(LIMIT, 0.45),),
)
