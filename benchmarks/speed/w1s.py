"""W1s: five trivial plain functions that run on the loop."""

# What a contestant needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterator

from . import chains
from .chains import over_numbers
from .engines import mpservice_buffered
from .feed import STAGES, in_order, numbers, plain
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


W1S = Workload(
    "W1s",
    'five trivial plain functions, executor="inline"',
    200_000,
    (
        Contestant(LIMIT, limit, "limit", note="five nested calls in one `async for`"),
        Contestant("generators", generators, note="without a loop"),
        Contestant(OURS, ours, "ours"),
        Contestant("aiostream", over_numbers(chains.aiostream_plain, plain), "peer", "aiostream", 0.1),
        Contestant("streamable", over_numbers(chains.streamable, plain), "peer", "streamable"),
        Contestant("pypeln", over_numbers(chains.pypeln, plain), "peer", "pypeln", 0.02),
        Contestant(
            "streamz",
            over_numbers(chains.streamz, plain, node="map"),
            "peer",
            "streamz",
            0.1,
            "fed with emit",
        ),
        Contestant("mpservice", mpservice_buffered, "peer", "mpservice", note="a thread a stage, no loop"),
    ),
    in_order,
    (Floor(LIMIT, 0.45),),
    cannot={"anyio": "has no stages", "bytewax, Dask and Beam": "take plain functions only: as in W1"},
)
