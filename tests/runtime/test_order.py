"""Invariants 13 and 14: what leaves a stage with several workers, in which order, and how many are held."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdataflow import DataFlow, stage
from asyncdataflow._runtime.order import Order
from asyncdataflow.testing.virtual_clock import run_virtual

latencies = st.lists(st.integers(0, 20), max_size=30)
workers = st.integers(2, 5)


class Gauge:
    """Counts how many are inside at once, and the most that ever were."""

    def __init__(self):
        self.now = self.most = self.begun = self.done = 0

    def __enter__(self):
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *_):
        self.now -= 1
        self.done += 1


def sleeping(delays, gauge=None):
    """A stage that takes ``delays[n]`` virtual seconds for item ``n``."""
    gauge = gauge or Gauge()

    async def work(n):
        with gauge:
            await asyncio.sleep(delays[n])
            return n

    return work


def sleeping_generator(delays, counts):
    """A stage that makes ``counts[n]`` of item ``n``, slowly."""

    async def work(n):
        for part in range(counts[n]):
            await asyncio.sleep(delays[n])
            yield n, part

    return work


def stream(count, *steps):
    """Steps behind numbers that come from the loop, since a virtual loop waits for no thread."""

    async def numbers():
        for n in range(count):
            yield n

    return DataFlow((numbers, *steps)).stream()


async def collected(run, on_result=None):
    async with run:
        results = []
        async for result in run:
            if on_result is not None:
                on_result(result)
            results.append(result)
        return results


@given(latencies, workers)
def test_an_ordered_stage_keeps_the_order_under_any_latency(delays, concurrency):
    gauge = Gauge()
    run = stream(len(delays), stage(sleeping(delays, gauge), concurrency=concurrency))
    assert run_virtual(collected(run)) == list(range(len(delays)))
    assert gauge.most <= concurrency


@given(latencies, workers, st.booleans())
def test_no_more_than_the_workers_work_and_no_more_than_as_many_again_wait(delays, concurrency, ordered):
    """Begun and not yet sent on are never more than 2 w; unordered, w."""
    gauge = Gauge()
    over = []
    seen = itertools.count(1)

    async def sink(n):
        if gauge.begun - next(seen) > most:
            over.append(n)
        return n

    most = 2 * concurrency if ordered else concurrency
    work = stage(sleeping(delays, gauge), concurrency=concurrency, ordered=ordered)
    # A sink with room for one sees each item in the step in which it is sent, or in the next one.
    most += 2
    run = stream(len(delays), work, stage(sink, buffer=1))
    assert Counter(run_virtual(collected(run))) == Counter(range(len(delays)))
    # One that only gives way may be back before the next worker has started.
    assert min(concurrency, sum(each > 0 for each in delays)) <= gauge.most <= concurrency
    assert not over


@pytest.mark.parametrize("concurrency", [2, 3, 8])
def test_behind_one_stuck_item_the_workers_go_on_until_as_many_again_wait(concurrency):
    """Invariant 13: w in flight and w finished; nothing leaves before the first."""

    async def main():
        stuck = asyncio.Event()
        gauge = Gauge()
        results = []

        async def work(n):
            with gauge:
                if n == 0:
                    await stuck.wait()
                return n

        run = stream(100, stage(work, concurrency=concurrency))
        async with run:
            reader = asyncio.create_task(collected(run, results.append))
            await asyncio.sleep(1)
            held = gauge.begun
            assert results == []
            stuck.set()
            assert await reader == list(range(100))
        return held

    assert concurrency < run_virtual(main()) <= 2 * concurrency


@given(st.lists(st.integers(1, 1000), max_size=25, unique=True), workers)
def test_an_unordered_stage_sends_whatever_is_finished_first(delays, concurrency):
    """Against a model: as many servers as workers, each with the next item as soon as it is free."""
    delays = [delay + place / 1000 for place, delay in enumerate(delays)]  # no two ends at once
    free = [0.0] * concurrency
    ends = []
    for n, delay in enumerate(delays):
        end = heapq.heappop(free) + delay
        heapq.heappush(free, end)
        ends.append((end, n))
    work = stage(sleeping(delays), concurrency=concurrency, ordered=False)

    async def main():
        got = await collected(stream(len(delays), work))
        return got, asyncio.get_running_loop().time()

    got, ended = run_virtual(main())
    assert got == [n for _, n in sorted(ends)]
    assert ended == pytest.approx(max((end for end, _ in ends), default=0.0))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=15), st.integers(1, 4))
def test_what_generators_make_leaves_in_the_order_of_the_items(cases, concurrency):
    delays, counts = [delay for delay, _ in cases], [count for _, count in cases]
    work = stage(sleeping_generator(delays, counts), concurrency=concurrency)
    got = run_virtual(collected(stream(len(cases), work)))
    assert got == [(n, part) for n, count in enumerate(counts) for part in range(count)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=15), st.integers(2, 4))
def test_of_unordered_generators_each_items_own_order_is_kept(cases, concurrency):
    delays, counts = [delay for delay, _ in cases], [count for _, count in cases]
    work = stage(sleeping_generator(delays, counts), concurrency=concurrency, ordered=False)
    got = run_virtual(collected(stream(len(cases), work)))
    for n, count in enumerate(counts):
        assert [part for item, part in got if item == n] == list(range(count))
    assert len(got) == sum(counts)


@given(latencies, workers, st.booleans())
def test_the_same_as_aiostream_map(delays, concurrency, ordered):
    """DIFF: the same results, ordered or as a multiset, and no later."""
    aiostream = pytest.importorskip("aiostream")

    async def theirs():
        numbers = aiostream.stream.range(len(delays))
        mapped = aiostream.stream.map(numbers, sleeping(delays), ordered=ordered, task_limit=concurrency)
        async with mapped.stream() as items:
            got = [item async for item in items]
        return got, asyncio.get_running_loop().time()

    async def ours():
        work = stage(sleeping(delays), concurrency=concurrency, ordered=ordered)
        got = await collected(stream(len(delays), work))
        return got, asyncio.get_running_loop().time()

    got, ended = run_virtual(ours())
    expected, theirs_ended = run_virtual(theirs())
    assert (got if ordered else sorted(got)) == (expected if ordered else sorted(expected))
    assert ended <= theirs_ended


@given(latencies, workers, st.sets(st.integers(0, 29)))
def test_skipped_items_and_none_leave_no_gap_in_the_order(delays, concurrency, failing):
    async def work(n):
        await asyncio.sleep(delays[n])
        if n in failing:
            raise ValueError(n)
        return None if n % 3 == 0 else n

    async def keep(n):
        return (n,)

    run = stream(len(delays), stage(work, concurrency=concurrency, on_error="skip"), keep)
    expected = [(None if n % 3 == 0 else n,) for n in range(len(delays)) if n not in failing]
    assert run_virtual(collected(run)) == expected


# The class itself


def test_whoever_finishes_the_first_missing_one_sends_all_that_follow():
    async def main():
        sent = []

        async def send(result):
            await asyncio.sleep(0)
            sent.append(result)

        order = Order(3, send)
        first, second, third = order.draw(), order.draw(), order.draw()
        await order.finish(third, "c")
        await order.finish(second, None)
        assert sent == []
        await order.finish(first, "a")
        return sent

    assert run_virtual(main()) == ["a", None, "c"]


@given(st.permutations(range(6)), st.integers(1, 6))
def test_any_order_of_finishing_gives_the_order_of_the_tickets(finishing, places):
    async def main():
        sent = []

        async def send(result):
            await asyncio.sleep(0)
            sent.append(result)

        order = Order(places, send)
        tickets = [order.draw() for _ in finishing]

        async def finish(turn, ticket):
            await asyncio.sleep(turn)
            await order.finish(ticket, ticket)

        await asyncio.gather(*(finish(turn, tickets[at]) for turn, at in enumerate(finishing)))
        return sent

    assert run_virtual(main()) == list(range(6))


def test_with_no_place_left_a_worker_keeps_its_result_in_hand():
    async def main():
        sent = []

        async def send(result):
            sent.append(result)

        order = Order(1, send)
        first, second, third = (order.draw() for _ in range(3))
        await order.finish(second, "b")
        waiting = asyncio.create_task(order.finish(third, "c"))
        await asyncio.sleep(1)
        assert not waiting.done()
        await order.finish(first, "a")
        await waiting
        return sent

    assert run_virtual(main()) == ["a", "b", "c"]


def test_what_sending_raises_comes_out_where_it_was_sent():
    async def main():
        async def send(result):
            raise BrokenPipeError

        order = Order(2, send)
        first, second = order.draw(), order.draw()
        await order.finish(second, "b")
        with pytest.raises(BrokenPipeError):
            await order.finish(first, "a")

    run_virtual(main())
