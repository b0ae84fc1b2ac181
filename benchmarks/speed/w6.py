"""W6: what memory a fast source takes before a slow sink."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Final

from . import chains
from .by_hand import queue_chain
from .feed import EDGE, plain, step
from .workload import OURS, Contestant, Floor, Taken, Workload

SIZE: Final = 1024
"""Bytes of an item."""

BOUND: Final = 258
"""What ``bound()`` says of the flow; a test compares."""

TOGETHER: Final = 100
"""Items that the sink takes before it rests."""

REST: Final = 0.002
"""Seconds that it rests: long enough for a source to fill every edge, short enough for a million items."""


def payload(number: int) -> bytes:
    """An item that shares no memory with another."""
    return number.to_bytes(SIZE, "big")


async def payloads(count: int) -> AsyncIterator[bytes]:
    """The fast source."""
    for number in range(count):
        yield payload(number)


def payloads_plainly(count: int) -> Iterator[bytes]:
    """The same without a loop."""
    return map(payload, range(count))


async def slowly(results: AsyncIterable[bytes]) -> Taken:
    """The slow sink: it counts, up to the first item that is out of its turn."""
    taken = 0
    async for item in results:
        taken += int.from_bytes(item, "big") == taken
        if taken % TOGETHER == 0:
            await asyncio.sleep(REST)
    return Taken(taken)


def slowly_plainly(results: Iterable[bytes]) -> Taken:
    """The same without a loop."""
    taken = 0
    for item in results:
        taken += int.from_bytes(item, "big") == taken
        if taken % TOGETHER == 0:
            time.sleep(REST)
    return Taken(taken)


def all_taken(items: int, taken: int) -> None:
    """Every item came out once, in order."""
    if taken != items:
        raise AssertionError(f"{taken} of {items} items in order")


async def asyncio_queue(items: int) -> Any:
    """A task and a queue of 128 for the source, and for the stage."""
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(EDGE) for _ in range(2)]
    return await queue_chain(payloads(items), queues, slowly)


async def ours(items: int) -> Taken:
    """A coroutine stage."""
    from asyncdataflow import DataFlow

    async with DataFlow((payloads, step)).stream({"count": items}) as run:
        return await slowly(run)


def of_chain(peer: Any, **options: Any) -> Any:
    """A peer's chain of one stage."""

    async def run(items: int) -> Any:
        return await peer(payloads(items), step, slowly, stages=1, **options)

    return run


def mpservice(items: int) -> Taken:
    """``map`` and a buffer."""
    from mpservice.streamer import Stream  # type: ignore[import-not-found]

    return slowly_plainly(Stream(payloads_plainly(items)).map(plain).buffer(EDGE))


def spdl(items: int) -> Taken:
    """A pipe, in a loop of its own thread."""
    from spdl.pipeline import PipelineBuilder  # type: ignore[import-not-found]

    builder = PipelineBuilder().add_source(payloads(items)).pipe(step)
    pipeline = builder.add_sink(EDGE).build(num_threads=1)
    with pipeline.auto_stop():
        return slowly_plainly(pipeline)


_FEWER: Final = "fewer items: no bound, so that it grows with them"

W6 = Workload(
    "W6",
    f"a fast source of items of {SIZE} bytes, a trivial stage, a sink that rests "
    f"{REST * 1e3:g} ms after {TOGETHER} items: memory above an empty run",
    1_000_000,
    (
        Contestant("asyncio_queue", asyncio_queue, note=f"two of {EDGE}"),
        Contestant(OURS, ours, "ours"),
        Contestant("aiostream", of_chain(chains.aiostream), "peer", "aiostream", 0.2),
        Contestant("streamable", of_chain(chains.streamable, edge=EDGE), "peer", "streamable", 0.2),
        Contestant("pypeln", of_chain(chains.pypeln), "peer", "pypeln", 0.2, f"maxsize={EDGE}"),
        Contestant("streamz", of_chain(chains.streamz), "peer", "streamz", 0.2),
        Contestant("anyio", of_chain(chains.anyio), "peer", "anyio", 0.2),
        Contestant("aioreactive", of_chain(chains.aioreactive), "peer", "aioreactive", 0.2),
        Contestant("reactivex", of_chain(chains.reactivex), "peer", "reactivex", 0.1, _FEWER),
        Contestant("mpservice", mpservice, "peer", "mpservice", 0.2, f"a buffer of {EDGE}"),
        Contestant("SPDL", spdl, "peer", "spdl", 0.05),
    ),
    all_taken,
    (Floor("", 2 * BOUND * SIZE + 5_000_000, "peak"),),
    cannot={
        "bytewax": "has one thread, whose source waits for the sink",
        "FastStream": "its in-memory broker has one message at work at a time",
        "Ray, Dask and Beam": "not measured: their memory is that of several processes, or of a whole batch",
    },
    ranks="peak",
)
