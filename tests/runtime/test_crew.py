"""Several workers of a stage on the loop: one leads while nothing suspends, else they go on by turns."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.testing.virtual_clock import run_virtual

SORTS = pytest.mark.parametrize(
    "options",
    [{"ordered": False}, {}, {"key": lambda n: n % 5}],
    ids=["in any order", "in order", "by key"],
)


async def numbers(count):
    for n in range(count):
        yield n


@SORTS
def test_while_no_call_suspends_one_worker_makes_them_all(options):
    """On virtual time: where a turn takes too long, another may come to lead."""
    callers = set()

    async def work(n):
        callers.add(asyncio.current_task())
        return n

    flow = DataFlow((numbers, stage(work, concurrency=8, **options)))
    assert run_virtual(flow.run({"count": 2000})) == list(range(2000))
    assert len(callers) == 1


@SORTS
async def test_while_a_leader_waits_in_its_call_another_goes_on(options):
    """Nothing else happens in the run meanwhile: all items lie there already."""
    later = asyncio.Event()

    async def work(n):
        if n == 50:
            await later.wait()
        if n == 51:
            later.set()
        return n

    flow = DataFlow((numbers, stage(work, concurrency=2, **options)))
    async with asyncio.timeout(10), flow.stream({"count": 100}) as run:
        assert sorted([n async for n in run]) == list(range(100))


@pytest.mark.parametrize("ordered", [False, True])
def test_more_results_at_once_than_there_is_room_for_wait_with_their_workers(ordered):
    """Of 40 at once the edge holds 8: no worker takes a further item before its result is out."""
    begun = 0

    async def work(n):
        nonlocal begun
        begun += 1
        await asyncio.sleep(1)
        return n

    async def main():
        flow = DataFlow((numbers, stage(work, concurrency=40, ordered=ordered)))
        results = []
        async with flow.stream({"count": 200}, buffer=8) as run:
            async for n in run:
                results.append(n)
                stats = run.stats().stages["work"]
                assert stats.in_flight == stats.received - stats.sent
                # In hand, parked beside it where they leave in order, in the edge, and with the consumer.
                assert begun <= len(results) + (80 if ordered else 40) + 8
                await asyncio.sleep(0.01)
        return results

    results = run_virtual(main())
    assert sorted(results) == list(range(200))
    assert not ordered or results == sorted(results)


@pytest.mark.parametrize("ordered", [False, True])
def test_a_run_that_is_left_while_results_wait_for_room_leaves_nothing(ordered):
    async def work(n):
        await asyncio.sleep(1)
        return n

    async def main():
        flow = DataFlow((numbers, stage(work, concurrency=40, ordered=ordered)))
        async with flow.stream({"count": 200}, buffer=2) as run:
            await anext(run)
            await asyncio.sleep(2)
            stats = run.stats().stages["work"]
        return stats, run.state, asyncio.all_tasks() - {asyncio.current_task()}

    stats, state, left = run_virtual(main())
    assert stats.received - stats.sent >= 30
    assert state == "ended"
    assert not left


def test_no_result_of_one_that_was_late_holds_up_the_others():
    async def work(n):
        await asyncio.sleep((1, 0.5, 0.2)[n % 3])
        return None if n % 3 == 0 else n

    async def main():
        flow = DataFlow((numbers, stage(work, concurrency=6)))
        async with flow.stream({"count": 60}) as run:
            return [n async for n in run], run.stats().stages["work"]

    results, stats = run_virtual(main())
    assert results == [n for n in range(60) if n % 3]
    assert (stats.received, stats.sent, stats.filtered, stats.in_flight) == (60, 40, 20, 0)
