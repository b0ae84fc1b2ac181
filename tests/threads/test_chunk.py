"""A chunk on its way through a thread: what is begun, what is not, and what the loop sees of it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextlib import contextmanager

import pytest

from asyncdataflow._runtime.lane import Lane
from asyncdataflow._threads.chunk import Chunk
from asyncdataflow._threads.workshop import Workshop
from asyncdataflow.errors import EndOfChannel

DEADLINE = 20
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


class Posting:
    """A lane of one thread, and chunks posted to it."""

    def __init__(self, target, setup=None):
        @contextmanager
        def giving():
            yield target

        self.lane = Lane("work", 1, setup or giving, Workshop())
        self.lane.on_broken = lambda error: None
        self.news = asyncio.Event()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        ending = self.lane.shut()
        if ending:
            await asyncio.wait(ending, timeout=DEADLINE)
        assert await self.lane.close() == []

    def post(self, items, arguments=None, unsettled=lambda kind: kind is complex):
        clock = asyncio.get_running_loop().time
        chunk = Chunk(items, arguments, unsettled, clock, lambda _: self.news.set())
        self.lane.post(chunk)
        return chunk

    async def ended(self, chunk):
        while not chunk.ended:
            await self.news.wait()
            self.news.clear()
        return chunk


async def reached(event):
    while not event.is_set():
        await asyncio.sleep(0)


class Gate:
    """A target that waits at one item until it is let go, and fails at others."""

    def __init__(self, slow=None, bad=()):
        self.calls, self.slow, self.bad = [], slow, bad
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, item):
        self.calls.append(item)
        if item == self.slow:
            self.entered.set()
            assert self.open.wait(DEADLINE)
        if item in self.bad:
            raise ValueError(item)
        return item * 10


class Together(Gate):
    """One that takes several calls at once, as a process does."""

    def run_chunk(self, calls):
        for args, kwargs in calls:
            try:
                value = self(*args, **kwargs)
            except ValueError as error:
                yield False, error
                return
            yield True, value


TARGETS = pytest.mark.parametrize("kind", [Gate, Together])


@TARGETS
async def test_items_are_done_in_order_and_told_of_once(kind):
    async with Posting(kind()) as posting:
        chunk = await posting.ended(posting.post(range(5)))
        assert chunk.done == 5
        assert chunk.fetch() == [0, 10, 20, 30, 40]
        assert chunk.fetch() == []
        assert (chunk.done, chunk.stop, list(chunk.pending)) == (5, None, [])


@TARGETS
async def test_it_stops_at_the_first_failure(kind):
    target = kind(bad=(2, 4))
    async with Posting(target) as posting:
        chunk = await posting.ended(posting.post(range(5)))
        assert chunk.fetch() == [0, 10]
        assert (chunk.stop.item, chunk.stop.raised) == (2, True)
        assert isinstance(chunk.stop.value, ValueError)
        assert (list(chunk.pending), chunk.done) == ([3, 4], 3)
        assert target.calls == [0, 1, 2]


@TARGETS
async def test_it_stops_at_what_only_the_loop_can_settle(kind):
    async with Posting(kind()) as posting:
        chunk = await posting.ended(posting.post([1, 2j, 3]))
        assert chunk.fetch() == [10]
        assert (chunk.stop.item, chunk.stop.raised, chunk.stop.value) == (2j, False, 20j)
        assert list(chunk.pending) == [3]


@TARGETS
async def test_what_is_ready_is_there_while_a_slow_item_keeps_the_thread(kind):
    target = kind(slow=2)
    async with Posting(target) as posting:
        chunk = posting.post(range(4))
        await reached(target.entered)
        assert chunk.fetch() == [0, 10]
        target.open.set()
        await posting.ended(chunk)
        assert chunk.fetch() == [20, 30]


async def test_what_is_not_begun_can_be_taken_back():
    target = Gate(slow=1)
    async with Posting(target) as posting:
        chunk = posting.post(range(4))
        await reached(target.entered)
        assert list(chunk.take_back()) == [2, 3]
        assert list(chunk.take_back()) == []
        target.open.set()
        await posting.ended(chunk)
        assert (chunk.fetch(), chunk.length) == ([0, 10], 2)
        assert target.calls == [0, 1]


async def test_what_goes_together_stays_and_is_told_of_one_by_one():
    target = Together(slow=1)
    async with Posting(target) as posting:
        chunk = posting.post(range(4))
        await reached(target.entered)
        assert list(chunk.take_back()) == []
        posting.news.clear()
        target.slow, told = None, []
        target.open.set()
        while not chunk.ended:
            await posting.news.wait()
            posting.news.clear()
            told += chunk.fetch()
        assert told == [0, 10, 20, 30]


async def test_of_one_that_no_thread_has_an_item_stays():
    target = Gate(slow=0)
    async with Posting(target) as posting:
        first, second = posting.post([0]), posting.post([1, 2, 3])
        await reached(target.entered)
        assert list(second.take_back()) == [2, 3]
        target.open.set()
        await posting.ended(first)
        await posting.ended(second)
        assert second.fetch() == [10]


async def test_abandoned_nothing_more_is_begun():
    """Invariant 62: the thread ends its item, and that is all that anybody waits for."""
    target = Gate(slow=1)
    async with Posting(target) as posting:
        chunk = posting.post(range(100))
        await reached(target.entered)
        chunk.abandon()
        target.open.set()
        await posting.ended(chunk)
        assert target.calls == [0, 1]
        after = await posting.ended(posting.post([7]))
        assert after.fetch() == [70]


@TARGETS
@pytest.mark.parametrize("bad", range(3))
async def test_an_item_that_gives_no_arguments_fails_alone(kind, bad):
    def arguments(item):
        if item == bad:
            raise TypeError(item)
        return (), {"item": item}

    async with Posting(kind()) as posting:
        chunk = await posting.ended(posting.post(range(3), arguments))
        assert chunk.fetch() == [0, 10, 20][:bad]
        assert (chunk.stop.item, type(chunk.stop.value)) == (bad, TypeError)
        assert list(chunk.pending) == list(range(bad + 1, 3))


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (SystemExit(3), SystemExit),
        (asyncio.CancelledError(), asyncio.CancelledError),
        (StopIteration(), RuntimeError),
        (IndexError(), IndexError),
    ],
)
async def test_whatever_is_raised_is_the_items(raised, seen):
    def fail(item):
        raise raised

    async with Posting(fail) as posting:
        chunk = await posting.ended(posting.post([1, 2]))
        assert (chunk.stop.item, type(chunk.stop.value)) == (1, seen)
        assert list(chunk.pending) == [2]


async def test_with_nothing_to_call_the_first_item_has_the_error():
    @contextmanager
    def broken():
        raise OSError("no")
        yield

    async with Posting(None, broken) as posting:
        chunk = await posting.ended(posting.post([1, 2]))
        assert (chunk.stop.item, str(chunk.stop.value)) == (1, "no")
        assert (list(chunk.pending), chunk.done) == ([2], 1)


async def test_a_lane_that_has_ended_takes_none():
    async with Posting(Gate()) as posting:
        posting.lane.shut()
        with pytest.raises(EndOfChannel):
            posting.post([1])


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_is_kept_alive(fails):
    """Invariant 32."""

    class Item:
        pass

    def work(item):
        if fails:
            raise ValueError(item)

    gone, items = [], [Item() for _ in range(3)]
    for number, item in enumerate(items):
        weakref.finalize(item, gone.append, number)
    async with Posting(work) as posting:
        gc.disable()
        try:
            chunk = await posting.ended(posting.post(items))
            del items, item
            await asyncio.sleep(0)
            assert sorted(gone) == ([] if fails else [0, 1, 2])
            error = chunk.stop.value if fails else None
            chunk.let_go()
            # An error that is kept keeps what it was raised for, and nothing that was behind it.
            assert sorted(gone) == ([1, 2] if fails else [0, 1, 2])
            del chunk, error
            assert sorted(gone) == [0, 1, 2]
        finally:
            gc.enable()
