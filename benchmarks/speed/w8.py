"""W8: one-shot calls of a flow of five stages."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from .feed import STAGES, in_order, step
from .workload import LIMIT, OURS, Contestant, Floor, Workload


async def begin(number: int) -> int:
    """The first step of a flow: its parameter is the call's."""
    return number


def with_names(number: int) -> dict[str, int]:
    """A stage for async-data-flow, where one dict of arguments flows."""
    return {"number": number}


async def limit(items: int) -> list[int]:
    """Five tasks, each awaited before the next."""
    taken = []
    for number in range(items):
        result = number
        for _ in range(STAGES):
            result = await asyncio.create_task(step(result))
        taken.append(result)
    return taken


async def ours(items: int) -> list[int]:
    """A call of a flow that is built once."""
    from asyncdataflow import DataFlow

    flow = DataFlow((begin, *[step] * (STAGES - 1)))
    return [await flow.run({"number": number}) for number in range(items)]


async def async_data_flow(items: int) -> list[int]:
    """A call of a flow that is built once; plain functions run in threads."""
    # The published package has our import name; only its own environment has it.
    package: Any = importlib.import_module("asyncdataflow")
    flow = package.DataFlow((with_names,) * STAGES)
    return [(await flow(number=number))["number"] for number in range(items)]


async def aiostream(items: int) -> list[int]:
    """A stream of one item, built for each call."""
    from aiostream import pipe, stream

    async def each_step(number: int, *_: int) -> int:
        return await step(number)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    taken: list[int] = []
    for number in range(items):
        results = stream.just(number)
        for _ in range(STAGES):
            results = results | mapped(each_step)
        taken.append(await results)
    return taken


async def streamable(items: int) -> list[int]:
    """A stream of one item, built for each call."""
    from streamable import stream  # type: ignore[import-not-found]

    taken: list[int] = []
    for number in range(items):
        results = stream([number])
        for _ in range(STAGES):
            results = results.map(step)
        taken += [each async for each in results]
    return taken


async def pypeln(items: int) -> list[int]:
    """Task stages over one item, built for each call."""
    import pypeln as pl  # type: ignore[import-not-found]

    taken: list[int] = []
    for number in range(items):
        results: Any = [number]
        for _ in range(STAGES):
            results = pl.task.map(step, results)
        taken += await results
    return taken


W8 = Workload(
    "W8",
    "one-shot `await flow.run(params)` of five stages; an item is a call",
    10_000,
    (
        Contestant(LIMIT, limit, "limit", note="five `create_task`, each awaited"),
        Contestant(OURS, ours, "ours", share=0.2),
        Contestant(
            "async-data-flow",
            async_data_flow,
            "other peer",
            "async-data-flow",
            0.2,
            "plain functions, in threads",
        ),
        Contestant("aiostream", aiostream, "peer", "aiostream", 0.2),
        Contestant("streamable", streamable, "peer", "streamable", 1, "no stages side by side"),
        Contestant("pypeln", pypeln, "peer", "pypeln", 0.05),
    ),
    in_order,
    (Floor(LIMIT, 0.1), Floor("async-data-flow", 1)),
    cannot={
        "streamz": "a stream has no end and no result",
        "anyio": "has no stages: tasks and queues by hand",
        "reactivex and aioreactive": "not measured: a subscription, not a call",
        "mpservice, SPDL, bytewax, FastStream, Ray, Dask, Beam": "not measured: a call starts an engine",
    },
)
