"""How long items take in a stage and end to end: exact by a virtual clock, whatever it is made of."""

from __future__ import annotations

import asyncio
import functools
import time
import weakref

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.policy import Retry
from asyncdataflow.testing import QueueSource
from tests.runtime.metered import (
    a_second,
    after,
    at_once,
    both,
    every_second,
    never_done,
    same,
    slow_in_a_thread,
    three_seconds,
)


@both
class TestLatency:
    def test_each_slow_item(self, fuse):
        stats = after(100, (every_second, same, a_second, three_seconds), fuse=fuse)
        for name, seconds in (("same", 0), ("a_second", 1), ("three_seconds", 3)):
            latency = stats.stages[name].latency
            assert (latency.count, latency.seconds) == (10, pytest.approx(10 * seconds)), name
            assert latency.quantile(0.99) == pytest.approx(seconds, rel=1 / 16)

    def test_one_slow_item_among_quick_ones_is_seen(self, fuse):
        async def misses(item):
            if item == 7:
                await asyncio.sleep(8)
            return item

        latency = (
            after(100, (at_once, same, misses, stage(same, name="last")), fuse=fuse).stages["misses"].latency
        )
        assert (latency.count, latency.seconds) == (10, pytest.approx(8))
        assert latency.quantile(0.9) == 0
        assert latency.quantile(1) == pytest.approx(8, rel=1 / 16)

    def test_one_slow_item_is_seen_also_where_nobody_looks_meanwhile(self, fuse):
        async def bursts():
            yield 0
            await asyncio.sleep(1)
            for number in range(1, 11):
                yield number
            await asyncio.sleep(1000)

        async def misses(item):
            if item == 7:
                await asyncio.sleep(8)
            return item

        stats = after(60, (bursts, misses, stage(never_done, buffer=100)), fuse=fuse)
        latency = stats.stages["misses"].latency
        assert (latency.count, latency.seconds) == (11, pytest.approx(8))
        assert latency.quantile(0.9) == 0
        assert latency.quantile(1) == pytest.approx(8, rel=1 / 16)

    def test_what_waits_for_room_is_not_slow(self, fuse):
        stats = after(100, (at_once, stage(same, buffer=1), stage(three_seconds, buffer=1)), fuse=fuse)
        assert stats.stages["same"].latency.seconds == pytest.approx(0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"concurrency": 4},
        {"concurrency": 4, "ordered": False},
        {"concurrency": 4, "key": lambda n: n % 4},
        {"concurrency": 4, "key": lambda n: 0},
        {"timeout": 5},
        {"rate": 100},
        {"buffer": 1},
    ],
    ids=str,
)
def test_latency_whatever_the_loop(options):
    for source in (at_once, QueueSource(range(10))):
        latency = after(100, (source, stage(a_second, **options), same)).stages["a_second"].latency
        assert (latency.count, latency.seconds) == (10, pytest.approx(10))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"concurrency": 2},
        {"concurrency": 2, "ordered": False},
        {"concurrency": 2, "key": lambda n: n % 3},
    ],
    ids=str,
)
def test_what_waits_for_room_behind_several_workers_is_not_slow(options):
    async def does(item):
        # While some take long, nothing is left to send, and a worker that has waited for room goes on.
        await asyncio.sleep(1 if item % 4 else 10)
        return item

    definition = (functools.partial(at_once, 20), stage(does, **options), stage(three_seconds, buffer=1))
    latency = after(200, definition).stages["does"].latency
    assert (latency.count, latency.seconds) == (20, pytest.approx(5 * 10 + 15))


@pytest.mark.parametrize(
    ("options", "answered"),
    [
        ({}, False),
        ({"concurrency": 4, "ordered": True}, False),
        ({"concurrency": 4, "ordered": False}, False),
        ({}, True),
        ({"concurrency": 4, "ordered": False}, True),
    ],
    ids=str,
)
def test_slow_ones_among_quick_ones_and_those_that_fail_or_make_nothing(options, answered):
    async def does(item):
        if item % 5 == 0:
            await asyncio.sleep(1)
        if item % 7 == 0:
            raise LookupError(item)
        return None if item % 3 == 0 else item

    source = QueueSource(range(100)) if answered else functools.partial(at_once, 100)
    definition = (source, stage(does, on_error="skip", **options), stage(same, buffer=4))
    latency = after(100, definition).stages["does"].latency
    assert (latency.count, latency.seconds) == (100, pytest.approx(20))


def test_latency_in_threads_and_of_retries():
    latency = after(100, (at_once, slow_in_a_thread)).stages["slow_in_a_thread"].latency
    assert (latency.count, latency.seconds) == (10, pytest.approx(20))
    tries = []

    async def second_time(item):
        tries.append(item)
        await asyncio.sleep(1)
        if tries.count(item) == 1:
            raise LookupError(item)

    latency = after(100, (at_once, stage(second_time, retry=2))).stages["second_time"].latency
    assert latency.count == 10
    assert latency.seconds >= 20


@pytest.mark.parametrize("options", [{}, {"concurrency": 3}], ids=str)
def test_further_attempts_in_threads_are_worked_off_and_belong_to_their_item(options):
    tries = []

    def second_time(item):
        tries.append(item)
        time.sleep(1)
        if tries.count(item) == 1:
            raise LookupError(item)
        return item

    retry = Retry(2, backoff=3, jitter=0)
    each = after(200, (at_once, stage(second_time, retry=retry, **options), same)).stages["second_time"]
    assert (each.latency.count, each.latency.seconds) == (10, pytest.approx(50))
    assert each.busy == pytest.approx(20)


async def test_what_was_tried_again_in_a_thread_is_let_go():
    class Item:
        pass

    kept, tries = weakref.WeakSet(), []

    def third_time(item):
        tries.append(item)
        if tries.count(item) < 3:
            raise LookupError
        tries.clear()
        return len(kept)

    async def make():
        for _ in range(20):
            item = Item()
            kept.add(item)
            yield item

    retry = Retry(3, backoff=0)
    async with DataFlow((make, stage(third_time, retry=retry, buffer=1), same)).stream(buffer=1) as run:
        seen = [each async for each in run]
    assert len(seen) == 20
    assert max(seen) < 10


def test_a_loop_with_a_clock_of_its_own():
    class Loop(asyncio.SelectorEventLoop):
        def time(self):
            return super().time() - 10_000

    async def main():
        run = DataFlow((at_once, stage(flat_one, many=True))).stream()
        async for _ in run:
            pass
        return run.stats().stages["flat_one"].latency

    with asyncio.Runner(loop_factory=Loop) as runner:
        latency = runner.run(main())
    assert latency.count == 10
    assert latency.seconds < 10


async def flat_one(item):
    yield item
