"""The figures of a run: what went in came out, was dropped, failed, or is in flight (invariant 71)."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from asyncdataflow import DataFlow, Retry, dead_letter, filter_, stage, take
from asyncdataflow.testing.virtual_clock import run_virtual

pytestmark = pytest.mark.usefixtures("both_ways")


async def numbers(limit=5):
    for number in range(limit):
        yield number


async def ticking():
    for number in itertools.count():
        await asyncio.sleep(1)
        yield number


async def double(item):
    return item * 2


async def collected(run):
    return [each async for each in run]


def check(stats, chain):
    """Stages one behind the other account for every item."""
    for name in chain:
        each = stats.stages[name]
        settled = each.sent + each.filtered + each.skipped + each.dead_lettered + each.failed
        assert each.received == settled + each.in_flight, (name, each)
        assert each.queued <= each.capacity
    for before, after in itertools.pairwise(chain):
        sent, into = stats.stages[before].sent, stats.stages[after]
        arrived = into.received + into.queued + into.dropped
        # Between the two: an item that its sender has appended and not yet counted.
        assert sent <= arrived <= sent + stats.stages[before].in_flight, (before, after, stats)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"concurrency": 4},
        {"concurrency": 4, "ordered": False},
        {"concurrency": 3, "key": lambda n: n % 2},
        {"on_error": "skip"},
        {"on_error": "skip", "retry": 2, "concurrency": 3},
        {"overflow": "drop_oldest", "buffer": 2},
        {"overflow": "drop_newest", "buffer": 2, "concurrency": 2},
    ],
    ids=str,
)
def test_they_conserve_at_every_step(options):
    async def uneven(item):
        await asyncio.sleep((item * 7 % 5) / 10)
        if "on_error" in options and item % 3 == 0:
            raise LookupError(item)
        return item

    async def main():
        flow = DataFlow((stage(numbers, name="source"), stage(uneven, name="uneven", **options), double))
        samples = 0
        async with flow.stream({"limit": 60}, buffer=4) as run:
            consumer = asyncio.create_task(collected(run))
            while not consumer.done():
                check(run.stats(), ["source", "uneven", "double"])
                samples += 1
                await asyncio.sleep(0 if samples % 9 else 0.05)
            stats = run.stats()
            check(stats, ["source", "uneven", "double"])
        assert all(not each.in_flight and not each.queued for each in stats.stages.values())
        assert stats.results == len(consumer.result()) == stats.stages["double"].sent
        assert stats.stages["source"].sent == 60
        return samples

    assert run_virtual(main()) > 20


async def test_dead_letters_and_retries_are_counted():
    async def odd_fails(item):
        if item % 2:
            raise LookupError(item)
        return item

    letters = []
    policy = dead_letter(stage(letters.append, executor="inline", name="letters"))
    run = DataFlow((numbers, stage(odd_fails, on_error=policy, retry=Retry(attempts=3, backoff=0)))).stream()
    assert await collected(run) == [0, 2, 4]
    figures = run.stats().stages["odd_fails"]
    assert (figures.received, figures.sent, figures.dead_lettered) == (5, 3, 2)
    assert (figures.retried, figures.failed, figures.skipped) == (4, 0, 0)
    assert [each.item for each in letters] == [1, 3]


async def test_a_failure_is_counted_where_it_happened():
    async def fails(item):
        raise LookupError(item)

    run = DataFlow((numbers, double, fails)).stream()
    with pytest.raises(LookupError):
        await collected(run)
    stats = run.stats()
    assert {name: each.failed for name, each in stats.stages.items()} == {
        "numbers": 0,
        "double": 0,
        "fails": 1,
    }
    assert stats.state == "failed"


def test_they_are_frozen_and_keep_the_definitions_order():
    async def main():
        async with DataFlow((numbers, (double, take(2)))).stream() as run:
            await anext(run)
            return run.stats()

    stats = run_virtual(main())
    assert list(stats.stages) == ["numbers", "double", "take"]
    with pytest.raises(AttributeError):
        stats.results = 5
    with pytest.raises(TypeError):
        stats.stages["double"] = None


def test_elapsed_is_the_loops_time():
    async def main():
        run = DataFlow((ticking, double)).stream()
        await asyncio.sleep(5)
        async with run:
            await asyncio.sleep(2.5)
            return run.stats().elapsed

    assert run_virtual(main()) == 2.5


async def test_what_a_filter_leaves_out_is_counted_there():
    run = DataFlow((numbers, filter_(lambda number: number % 2), double)).stream()
    assert await collected(run) == [2, 6]
    figures = run.stats().stages["filter_"]
    assert (figures.received, figures.sent, figures.filtered) == (5, 2, 3)
