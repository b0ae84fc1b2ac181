"""What an edge into a stage does: rate, buffers in items and bytes, overflow with its counts."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import Buffer, DataFlow, Rate, dead_letter, stage
from asyncdataflow.errors import BufferFullError
from asyncdataflow.testing.virtual_clock import run_virtual


def source_of(items, seconds=0.0):
    async def source():
        for item in items:
            yield item
            if seconds:
                await asyncio.sleep(seconds)

    return source


async def collected(run):
    async with run:
        return [result async for result in run], run.stats()


def results(*definition):
    return run_virtual(collected(DataFlow(definition).stream()))


# Rate


async def begun(n):
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (2, [0, 0.5, 1, 1.5, 2, 2.5]),
        (Rate(1, seconds=10), [0, 10, 20, 30, 40, 50]),
        (Rate(2, burst=3), [0, 0, 0, 0.5, 1, 1.5]),
        (0.5, [0, 2, 4, 6, 8, 10]),
    ],
    ids=str,
)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_rate_is_exact(rate, expected, concurrency):
    """However many workers share it."""
    work = stage(begun, rate=rate, concurrency=concurrency)
    assert results(source_of(range(6)), work)[0] == pytest.approx(expected)


def test_a_pause_gives_a_burst_and_no_more():
    async def source():
        for _ in range(3):
            yield 0
        await asyncio.sleep(100)
        for _ in range(4):
            yield 0

    expected = [0, 0, 1, 100, 100, 101, 102]
    assert results(source, stage(begun, rate=Rate(1, burst=2)))[0] == pytest.approx(expected)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), max_size=25), st.integers(1, 5), st.integers(1, 4))
def test_in_no_window_do_more_begin_than_the_rate_and_its_burst(gaps, per_second, burst):
    async def source():
        for n, gap in enumerate(gaps):
            await asyncio.sleep(gap / 4)
            yield n

    times, _ = results(source, stage(begun, rate=Rate(per_second, burst=burst), concurrency=2))
    for first, last in itertools.combinations(range(len(times)), 2):
        allowed = (times[last] - times[first]) * per_second + burst
        assert last - first + 1 <= allowed + 1e-6


def test_a_source_and_a_generator_have_a_rate_too():
    async def three(n):
        for _ in range(3):
            yield asyncio.get_running_loop().time()

    assert results(stage(source_of(range(4)), rate=2), begun)[0] == pytest.approx([0, 0.5, 1, 1.5])
    assert results(source_of(range(2)), stage(three, rate=2))[0] == pytest.approx([0] * 3 + [0.5] * 3)


def test_leaving_does_not_wait_for_the_rate():
    async def main():
        async with DataFlow((source_of(range(3)), stage(begun, rate=Rate(1, seconds=1000)))).stream() as run:
            assert await anext(run) == 0
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0


# Buffers


def held_behind(buffer, items, overflow="block"):
    """Run until the stage is stuck with its first item; then what lies in its edge, and what came through."""

    async def main():
        stuck = asyncio.Event()

        async def slow(item):
            await stuck.wait()
            return item

        work = stage(slow, buffer=buffer, overflow=overflow)
        # One second before each but the first two, so that the stage has begun its first by then.
        async with DataFlow((source_of(items, 1), work)).stream() as run:
            await asyncio.sleep(len(items) + 10)
            figures = run.stats().stages["slow"]
            stuck.set()
            return figures, [item async for item in run], run.stats().stages["slow"]

    return run_virtual(main())


@pytest.mark.parametrize("buffer", [1, 3, Buffer(5)], ids=str)
def test_an_edge_holds_as_many_items_as_it_says(buffer):
    figures, got, _ = held_behind(buffer, list(range(20)))
    held = buffer if isinstance(buffer, int) else buffer.items
    assert (figures.queued, figures.capacity, figures.in_flight) == (held, held, 1)
    assert got == list(range(20))


SIZES = [5, 3, 4, 3, 20, 1, 1, 9, 2]


def lots(sizes):
    return [bytes([place]) * size for place, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("limit", "queued"),
    [(7, 2), (6, 1), (10, 3), (3, 1), (1, 1), (29, 3), (30, 4), (1000, 8)],
)
def test_an_edge_holds_no_more_bytes_than_it_says(limit, queued):
    """The first of 5 bytes is in the stage; behind it lie 3, 4, 3, 20, …"""
    items = lots(SIZES)
    figures, got, _ = held_behind(Buffer(bytes=limit), items)
    assert figures.queued == queued
    assert got == items


def test_one_oversize_item_passes_alone():
    items = lots([1, 100, 100, 1, 100])
    figures, got, _ = held_behind(Buffer(bytes=10), items)
    assert figures.queued == 1
    assert got == items


def test_an_item_is_measured_as_one_says():
    items = [{"weight": weight} for weight in SIZES]
    figures, got, _ = held_behind(Buffer(bytes=7, size=lambda item: item["weight"]), items)
    assert figures.queued == 2
    assert got == items


@settings(max_examples=40)
@given(st.lists(st.integers(0, 12), max_size=20), st.integers(1, 10), st.integers(1, 6), st.integers(1, 3))
def test_what_lies_in_an_edge_never_weighs_more(sizes, limit, most, concurrency):
    """Unless it is one oversize item, alone."""
    lying: list[int] = []
    wrong = []

    def size(item):
        return item[1]

    async def source():
        for item in enumerate(sizes):
            yield item

    async def work(item):
        await asyncio.sleep(item[1] % 3)
        return item

    async def main():
        buffer = Buffer(most, bytes=limit, size=size)
        async with DataFlow((source, stage(work, buffer=buffer, concurrency=concurrency))).stream() as run:
            got = []
            async for item in run:
                got.append(item)
                figures = run.stats().stages["work"]
                lying[:] = sizes[figures.received : figures.received + figures.queued]
                if figures.queued > most or (sum(lying) > limit and len(lying) > 1):
                    wrong.append(list(lying))
            return got

    assert run_virtual(main()) == list(enumerate(sizes))
    assert not wrong


async def test_in_threads_too():
    items = lots([3] * 200)
    work = stage(len, buffer=Buffer(bytes=7), concurrency=2)
    assert await DataFlow((stage(items), work)).run() == [3] * 200


@pytest.mark.parametrize(
    "wrong", [{"items": 0}, {"items": None}, {"bytes": 0}, {"items": True}, {"size": 5}], ids=str
)
def test_no_edge_is_without_a_bound(wrong):
    with pytest.raises(ValueError, match="Buffer"):
        Buffer(**wrong)


# Overflow


@pytest.mark.parametrize(
    ("overflow", "expected"),
    [
        ("block", list(range(10))),
        ("drop_newest", [0, 1, 2, 3]),
        ("drop_oldest", [0, 7, 8, 9]),
    ],
)
def test_what_a_full_edge_does(overflow, expected):
    figures, got, after = held_behind(3, list(range(10)), overflow)
    assert got == expected
    assert after.dropped == 10 - len(expected)
    assert figures.dropped == after.dropped


def test_fail_ends_the_run_and_names_the_edge():
    with pytest.raises(BufferFullError, match="the edge into slow is full"):
        held_behind(3, list(range(10)), "fail")


def test_fail_is_no_error_of_the_item():
    """The stage before did its part: its policies have nothing to say."""

    async def main():
        async def same(item):
            return item

        async def slow(item):
            await asyncio.Event().wait()

        before = stage(same, retry=5, on_error="skip")
        await DataFlow((source_of(range(10)), before, stage(slow, buffer=1, overflow="fail"))).run()

    with pytest.raises(BufferFullError):
        run_virtual(main())


@pytest.mark.parametrize(("limit", "expected"), [(6, [0, 7, 8, 9]), (5, [0, 8, 9]), (1, [0, 9])])
def test_the_oldest_are_dropped_until_the_bytes_fit(limit, expected):
    figures, got, _ = held_behind(Buffer(bytes=limit), [bytes([n] * 2) for n in range(10)], "drop_oldest")
    assert [item[0] for item in got] == expected
    assert figures.dropped == 10 - len(expected)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), max_size=25),
    st.sampled_from(["block", "drop_oldest", "drop_newest"]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["skip", "dead_letter"]),
)
def test_the_ledger(cases, overflow, buffer, concurrency, policy):
    """Invariant 12: in = out + skipped + dead-lettered + dropped, none twice, none unknown."""
    letters = []

    async def source():
        for n, (gap, _, _) in enumerate(cases):
            await asyncio.sleep(gap)
            yield n

    async def work(n):
        _, seconds, fails = cases[n]
        await asyncio.sleep(seconds)
        if fails:
            raise ValueError(n)
        return n

    async def sink(letter):
        letters.append(letter.item)

    on_error = "skip" if policy == "skip" else dead_letter(sink)
    limited = stage(work, buffer=buffer, overflow=overflow, concurrency=concurrency, on_error=on_error)
    got, stats = results(source, limited)
    figures = stats.stages["work"]
    assert stats.stages["source"].received == len(cases)
    assert figures.received + figures.dropped == len(cases)
    assert figures.received == figures.sent + figures.skipped + figures.dead_lettered
    assert figures.sent == len(got) == len(set(got))
    assert figures.dead_lettered == len(letters)
    assert got == sorted(got)
    assert not any(cases[n][2] for n in got)
    assert all(cases[n][2] for n in letters)
    assert overflow != "block" or not figures.dropped
    assert stats.results == len(got)
