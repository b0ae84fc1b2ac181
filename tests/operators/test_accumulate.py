"""Several items made into one, or one out of all before: ``batch`` (invariant 18) and ``scan``."""

from __future__ import annotations

import asyncio
import itertools
import operator
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, batch, scan, stage
from asyncdataflow.errors import DefinitionError, SignatureError
from asyncdataflow.testing.virtual_clock import run_virtual

gaps = st.lists(st.integers(0, 6), max_size=20)
"""Seconds before each item."""


def timed(delays):
    async def source():
        for n, delay in enumerate(delays):
            if delay:
                await asyncio.sleep(delay)
            yield n

    return source


async def collected(run):
    async with run:
        return [result async for result in run]


def results(*definition):
    return run_virtual(collected(DataFlow(definition).stream()))


def dated(*definition):
    """Each result with its time, and the time of the end."""

    async def main():
        loop = asyncio.get_running_loop()
        async with DataFlow(definition).stream() as run:
            got = [(result, loop.time()) async for result in run]
        return got, loop.time()

    return run_virtual(main())


# batch


@settings(max_examples=50)
@given(gaps, st.integers(1, 7))
def test_batches_are_full_but_for_the_last_and_none_is_empty(delays, size):
    numbers = list(range(len(delays)))
    expected = [numbers[at : at + size] for at in range(0, len(numbers), size)]
    assert results(timed(delays), batch(size)) == expected


def batches_by_model(delays, size, seconds):
    """``(list, time)``: sent when it is full, or ``seconds`` after its first item, or at the end."""
    made, lot, deadline, now = [], [], None, 0
    for n, delay in enumerate(delays):
        now += delay
        if lot and deadline <= now:
            made.append((lot, deadline))
            lot = []
        if not lot:
            deadline = now + seconds
        lot.append(n)
        if len(lot) == size:
            made.append((lot, now))
            lot = []
    if lot:
        made.append((lot, now))
    return made


@settings(max_examples=100)
@given(gaps, st.integers(1, 5), st.integers(1, 8))
def test_a_batch_is_sent_seconds_after_its_first_item_to_the_second(delays, size, seconds):
    """With half a second between any item and any deadline, so that there is one right answer."""
    seconds += 0.5
    got, ended = dated(timed(delays), batch(size, seconds))
    assert got == batches_by_model(delays, size, seconds)
    assert ended == sum(delays)
    assert all(0 < len(lot) <= size for lot, _ in got)


def test_an_idle_source_makes_no_batches():
    got, _ = dated(timed([0, 1000, 1000]), batch(10, 1))
    assert got == [([0], 1), ([1], 1001), ([2], 2000)]


def test_a_batch_at_its_deadline_loses_nothing_that_comes_in_that_moment():
    for size in (2, 3, 100):
        got, _ = dated(timed([1] * 30), batch(size, 2))
        assert list(itertools.chain(*(lot for lot, _ in got))) == list(range(30))
        assert all(0 < len(lot) <= size for lot, _ in got)


def test_drain_sends_what_was_collected():
    async def main():
        async def source():
            for n in range(3):
                yield n
            await asyncio.Event().wait()

        async with DataFlow((source, batch(10))).stream() as run:
            reader = asyncio.create_task(collected(run))
            await asyncio.sleep(1)
            run.drain()
            return await reader

    assert run_virtual(main()) == [[0, 1, 2]]


def test_drain_sends_it_before_its_time_is_up():
    async def main():
        async def source():
            for n in itertools.count():
                yield n
                await asyncio.sleep(1)

        async with DataFlow((source, batch(100, 1000))).stream() as run:
            reader = asyncio.create_task(collected(run))
            await asyncio.sleep(2.5)
            run.drain()
            return await reader, asyncio.get_running_loop().time() < 10

    (lots, in_time) = run_virtual(main())
    assert lots in ([[0, 1, 2]], [[0, 1, 2, 3]])
    assert in_time


def test_a_full_batch_waits_for_its_output_and_nothing_more_is_taken():
    async def main():
        made = []

        async def endless():
            for n in itertools.count():
                made.append(n)
                yield n

        async with DataFlow((endless, batch(3, buffer=1))).stream(buffer=1) as run:
            first = await anext(run)
            await asyncio.sleep(1)
        return first, len(made)

    first, made = run_virtual(main())
    assert first == [0, 1, 2]
    # A list with the consumer, whose slot is held, one in hand; one item in the edge, one held out to it.
    assert made <= 3 + 3 + 1 + 1


def test_batches_of_a_later_run_start_anew():
    async def main():
        flow = DataFlow((timed([0] * 3), batch(2)))
        return await flow.run(), await flow.run()

    assert run_virtual(main()) == ([[0, 1], [2]],) * 2


def test_what_is_in_a_batch_is_not_looked_into():
    odd = [None, ValueError("an item"), [], 0, StopAsyncIteration()]

    async def source():
        for item in odd:
            yield item

    assert results(source, batch(2)) == [odd[:2], odd[2:4], odd[4:]]


async def test_behind_a_thread_too():
    assert await DataFlow((range(7), batch(3, 3600))).run() == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize("seconds", [None, 0.25, 2])
def test_the_same_as_aiostream_chunks(seconds):
    """DIFF for those that go by size; aiostream has none that go by time."""
    aiostream = pytest.importorskip("aiostream")

    async def theirs():
        async with (aiostream.stream.range(10) | aiostream.pipe.chunks(4)).stream() as items:
            return [item async for item in items]

    assert results(timed([0] * 10), batch(4, seconds)) == run_virtual(theirs())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: batch(0),
        lambda: batch(True),
        lambda: batch(1.0),
        lambda: batch(1, 0),
        lambda: batch(1, -1),
        lambda: batch(1, float("nan")),
        lambda: scan(5),
    ],
)
def test_a_wrong_option_is_refused_where_it_is_written(wrong):
    with pytest.raises(ValueError, match=r"batch|scan"):
        wrong()


# scan


async def add_later(total, n):
    await asyncio.sleep(1)
    return total + n


ADDING = {"builtin": operator.add, "function": lambda total, n: total + n, "coroutine function": add_later}


@pytest.mark.parametrize("add", ADDING.values(), ids=ADDING.keys())
@pytest.mark.parametrize("initial", [None, 0, 100])
@settings(max_examples=30)
@given(delays=gaps)
def test_scan_is_accumulate(add, initial, delays):
    numbers = range(len(delays))
    if initial is None:
        expected = list(itertools.accumulate(numbers))
        step = scan(add)
    else:
        expected = list(itertools.accumulate(numbers, initial=initial))[1:]
        step = scan(add, initial)
    assert results(timed(delays), step) == expected


def test_none_can_be_a_state():
    async def keep(item):
        return (item,)

    assert (
        results(timed([0] * 3), scan(lambda state, n: None if state == n else state, None), keep)
        == [(None,)] * 3
    )


def test_each_run_starts_from_a_copy_of_its_own():
    def remember(seen, n):
        seen.append(n)
        return list(seen)

    def remember_in_place(seen, n):
        seen.append(n)
        return seen

    initial: list[int] = []
    for f in (remember, remember_in_place):

        async def main(f=f):
            flow = DataFlow((timed([0] * 2), scan(f, initial)))
            first, second = await asyncio.gather(flow.run(), flow.run())
            return first[-1], second[-1], (await flow.run())[-1]

        assert run_virtual(main()) == ([0, 1],) * 3
    assert initial == []


async def test_the_function_runs_where_it_is_said():
    def where(state, n):
        return threading.current_thread().name

    assert await DataFlow((range(2), scan(where, ""))).run() == [threading.main_thread().name] * 2
    assert await DataFlow((range(2), scan(where, "", executor="thread"))).run() == ["scan-0"] * 2


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (scan(lambda state: state), SignatureError, "the state and the item"),
        (scan(lambda a, b, c: a), SignatureError, "the state and the item"),
        (scan(add_later, concurrency=2), DefinitionError, "concurrency"),
        (stage(batch(2), retry=2), DefinitionError, "retry"),
        (stage(batch(2), on_error="skip"), DefinitionError, "on_error"),
        (batch, DefinitionError, "written as a call"),
    ],
)
def test_what_makes_no_sense_is_refused(step, error, message):
    with pytest.raises(error, match=message):
        DataFlow((range(3), step))


def test_an_error_of_the_function_ends_the_run_with_a_note():
    with pytest.raises(ZeroDivisionError) as caught:
        results(timed([0] * 3), scan(lambda state, n: state // (1 - n)))
    assert any("in stage scan" in note for note in caught.value.__notes__)
