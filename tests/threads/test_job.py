"""An iterator in a thread: made, advanced and closed in one thread, whatever moment it is left in."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextlib import asynccontextmanager, contextmanager

import janus
import pytest

from asyncdataflow._runtime.lane import Lane
from asyncdataflow._threads.workshop import Workshop

DEADLINE = 20
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


@asynccontextmanager
async def lane_of(target, setup=None):
    @contextmanager
    def giving():
        yield target

    lane = Lane("work", 1, setup or giving, Workshop())
    lane.broken = []
    lane.on_broken = lane.broken.append
    try:
        yield lane
    finally:
        ending = lane.shut()
        if ending:
            await asyncio.wait(ending, timeout=DEADLINE)
        assert await lane.close() == []
        assert lane.broken == []


async def reached(event):
    while not event.is_set():
        await asyncio.sleep(0)


async def steps(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def no_room():
    return 0


class Watched:
    """A generator function that tells where it runs, and whether two threads are ever in it at once."""

    def __init__(self, count=10):
        self.count, self.made, self.threads, self.closed = count, [], set(), 0
        self._busy = threading.Lock()

    def __call__(self):
        assert self._busy.acquire(blocking=False)
        try:
            for number in range(self.count):
                self.threads.add(threading.current_thread().name)
                self.made.append(number)
                self._busy.release()
                yield number
                assert self._busy.acquire(blocking=False)
        finally:
            self.threads.add(threading.current_thread().name)
            self.closed += 1
            if self._busy.locked():
                self._busy.release()


class TestItems:
    @pytest.mark.parametrize("room", [0, 1, 3, 100])
    async def test_all_come_in_order_from_one_thread(self, room):
        """Invariant 64."""
        watched = Watched()
        async with lane_of(watched) as lane:
            iterator = await lane.iterate((), {}, lambda: room)
            assert [item async for item in iterator] == list(range(10))
            assert watched.closed == 1
            await iterator.aclose()
        assert watched.threads == {"work-0"}

    @pytest.mark.parametrize("room", [0, 1, 3])
    async def test_it_runs_ahead_as_far_as_there_is_room(self, room):
        """Invariant 4: beside the one that was asked for, none that has nowhere to lie."""
        watched = Watched(100)
        async with lane_of(watched) as lane:
            iterator = await lane.iterate((), {}, lambda: room)
            for taken in range(1, 20):
                await anext(iterator)
                assert len(watched.made) <= taken + room
            await iterator.aclose()

    async def test_its_end_frees_the_place(self):
        async with lane_of(lambda count: iter(range(count))) as lane:
            for count in range(5):
                iterator = await lane.iterate((count,), {}, no_room)
                assert [item async for item in iterator] == list(range(count))

    async def test_a_cancelled_next_loses_nothing(self):
        go_on, asked = threading.Event(), threading.Event()

        def slowly():
            yield 1
            asked.set()
            assert go_on.wait(DEADLINE)
            yield 2
            yield 3

        async with lane_of(slowly) as lane:
            iterator = await lane.iterate((), {}, no_room)
            assert await anext(iterator) == 1
            waiting = asyncio.ensure_future(anext(iterator))
            await reached(asked)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            go_on.set()
            assert [item async for item in iterator] == [2, 3]

    async def test_none_is_kept_alive(self):
        """Invariant 32: neither the thread nor the pump holds what was handed on."""

        class Item:
            pass

        gone = []

        def make():
            for number in range(3):
                item = Item()
                weakref.finalize(item, gone.append, number)
                yield item
                del item

        async with lane_of(make) as lane:
            iterator = await lane.iterate((), {}, no_room)
            gc.disable()
            try:
                await anext(iterator)
                await anext(iterator)
                await steps()
                assert gone == [0]
                await iterator.aclose()
                await steps()
                assert gone == [0, 1]
            finally:
                gc.enable()

    @pytest.mark.parametrize("fails", [False, True])
    async def test_its_arguments_are_not_kept_alive(self, fails):
        class Item:
            pass

        def expand(item):
            yield 1
            if fails:
                raise ValueError(item)

        gone, item = [], Item()
        weakref.finalize(item, gone.append, True)
        async with lane_of(expand) as lane:
            gc.disable()
            try:
                iterator = await lane.iterate((item,), {}, no_room)
                del item
                try:
                    assert [each async for each in iterator] == [1]
                except ValueError:
                    assert fails
                await iterator.aclose()
                del iterator
                await steps()
                assert gone == [True]
            finally:
                gc.enable()


class TestFailure:
    @pytest.mark.parametrize(
        "raised",
        [ValueError("v"), SystemExit(3), janus.SyncQueueShutDown(), EOFError()],
        ids=lambda each: type(each).__qualname__,
    )
    async def test_it_comes_behind_the_items(self, raised):
        """Also where it is what janus itself raises: no error ends the stream as if it were complete."""

        def fail():
            yield 1
            yield 2
            raise raised

        async with lane_of(fail) as lane:
            iterator, seen = await lane.iterate((), {}, lambda: 10), []
            with pytest.raises(type(raised)) as caught:
                async for item in iterator:
                    seen.append(item)
            assert caught.value is raised
            assert seen == [1, 2]
            await iterator.aclose()

    @pytest.mark.parametrize("raised", [StopIteration(), StopAsyncIteration()])
    @pytest.mark.parametrize("in_generator", [False, True])
    async def test_none_is_taken_for_the_end(self, raised, in_generator):
        def generator():
            raise raised
            yield

        def plain():
            raise raised

        async with lane_of(generator if in_generator else plain) as lane:
            iterator = await lane.iterate((), {}, no_room)
            with pytest.raises(RuntimeError, match="Stop"):
                await anext(iterator)

    async def test_on_closing_it_is_raised_by_the_closing(self):
        def fail():
            try:
                yield 1
            finally:
                raise OSError("disk full")

        async with lane_of(fail) as lane:
            iterator = await lane.iterate((), {}, no_room)
            await anext(iterator)
            with pytest.raises(OSError, match="disk full"):
                await iterator.aclose()
            await iterator.aclose()


class TestClosing:
    async def test_before_a_thread_took_it_nothing_is_called(self):
        may_begin, watched = threading.Event(), Watched()

        @contextmanager
        def slow_setup():
            assert may_begin.wait(DEADLINE)
            yield watched

        async with lane_of(None, setup=slow_setup) as lane:
            iterator = await lane.iterate((), {}, no_room)
            closing = asyncio.create_task(iterator.aclose())
            await steps()
            may_begin.set()
            await closing
            assert [item async for item in await lane.iterate((), {}, no_room)] == list(range(10))
        assert watched.closed == 1

    async def test_in_next_it_waits_and_closes_in_the_same_thread(self):
        """Invariant 64: never while the generator runs, which would be a ``ValueError``."""
        go_on, asked, closed = threading.Event(), threading.Event(), []

        def slowly():
            try:
                yield 1
                asked.set()
                assert go_on.wait(DEADLINE)
                yield 2
            finally:
                closed.append(threading.current_thread().name)

        async with lane_of(slowly) as lane:
            iterator = await lane.iterate((), {}, lambda: 3)
            assert await anext(iterator) == 1
            await reached(asked)
            closing = asyncio.create_task(iterator.aclose())
            await steps()
            assert not closing.done()
            assert closed == []
            go_on.set()
            await closing
            assert closed == ["work-0"]

    @pytest.mark.parametrize("taken", range(12))
    @pytest.mark.parametrize("room", [0, 4])
    async def test_after_any_number_of_items(self, taken, room):
        watched = Watched()
        async with lane_of(watched) as lane:
            iterator = await lane.iterate((), {}, lambda: room)
            for _ in range(taken):
                await anext(iterator, None)
            await iterator.aclose()
            await iterator.aclose()
            # The thread is free again, and the generator is closed once: if it had begun.
            assert [item async for item in await lane.iterate((), {}, lambda: room)] == list(range(10))
        assert watched.closed == (2 if taken else 1)
        assert watched.threads == {"work-0"}

    @pytest.mark.parametrize("ticks", range(1, 25))
    async def test_after_any_number_of_steps(self, ticks):
        """Invariant 22, for the bridge: cancelled at each step, then closed."""
        watched = Watched(1000)
        async with lane_of(watched) as lane:
            iterator = await lane.iterate((), {}, lambda: 2)

            async def consume():
                try:
                    async for _ in iterator:
                        pass
                finally:
                    await iterator.aclose()

            consuming = asyncio.create_task(consume())
            await steps(ticks)
            consuming.cancel()
            await asyncio.wait([consuming])
            assert watched.closed == (1 if watched.made else 0)
            # And its place is free.
            await (await lane.iterate((), {}, no_room)).aclose()
        assert len(watched.threads) <= 1

    async def test_a_file_is_not_ours_to_close(self, tmp_path):
        path = tmp_path / "lines"
        path.write_text("a\nb\n")
        with path.open() as file:
            async with lane_of(lambda: file) as lane:
                assert [line async for line in await lane.iterate((), {}, no_room)] == ["a\n", "b\n"]
            assert not file.closed

    async def test_cancelled_it_kills_what_can_be_killed(self):
        """A worker process in a long step: the run does not wait for it beyond the second cancel."""
        entered, killed = threading.Event(), threading.Event()

        class Target:
            def __call__(self):
                yield 1
                entered.set()
                assert killed.wait(DEADLINE)
                raise ChildProcessError

            def kill(self):
                killed.set()

        async with lane_of(Target()) as lane:
            iterator = await lane.iterate((), {}, lambda: 1)
            await anext(iterator)
            await reached(entered)
            closing = asyncio.create_task(iterator.aclose())
            await steps()
            assert not killed.is_set()
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert killed.is_set()


class TestStopping:
    async def test_what_is_made_still_comes_then_the_end(self):
        """What ``drain`` asks of a source: no item that its generator has yielded is lost."""
        at_rest, go_on, made = threading.Event(), threading.Event(), []

        def source():
            for number in range(100):
                made.append(number)
                yield number
                if number == 5:
                    at_rest.set()
                    assert go_on.wait(DEADLINE)

        async with lane_of(source) as lane:
            iterator = await lane.iterate((), {}, lambda: 50)
            assert await anext(iterator) == 0
            await reached(at_rest)
            iterator.stop()
            iterator.stop()
            go_on.set()
            assert [item async for item in iterator] == made[1:]
            # It was in the middle of making the seventh when it was told.
            assert made == list(range(7))

    async def test_before_the_first_nothing_comes(self):
        watched = Watched()
        async with lane_of(watched) as lane:
            iterator = await lane.iterate((), {}, no_room)
            iterator.stop()
            assert [item async for item in iterator] == []
        assert watched.made == []
