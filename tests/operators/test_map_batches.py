"""One call for several items and one result for each: ``map_batches``."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, batch, dead_letter, flatten, stage, zip_
from asyncdataflow.errors import (
    DefinitionError,
    DeliveryError,
    ItemError,
    ResultError,
    SignatureError,
    StageTimeoutError,
)
from asyncdataflow.operators import map_batches
from asyncdataflow.testing import QueueSource, simulate
from asyncdataflow.testing.virtual_clock import run_virtual


def doubled(numbers):
    """Of the module, so that a process finds it."""
    return [2 * n for n in numbers]


async def doubled_on_the_loop(numbers):
    return [2 * n for n in numbers]


async def slowly_doubled(numbers):
    await asyncio.sleep(0.3 if numbers[0] % 2 else 0.1)
    return [2 * n for n in numbers]


def timed(delays):
    async def source():
        for n, delay in enumerate(delays):
            if delay:
                await asyncio.sleep(delay)
            yield n

    return source


def lists_of(delays, size, within):
    """The lists that it calls with, each with its time, and what came of it all."""
    called = []

    async def note(numbers):
        called.append((numbers, asyncio.get_running_loop().time()))
        return numbers

    async def main():
        async with DataFlow((timed(delays), map_batches(note, size, within=within))).stream() as run:
            return [result async for result in run]

    return run_virtual(main()), called


def lists_by_model(delays, size, within):
    """Called when full, or ``within`` seconds after the first, or at the end."""
    made, lot, deadline, now = [], [], None, 0
    for n, delay in enumerate(delays):
        now += delay
        if lot and deadline <= now:
            made.append((lot, deadline))
            lot = []
        if not lot:
            deadline = now + within
        lot.append(n)
        if len(lot) == size:
            made.append((lot, now))
            lot = []
    return [*made, (lot, now)] if lot else made


@settings(max_examples=100)
@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 5), st.integers(1, 8))
def test_a_list_is_called_when_full_or_late_or_at_the_end(delays, size, within):
    within += 0.5
    results, called = lists_of(delays, size, within)
    assert results == list(range(len(delays)))
    assert called == lists_by_model(delays, size, within)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 5))
def test_without_a_time_every_list_but_the_last_is_full(delays, size):
    _, called = lists_of(delays, size, None)
    numbers = list(range(len(delays)))
    expected = [numbers[at : at + size] for at in range(0, len(numbers), size)]
    assert [numbers for numbers, _ in called] == expected


def test_with_no_time_it_takes_what_lies_there():
    results, called = lists_of([0, 0, 0, 1, 1, 0], 10, 0)
    assert results == list(range(6))
    assert [numbers for numbers, _ in called] == [[0, 1, 2], [3], [4, 5]]


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (doubled_on_the_loop, {}),
        (doubled, {}),
        (doubled, {"executor": "inline"}),
        (doubled, {"executor": "process"}),
        (doubled, {"executor": "process", "concurrency": 2}),
        (slowly_doubled, {"concurrency": 3}),
        (slowly_doubled, {"concurrency": 3, "retry": 2, "timeout": 30}),
        (doubled, {"concurrency": 3, "rate": 100_000}),
    ],
    ids=str,
)
def test_it_means_the_same_in_every_world(function, options):
    flow = DataFlow((range(50), map_batches(function, 7, within=0.01, **options)))
    assert flow() == [2 * n for n in range(50)]


def test_a_plain_function_is_called_in_a_thread_of_its_own():
    threads = set()

    def note(numbers):
        threads.add(threading.current_thread())
        return numbers

    DataFlow((range(10), map_batches(note, 3)))()
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("within", [None, 0, 0.05])
@pytest.mark.parametrize(
    "options", [{}, {"concurrency": 3}, {"concurrency": 2, "ordered": False}], ids=str
)  # fmt: skip
def test_simulated_every_item_has_one_result_in_order(within, options):
    ordered = options.get("ordered", True)

    def make():
        return DataFlow((timed([0, 0.02] * 10), map_batches(slowly_doubled, 4, within=within, **options)))

    def check(results):
        assert (results if ordered else sorted(results)) == [2 * n for n in range(20)]

    simulate(make, seeds=20, check=check).raise_for_failures()


def test_simulated_in_threads_and_processes():
    def make():
        return DataFlow((
            range(20),
            map_batches(doubled, 4, within=0.05, concurrency=2),
            map_batches(doubled, 3, within=0.05, executor="process"),
        ))  # fmt: skip

    simulate(make, seeds=20, check=lambda results: results == [4 * n for n in range(20)]).raise_for_failures()


# errors


@pytest.mark.parametrize("made", [[], [1, 2], [1, 2, 3, 4]])
def test_another_number_of_results_is_the_items_error_with_the_counts(made):
    with pytest.raises(ResultError, match=f"returned {len(made)} results for 3 items"):
        DataFlow((range(3), map_batches(lambda _: made, 3)))()


@pytest.mark.parametrize("made", [None, 3, "abc", b"abc", {1, 2, 3}, {1: 2, 3: 4, 5: 6}, iter([1, 2, 3])])
def test_what_is_no_sequence_is_the_items_error(made):
    with pytest.raises(ResultError, match="a sequence with one result for each"):
        DataFlow((range(3), map_batches(lambda _: made, 3)))()


def three_is_no_good(numbers):
    if 3 in numbers:
        raise ItemError("three")
    return numbers


def test_one_bad_item_does_not_take_its_list_with_it():
    rejected = []
    flow = DataFlow((range(7), map_batches(three_is_no_good, 4, on_error=dead_letter(rejected.append))))
    assert flow() == [0, 1, 2, 4, 5, 6]
    assert [each.item for each in rejected] == [3]


def test_an_error_of_the_call_is_that_of_every_item():
    def lost(numbers):
        raise ConnectionError(numbers)

    rejected = []
    flow = DataFlow((range(4), map_batches(lost, 4, on_error=dead_letter(rejected.append))))
    assert flow() == []
    assert [each.item for each in rejected] == [0, 1, 2, 3]
    with pytest.raises(ConnectionError) as raised:
        DataFlow((range(4), map_batches(lost, 4)))()
    assert "map_batches" in raised.value.__notes__[0]


def test_it_is_tried_again_with_the_same_list():
    tries = []

    async def at_the_third(numbers):
        tries.append(numbers)
        if len(tries) < 3:
            raise OSError
        return numbers

    async def main():
        return await DataFlow((range(4), map_batches(at_the_third, 2, retry=3))).run()

    assert run_virtual(main()) == [0, 1, 2, 3]
    assert tries == [[0, 1], [0, 1], [0, 1], [2, 3]]


def test_a_call_that_takes_too_long_fails_its_items():
    async def stuck(numbers):
        await asyncio.sleep(100)

    async def main():
        return await DataFlow((range(4), map_batches(stuck, 2, timeout=1, on_error="skip"))).run()

    assert run_virtual(main()) == []
    with pytest.raises(StageTimeoutError):
        DataFlow((range(4), map_batches(stuck, 2, timeout=0.01)))()


def test_figures_count_items_not_calls():
    async def main():
        flow = DataFlow((range(7), map_batches(three_is_no_good, 4, on_error="skip"), stage(str, name="str")))
        async with flow.stream() as run:
            results = [result async for result in run]
            return results, run.stats().stages["map_batches"]

    results, figures = asyncio.run(main())
    assert len(results) == 6
    assert (figures.received, figures.sent, figures.skipped, figures.in_flight) == (7, 6, 1, 0)


# acks, bounds, ends


def test_each_item_keeps_a_receipt_of_its_own():
    queue = QueueSource(range(7))
    flow = DataFlow((queue, map_batches(three_is_no_good, 4)))

    async def main():
        async with flow.stream() as run:
            return [result async for result in run]

    with pytest.raises(ItemError):
        asyncio.run(main())
    assert sorted([*queue.acked, *queue.left]) == list(range(7))
    assert {0, 1, 2, 3} <= set(queue.left)

    queue = QueueSource(range(7))
    assert DataFlow((queue, map_batches(three_is_no_good, 4, on_error="skip")))() == [0, 1, 2, 4, 5, 6]
    assert sorted(queue.acked) == list(range(7))


def test_no_more_is_taken_than_its_bound_says():
    taken = 0

    def numbers():
        nonlocal taken
        for n in itertools.count():
            taken += 1
            yield n

    async def main():
        flow = DataFlow((stage(numbers), map_batches(doubled_on_the_loop, 5, buffer=3)), fuse=False)
        bound = flow.bound(buffer=2)
        async with flow.stream(buffer=2) as run:
            async for _ in run:
                for _ in range(100):
                    await asyncio.sleep(0)
                time.sleep(0.05)
                break
            assert taken <= bound == 1 + 3 + 5 + 2

    asyncio.run(main())


def test_a_drain_calls_with_what_was_collected():
    async def main():
        async def source():
            for n in range(3):
                yield n
            await asyncio.Event().wait()

        async with DataFlow((source, map_batches(doubled_on_the_loop, 10))).stream() as run:
            reader = asyncio.create_task(anext(run))
            await asyncio.sleep(1)
            run.drain()
            return [await reader, *[result async for result in run]]

    assert run_virtual(main()) == [0, 2, 4]


def test_a_worker_has_what_it_needs_once():
    made = []

    def load():
        made.append(1)
        return 10

    def scaled(numbers, *, by):
        return [by * n for n in numbers]

    flow = DataFlow((range(6), map_batches(scaled, 2, per_worker={"by": load})))
    assert flow() == [0, 10, 20, 30, 40, 50]
    assert made == [1]


# definitions


def test_branches_with_it_may_be_zipped():
    def compare(a, b):
        return a - b

    flow = DataFlow((range(10), (map_batches(doubled, 4), lambda n: n), compare))
    assert flow() == list(range(10))


def test_it_is_one_to_one_in_what_a_call_returns():
    assert DataFlow((lambda: 4, map_batches(doubled, 3)))() == 8


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None])
def test_a_size_is_a_whole_number(size):
    with pytest.raises(ValueError, match="size"):
        map_batches(doubled, size)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="within"):
        map_batches(doubled, 3, within=-1)
    with pytest.raises(ValueError, match="a function of a list"):
        map_batches([], 3)
    with pytest.raises(DefinitionError, match="key="):
        DataFlow((range(3), map_batches(doubled, 3, key=str)))
    with pytest.raises(DefinitionError, match="many="):
        DataFlow((range(3), map_batches(doubled, 3, many=True)))
    with pytest.raises(SignatureError, match="one list of items"):
        DataFlow((range(3), map_batches(lambda a, b: a, 3)))
    with pytest.raises(DefinitionError, match="generator"):
        DataFlow((range(3), map_batches(lambda numbers: (yield numbers), 3)))


def test_one_that_could_never_fill_is_refused():
    with pytest.raises(DefinitionError, match=r"map_batches.*within="):
        DataFlow((itertools.count(), (map_batches(doubled, 1000), lambda n: n), zip_()))
    DataFlow((itertools.count(), (map_batches(doubled, 1000, within=1), lambda n: n), zip_()))
    with pytest.raises(DeliveryError, match="within="):
        DataFlow((QueueSource(range(9), max_unacked=5), map_batches(doubled, 6)))
    with pytest.raises(DeliveryError, match="holds 8 messages"):
        DataFlow((QueueSource(range(9), max_unacked=7), map_batches(doubled, 4), batch(6), flatten))
    DataFlow((QueueSource(range(9), max_unacked=8), map_batches(doubled, 4), batch(6), flatten))
