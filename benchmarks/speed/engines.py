"""A chain of five trivial stages in peers with a loop, processes or a scheduler of their own."""

# What a peer needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import functools
from typing import Any, Final

from .feed import EDGE, STAGES, in_any_order, numbers, plain, step
from .workload import Contestant

LARGE_BATCH: Final = 1024


def spdl(items: int) -> list[int]:
    """Pipes in a loop of its own thread; the results are taken by this one."""
    from spdl.pipeline import PipelineBuilder  # type: ignore[import-not-found]

    builder = PipelineBuilder().add_source(numbers(items))
    for _ in range(STAGES):
        builder = builder.pipe(step)
    pipeline = builder.add_sink(EDGE).build(num_threads=1)
    with pipeline.auto_stop():
        return [*pipeline]


def mpservice(items: int) -> list[int]:
    """``parmap`` of coroutine functions, one at a time."""
    from mpservice.streamer import Stream  # type: ignore[import-not-found]

    results = Stream(range(items))
    for _ in range(STAGES):
        results = results.parmap(step, concurrency=1)
    return [*results]


def mpservice_buffered(items: int) -> list[int]:
    """``map`` of plain functions, a buffer behind each, which makes it a thread."""
    from mpservice.streamer import Stream

    results = Stream(range(items))
    for _ in range(STAGES):
        results = results.map(plain).buffer(EDGE)
    return [*results]


def bytewax(batch: int, items: int) -> list[int]:
    """``map`` operators, one worker."""
    from bytewax import operators as op  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, TestingSource, run_main  # type: ignore[import-not-found]

    taken: list[int] = []
    flow = Dataflow("chain")
    results = op.input("numbers", flow, TestingSource(range(items), batch_size=batch))
    for number in range(STAGES):
        results = op.map(f"step_{number}", results, plain)
    op.output("taken", results, TestingSink(taken))
    run_main(flow)
    return taken


async def faststream(items: int) -> list[int]:
    """Subscribers that publish to the next, in the in-memory broker that stands in for NATS in tests."""
    from faststream.nats import NatsBroker, TestNatsBroker  # type: ignore[import-not-found]

    async def work(number: int) -> int:
        return await step(number)

    async def sink(number: int) -> None:
        taken.append(number)

    taken: list[int] = []
    broker = NatsBroker(logger=None)
    for number in range(STAGES):
        broker.subscriber(f"stage.{number}")(broker.publisher(f"stage.{number + 1}")(work))
    broker.subscriber(f"stage.{STAGES}")(sink)
    async with TestNatsBroker(broker) as connected:
        async for number in numbers(items):
            await connected.publish(number, "stage.0")
    return taken


def ray(items: int) -> list[int]:
    """An actor a stage, an object reference from one to the next."""
    import ray as package  # type: ignore[import-not-found]

    class Stage:
        async def work(self, number: int) -> int:
            return await step(number)

    if not package.is_initialized():
        package.init(num_cpus=2, include_dashboard=False, logging_level="error")
    actors = [package.remote(Stage).options(num_cpus=0).remote() for _ in range(STAGES)]

    def sent(number: int) -> Any:
        result: Any = number
        for actor in actors:
            result = actor.work.remote(result)
        return result

    taken: list[int] = package.get([sent(number) for number in range(items)])
    return taken


async def dask(items: int) -> list[int]:
    """A task for each item and stage, in a scheduler and a worker of this process."""
    from dask.distributed import Client  # type: ignore[import-not-found]

    async with Client(
        processes=False, asynchronous=True, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as client:
        futures: Any = range(items)
        for _ in range(STAGES):
            futures = client.map(plain, futures, pure=False)
        taken: list[int] = await client.gather(futures)
        return taken


_BEAM_TAKEN: list[int] = []
"""What the last of Beam's functions kept: Beam pickles them, so that they know a module's list only."""


def beam(items: int) -> list[int]:
    """``Map`` transforms in the runner of this process."""
    import apache_beam  # type: ignore[import-not-found]

    _BEAM_TAKEN.clear()
    with apache_beam.Pipeline() as pipeline:
        results = pipeline | apache_beam.Create(range(items))
        for number in range(STAGES):
            results |= f"step {number}" >> apache_beam.Map(plain)
        results |= "keep" >> apache_beam.Map(keep)
    return [*_BEAM_TAKEN]


def keep(number: int) -> None:
    """Beam's sink."""
    _BEAM_TAKEN.append(number)


BROKER: Final = "in-memory broker: one message at work at a time"

ENGINES: Final = (
    Contestant("SPDL", spdl, "peer", "spdl", 0.05, "its loop is a thread of its own"),
    # It ends a second after its last result for each stage: fewer items would measure that.
    Contestant("mpservice", mpservice, "peer", "mpservice", 0.25, "read from a plain iterable, no loop"),
    Contestant("FastStream", faststream, "other peer", "faststream", 0.002, BROKER),
    Contestant("Ray", ray, "peer", "ray", 0.005, "actors in processes"),
    Contestant("Dask", dask, "peer", "dask", 0.001, "a task for each item and stage; plain functions"),
    Contestant(
        "Beam", beam, "other peer", "apache-beam", 0.1, "a batch engine; plain functions", in_any_order
    ),
    Contestant(
        "bytewax", functools.partial(bytewax, 1), "other peer", "bytewax", note="one worker; plain functions"
    ),
    Contestant(
        "bytewax, batches",
        functools.partial(bytewax, LARGE_BATCH),
        "other peer",
        "bytewax",
        note=f"the same, {LARGE_BATCH:,} items at a time",
    ),
)
"""For a chain of five."""
