"""Nothing keeps items alive, and nothing piles up over many runs (invariant 32)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import tracemalloc
import weakref

import psutil
import pytest

from asyncdataflow import DataFlow, batch, filter_, flatten, stage, take, zip_

pytestmark = pytest.mark.usefixtures("both_ways")


class Item:
    """What can be watched while it lives."""

    def __init__(self, number):
        self.number = number


class Watched:
    """A source of items that knows how many of them are alive."""

    def __init__(self, count):
        self.count = count
        self.alive = weakref.WeakSet()

    async def __call__(self):
        for number in range(self.count):
            yield self.made(number)

    def made(self, number):
        item = Item(number)
        self.alive.add(item)
        return item

    def in_thread(self):
        for number in range(self.count):
            yield self.made(number)


async def same(item):
    return item


def same_in_thread(item):
    return item


async def boxed(item):
    return [item]


FLOWS = {
    "a chain": (same, same),
    "threads": (same_in_thread, stage(same_in_thread, name="again", concurrency=2)),
    "several workers": (stage(same, concurrency=3),),
    "by key": (stage(same, concurrency=3, key=lambda item: item.number % 5),),
    "any order": (stage(same, concurrency=3, ordered=False),),
    "a broadcast": ((same, same_in_thread),),
    "a zip": ((same, same_in_thread), zip_),
    "batches": (batch(3), flatten),
    "boxes": (boxed, flatten),
    "a filter": (filter_(lambda item: item.number % 2),),
    "timeouts": (stage(same, timeout=100),),
    "retries": (stage(same, retry=2),),
}


@pytest.fixture
def no_collector():
    """What dies now dies because nobody holds it, and not because a cycle was found."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
class TestItemsDie:
    @pytest.mark.parametrize("source", ["__call__", "in_thread"])
    @pytest.mark.parametrize("flow", FLOWS)
    async def test_with_the_run_they_went_through(self, flow, source):
        watched = Watched(40)
        async with DataFlow((getattr(watched, source), *FLOWS[flow])).stream(buffer=2) as run:
            async for result in run:
                del result
        del run
        assert len(watched.alive) == 0

    @pytest.mark.parametrize("flow", FLOWS)
    async def test_one_by_one_as_they_are_delivered(self, flow):
        """What lives at any time is what the run may hold, and not what went through before."""
        watched = Watched(0)
        definition = DataFlow((watched, *FLOWS[flow]))
        bound = definition.bound(buffer=2)
        watched.count = 3 * bound
        most = 0
        async with definition.stream(buffer=2) as run:
            async for result in run:
                del result
                most = max(most, len(watched.alive))
        # Beside what may be in flight, a worker's frame holds the item that it had last.
        assert most <= bound + 2 * sum(each.concurrency for each in definition.graph.stages)

    async def test_when_the_consumer_leaves_early(self):
        watched = Watched(400)
        async with DataFlow((watched, same, same_in_thread)).stream() as run:
            await anext(run)
        del run
        assert len(watched.alive) == 0

    async def test_when_a_stage_skips_them(self):
        watched = Watched(40)

        async def fails(item):
            raise LookupError(item.number)

        assert await DataFlow((watched, stage(fails, on_error="skip"))).run() == []
        assert len(watched.alive) == 0

    @pytest.mark.parametrize("where", ["loop", "thread"])
    async def test_when_the_failure_is_let_go(self, where):
        """Its traceback has the stage's frame, and that has the item.

        This one takes the collector: the run lists its failures, and their tracebacks pass
        through frames that hold the run.
        """
        watched = Watched(40)

        def fails_in_thread(item):
            raise LookupError(item.number)

        async def fails(item):
            fails_in_thread(item)

        with contextlib.suppress(LookupError):
            await DataFlow((watched, fails if where == "loop" else fails_in_thread)).run()
        gc.collect()
        assert len(watched.alive) == 0

    def test_in_an_iteration(self):
        watched = Watched(40)
        with DataFlow((watched, same_in_thread)).iterate() as results:
            for result in results:
                del result
        del results
        assert len(watched.alive) == 0

    async def test_the_parameters_and_resources_of_a_run_die_with_it(self):
        class Pool:
            pass

        pool, param = Pool(), Pool()
        alive = weakref.WeakSet([pool, param])

        async def use(item, *, pool, param):
            return item

        flow = DataFlow((range(3), use))
        await flow.run({"pool": pool, "param": param})
        del pool, param
        assert len(alive) == 0


async def one_item():
    yield 1


def in_thread(item):
    return item


async def start_and_stop(flow):
    async with flow.stream() as run:
        await anext(run)


def counted():
    process = psutil.Process()
    return process.num_fds(), threading.active_count(), len(process.children())


@pytest.mark.parametrize("way", ["stream", "call", "iterate"])
def test_two_hundred_runs_keep_threads_and_descriptors_constant(way):
    async def endless():
        while True:
            yield 1

    flow = DataFlow((endless, in_thread, take(3)))

    async def stream():
        await start_and_stop(flow)

    once = {
        "stream": lambda: asyncio.run(stream()),
        "call": flow,
        "iterate": lambda: next(iter(_closed(flow))),
    }[way]
    once()
    before = counted()
    for _ in range(200):
        once()
    assert counted() == before


def _closed(flow):
    with flow.iterate() as results:
        yield next(results)


def test_runs_leave_no_memory_behind():
    """Counted by tracemalloc, in the package's own files and asyncio's, and not by the process's size."""

    async def main():
        flow = DataFlow((one_item, same, (same_again, boxed)))
        for _ in range(20):
            await flow.run()
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(20):
                await flow.run()
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(100):
                await flow.run()
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()

    # A run has some 20 kB: one that stayed would be seen a hundred times.
    assert asyncio.run(main()) < 20_000


async def same_again(item):
    return item


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("threads", [False, True])
def test_a_hundred_thousand_starts_and_stops(threads):
    """Memory of the process stays level over the second half; nothing piles up."""
    flow = DataFlow((one_item, in_thread if threads else same))
    cycles = 20_000 if threads else 100_000

    async def main():
        process = psutil.Process()
        for _ in range(cycles // 2):
            await start_and_stop(flow)
        gc.collect()
        before, resident = counted(), process.memory_info().rss
        for _ in range(cycles // 2):
            await start_and_stop(flow)
        gc.collect()
        assert counted() == before
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return process.memory_info().rss - resident

    assert asyncio.run(main()) < 4 * 1024 * 1024, os.getpid()
