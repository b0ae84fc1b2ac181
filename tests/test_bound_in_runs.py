"""``bound()`` is what a run takes: an endless source before a consumer that stands still (invariant 4).

On the loop everything runs on virtual time, where what has not moved when time does will
never move. Threads and processes are watched until the count is reached, and then for
many rounds more of theirs, in which it must not move.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter

import pytest

from asyncdataflow import (
    Buffer,
    DataFlow,
    balance,
    batch,
    concat,
    filter_,
    flatten,
    merge,
    partition,
    route,
    scan,
    split,
    stage,
    through,
    zip_,
)
from asyncdataflow._runtime.pace import Pace
from asyncdataflow.bound import bound
from asyncdataflow.testing.seeded_loop import quiet, run_seeded
from asyncdataflow.testing.virtual_clock import run_virtual

DEADLINE = 30.0
ROUNDS = 60


class Taps:
    """Endless sources that count what is pulled out of them, of every kind that there is."""

    def __init__(self):
        self.pulled = 0
        self.let_go = 0

    def next(self):
        self.pulled += 1
        return self.pulled

    async def loop(self):
        while True:
            yield self.next()

    def thread(self):
        while True:
            yield self.next()

    def __iter__(self):
        return iter(self.next, None)

    def filtered(self, wanted):
        """A filter whose refusals are counted: they are settled."""

        def keep(item):
            keeps = wanted(item)
            self.let_go += not keeps
            return keeps

        return filter_(keep)


async def same(item):
    return item


async def after_a_while(item):
    await asyncio.sleep(item % 3)
    return item


def plain(item):
    return item


def inline(**options):
    return stage(plain, executor="inline", **options)


ONE_TO_ONE = {
    "the source alone": lambda taps: (taps.loop,),
    "one stage": lambda taps: (taps.loop, same),
    "capacity 1": lambda taps: (taps.loop, stage(same, buffer=1), stage(same, buffer=1, name="second")),
    "capacities": lambda taps: (
        taps.loop,
        stage(same, buffer=3),
        inline(buffer=1),
        stage(same, buffer=7, name="last"),
    ),
    "inline": lambda taps: (taps.loop, inline(buffer=2)),
    "unordered": lambda taps: (taps.loop, stage(after_a_while, concurrency=4, ordered=False, buffer=1)),
    "ordered": lambda taps: (taps.loop, stage(after_a_while, concurrency=4, buffer=1)),
    "ordered twice": lambda taps: (
        taps.loop,
        stage(after_a_while, concurrency=2, buffer=1),
        stage(after_a_while, concurrency=3, buffer=2, name="second"),
    ),
    "scan": lambda taps: (taps.loop, scan(max, buffer=2), stage(same, buffer=1)),
    "merge by signature": lambda taps: ((taps.loop, stage(taps.loop, name="other")), stage(same, buffer=2)),
    "merge": lambda taps: (
        (taps.loop, stage(taps.loop, name="other")),
        merge(buffer=1),
        stage(same, buffer=1),
    ),
    "merge of chains": lambda taps: (
        (
            (taps.loop, stage(after_a_while, buffer=1)),
            (stage(taps.loop, name="other"), inline(buffer=2)),
            stage(taps.loop, name="third"),
        ),
        stage(same, concurrency=2, buffer=1),
    ),
}


@pytest.mark.parametrize("buffer", [1, 5])
@pytest.mark.parametrize("taken", [0, 1, 4])
@pytest.mark.parametrize("definition", ONE_TO_ONE.values(), ids=ONE_TO_ONE)
def test_a_consumer_that_stands_still_stops_the_source_at_exactly_the_bound(definition, taken, buffer):
    """What it has in hand is not settled until it asks for the next."""

    async def main():
        taps = Taps()
        flow = DataFlow(definition(taps), fuse=False)
        async with flow.stream(buffer=buffer) as run:
            for _ in range(taken):
                await anext(run)
            await asyncio.sleep(1000)
            settled = max(taken - 1, 0)
            assert taps.pulled - settled == flow.bound(buffer)

    run_virtual(main())


@pytest.mark.parametrize("definition", ONE_TO_ONE.values(), ids=ONE_TO_ONE)
def test_it_is_the_same_under_any_schedule(definition):
    async def main():
        taps = Taps()
        flow = DataFlow(definition(taps), fuse=False)
        async with flow.stream(buffer=2) as run:
            await anext(run)
            await asyncio.sleep(1000)
            assert taps.pulled == flow.bound(2)

    for seed in range(8):
        run_seeded(seed, main())


def test_the_default_buffers_count():
    async def main():
        taps = Taps()
        flow = DataFlow((taps.loop, same), fuse=False)
        async with flow.stream():
            await quiet()
        assert taps.pulled == flow.bound() == 1 + 128 + 1 + 128

    run_virtual(main())


@pytest.mark.parametrize("workers", [2, 3])
def test_keys_park_no_more_than_the_bound_and_the_worst_keys_that_much(workers):
    """Items behind a busy key are parked; how many depends on the keys, the most does not."""
    distinct = itertools.count(1)
    keys = {
        "one key": lambda n: 0,
        "all different": lambda n: n,
        # The first goes through to the results; one worker is busy with 0, all but one place parks
        # behind it, and through the last place the other workers take keys of their own.
        "the worst": lambda n: 0 if 1 < n <= workers + 1 else next(distinct),
    }

    async def slow_but_for_the_first(item):
        await asyncio.sleep(0 if item == 1 else 10)
        return item

    async def main(key):
        taps = Taps()
        keyed = stage(slow_but_for_the_first, concurrency=workers, key=key, buffer=1)
        flow = DataFlow((taps.loop, keyed), fuse=False)
        async with flow.stream(buffer=1):
            await asyncio.sleep(1000)
            return taps.pulled, flow.bound(1)

    assert all(count <= most for count, most in (run_virtual(main(key)) for key in keys.values()))
    pulled, most = run_virtual(main(keys["the worst"]))
    assert pulled == most


def test_items_given_to_a_run_are_bounded_too():
    async def main():
        taps = Taps()
        flow = DataFlow((stage(same, buffer=3),), fuse=False)
        async with flow.stream(items=taps.loop(), buffer=2) as run:
            await quiet()
            assert taps.pulled == bound(run.graph, 2) == 1 + 3 + 1 + 2

    run_virtual(main())


async def twice(item):
    yield item
    yield item


async def both(lot, item):
    return lot, item


async def pairs(items):
    async for item in items:
        yield item, item


ELSEWHERE = {
    "a generator": lambda taps: (taps.loop, stage(twice, buffer=2)),
    "an ordered generator": lambda taps: (taps.loop, stage(twice, buffer=2, concurrency=3)),
    "through": lambda taps: (taps.loop, through(pairs, buffer=1)),
    "batch": lambda taps: (taps.loop, batch(5, buffer=2), stage(same, buffer=2)),
    "batch of batches": lambda taps: (taps.loop, batch(3, buffer=2), batch(2, buffer=1, name="second")),
    "batch and flatten": lambda taps: (
        taps.loop,
        batch(4, buffer=1),
        flatten(buffer=1),
        stage(same, buffer=3),
    ),
    "a filter": lambda taps: (taps.loop, taps.filtered(lambda n: n % 3), stage(same, buffer=1)),
    "zip": lambda taps: ((taps.loop, stage(taps.loop, name="other")), zip_(buffer=2), stage(same, buffer=1)),
    "zip of uneven rates": lambda taps: (
        ((taps.loop, batch(3)), stage(taps.loop, name="other")),
        both,
    ),
    "concat": lambda taps: ((taps.loop, stage(taps.loop, name="other")), concat),
    "broadcast": lambda taps: (taps.loop, (stage(same, buffer=1), stage(same, buffer=4, name="other"))),
    "broadcast and zip": lambda taps: (taps.loop, (same, stage(same, buffer=1, name="o")), zip_(buffer=2)),
    "split": lambda taps: (taps.loop, split(lambda n: (n, n)), (same, inline(buffer=2))),
    "balance": lambda taps: (taps.loop, balance, (stage(same, buffer=1), inline(buffer=2)), merge),
    "partition": lambda taps: (
        taps.loop,
        partition(lambda n: n % 2),
        (stage(same, buffer=1), inline(buffer=2)),
    ),
    "route": lambda taps: (
        taps.loop,
        route(lambda n: "a" if n % 3 else "b"),
        {"a": inline(), "b": inline(name="i")},
    ),
    "bytes": lambda taps: (taps.loop, stage(same, buffer=Buffer(8, bytes=3, size=lambda _: 1))),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("definition", ELSEWHERE.values(), ids=ELSEWHERE)
def test_elsewhere_it_is_never_more_than_the_bound(definition, seed):
    async def main():
        taps = Taps()
        flow = DataFlow(definition(taps), fuse=False)
        async with flow.stream(buffer=2) as run:
            await quiet()
            # Nothing is settled but what a filter let go.
            assert 0 < taps.pulled - taps.let_go <= flow.bound(2)
            await anext(run)
            await quiet()
            assert 0 < taps.pulled - taps.let_go <= flow.bound(2)

    run_seeded(seed, main())


OFF_THE_LOOP = {
    "a thread": lambda taps: (taps.loop, stage(plain, buffer=2)),
    "a generator in a thread": lambda taps: (taps.thread, stage(same, buffer=2)),
    "an iterable": lambda taps: (taps, stage(same, buffer=1)),
    "only threads": lambda taps: (taps.thread, stage(plain, buffer=1), stage(plain, buffer=3, name="second")),
    "unordered threads": lambda taps: (taps.thread, stage(plain, concurrency=3, ordered=False, buffer=1)),
    "ordered threads": lambda taps: (taps.thread, stage(plain, concurrency=3, buffer=1)),
    "mixed": lambda taps: (
        taps.thread,
        stage(plain, buffer=1),
        stage(same, buffer=2, concurrency=2),
        inline(buffer=1),
    ),
    "merged threads": lambda taps: ((taps.thread, taps.loop), stage(plain, buffer=2)),
    "merged threads with room": lambda taps: ((taps.thread, taps.loop, taps.thread), stage(same, buffer=9)),
    "a process": lambda taps: (taps.loop, stage(plain, executor="process", concurrency=2, buffer=1)),
}


@pytest.mark.parametrize("definition", OFF_THE_LOOP.values(), ids=OFF_THE_LOOP)
async def test_threads_and_processes_take_exactly_the_bound_as_well(definition):
    taps = Taps()
    flow = DataFlow(definition(taps), fuse=False)
    async with asyncio.timeout(DEADLINE), flow.stream(buffer=2) as run:
        await stands_at(taps, flow.bound(2))
        await anext(run)
        await stands_at(taps, flow.bound(2))
        await anext(run)
        await stands_at(taps, flow.bound(2) + 1)


@pytest.mark.parametrize("buffer", [2, 3, 8, 16])
@pytest.mark.parametrize("late", [1, 2])
async def test_a_thread_that_comes_late_among_others_takes_no_more(buffer, late):
    """It was promised slots at first, and what is in its hand waits behind others for one."""
    taps, begin = Taps(), threading.Event()

    def comes_late():
        assert begin.wait(DEADLINE)
        yield from taps.thread()

    sources = (*[stage(comes_late, name=f"late-{each}") for each in range(late)], taps.loop)
    flow = DataFlow((sources, stage(same, buffer=buffer)), fuse=False)
    async with asyncio.timeout(DEADLINE), flow.stream(buffer=1) as run:
        seen = Counter()
        while seen[taps.pulled] < ROUNDS:
            await _round_of_threads()
            seen[taps.pulled] += 1
        begin.set()
        await stands_at(taps, flow.bound(1))
        await anext(run)
        await stands_at(taps, flow.bound(1))


@pytest.mark.parametrize("workers", [{}, {"concurrency": 3}, {"concurrency": 3, "ordered": False}], ids=str)
@pytest.mark.parametrize("branches", [1, 2])
async def test_what_goes_to_threads_in_chunks_counts_one_by_one(workers, branches, monkeypatch):
    """Each item that is taken beyond the workers' own has a slot of its own behind the stage."""
    monkeypatch.setattr(Pace, "length", lambda pace, lying, idle: lying)
    taps = Taps()
    source = taps.loop if branches == 1 else (taps.loop, taps.loop)
    flow = DataFlow((source, stage(plain, buffer=11, **workers), stage(same, buffer=7)), fuse=False)
    async with asyncio.timeout(DEADLINE), flow.stream(buffer=9) as run:
        await stands_at(taps, flow.bound(9))
        for taken in range(40):
            await anext(run)
            await stands_at(taps, flow.bound(9) + taken)


async def stands_at(taps, count):
    """Wait until so many were pulled; then give every thread that could pull one more its turns."""
    seen = Counter()
    while taps.pulled < count or seen[taps.pulled] < ROUNDS:
        await _round_of_threads()
        seen[taps.pulled] += 1
    assert taps.pulled == count


async def _round_of_threads():
    """A thread is started and heard of: others that can run do so meanwhile."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(heard.set,))
    thread.start()
    await heard.wait()
    thread.join()
