"""Where the time of a stage's workers went: exact by a virtual clock, whatever the stage is made of."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from contextlib import asynccontextmanager, nullcontext, suppress

import pytest

from asyncdataflow import DataFlow, batch, filter_, route, stage, zip_
from asyncdataflow._runtime.meter import AnyWait, Spent, Waits
from asyncdataflow.abc import Sink
from asyncdataflow.errors import ShutdownTimeoutError
from asyncdataflow.histogram import Histogram
from asyncdataflow.operators import map_batches
from asyncdataflow.policy import Restart
from asyncdataflow.testing import QueueSource
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.runtime.metered import (
    a_second,
    adds_up,
    after,
    at_once,
    both,
    close,
    every_second,
    never_done,
    same,
    slow_in_a_thread,
    spent,
    three_seconds,
)
from tests.serving.flaky import Flaky


@both
class TestWhatIsWaitedFor:
    def test_a_slow_source(self, fuse):
        stats = after(5.5, (every_second, same, stage(same, name="last")), fuse=fuse)
        assert spent(stats.stages["every_second"]) == close(0, 5.5, 0)
        assert spent(stats.stages["same"]) == close(0, 5.5, 0)
        assert spent(stats.stages["last"]) == close(0, 5.5, 0)

    def test_a_slow_stage_is_busy_and_holds_up_who_is_before_it(self, fuse):
        stats = after(
            100.5, (lambda: range(50), stage(flat, many=True), stage(a_second, buffer=1), same), fuse=fuse
        )
        assert spent(stats.stages["a_second"]) == close(50, 0, 0)
        assert stats.stages["flat"].blocked == pytest.approx(48)

    def test_a_consumer_that_takes_nothing(self, fuse):
        stats = after(10, (at_once, stage(same, buffer=1)), fuse=fuse, buffer=1, taken=False)
        assert spent(stats.stages["same"]) == close(0, 0, 10)
        assert spent(stats.stages["at_once"]) == close(0, 0, 10)

    def test_a_wait_that_lasts_is_seen(self, fuse):
        async def never():
            await asyncio.Event().wait()
            yield

        stats = after(7, (never, same), fuse=fuse)
        assert spent(stats.stages["same"]) == close(0, 7, 0)
        assert stats.stages["never"].busy + stats.stages["never"].waiting == pytest.approx(7)

    def test_a_source_waits_also_where_nobody_looks_meanwhile(self, fuse):
        steps = (functools.partial(every_second, 100), stage(never_done, buffer=1000))
        stats = after(60.5, steps, fuse=fuse)
        assert spent(stats.stages["every_second"]) == close(0, 60.5, 0)

    def test_a_function_that_lasts_is_seen(self, fuse):
        stats = after(2.5, (lambda: [1], stage(flat, many=True), three_seconds), fuse=fuse)
        assert spent(stats.stages["three_seconds"]) == close(2.5, 0, 0)

    def test_a_broadcast_waits_for_the_slowest(self, fuse):
        branches = (stage(a_second, buffer=1), stage(same, buffer=1))
        stats = after(5, (lambda: range(50), stage(flat, many=True), branches), fuse=fuse)
        assert stats.stages["flat"].blocked == pytest.approx(5)
        assert spent(stats.stages["a_second"]) == close(5, 0, 0)

    def test_a_stage_between_two_slow_ones(self, fuse):
        stats = after(9.5, (every_second, a_second, stage(three_seconds, buffer=1), same), fuse=fuse)
        assert stats.stages["three_seconds"].busy == pytest.approx(7.5)
        assert spent(stats.stages["a_second"]) == close(5, 1, 3.5)


async def flat(items):
    for each in items:
        yield each


@pytest.mark.parametrize(
    "options",
    [{"ordered": True}, {"ordered": False}, {"key": lambda n: n % 4}],
    ids=["in order", "as they come", "by key"],
)
def test_several_workers(options):
    stats = after(2.5, (at_once, stage(a_second, concurrency=4, **options), same))
    each = stats.stages["a_second"]
    assert (each.workers, each.elapsed) == (4, 2.5)
    assert spent(each) == close(9, 1, 0)


@pytest.mark.parametrize(
    ("options", "left"),
    [({"ordered": True}, (5, 0, 15)), ({"ordered": False}, (3, 0, 17)), ({"key": lambda n: n}, (3, 0, 17))],
    ids=["in order", "as they come", "by key"],
)
def test_several_workers_that_find_no_room(options, left):
    stats = after(10, (at_once, stage(a_second, concurrency=2, **options)), buffer=1, taken=False)
    assert spent(stats.stages["a_second"]) == close(*left)


@pytest.mark.parametrize("options", [{"ordered": True}, {"ordered": False}], ids=["in order", "as they come"])
def test_lists_that_are_collected_are_waited_for(options):
    definition = (every_second, map_batches(a_second, 2, concurrency=2, **options), same)
    each = after(9.5, definition).stages["map_batches"]
    # Lists go off at 2, 4, 6 and 8 seconds, and one worker is enough.
    assert spent(each) == close(4, 15, 0)
    assert (each.latency.count, each.latency.seconds) == (8, pytest.approx(8))


def test_a_source_that_is_to_be_opened_anew_waits():
    opened = []

    async def breaks():
        opened.append(True)
        if len(opened) == 1:
            raise ConnectionError
        yield 1

    stats = after(10, (stage(breaks, restart=Restart(first=4, jitter=0)), same))
    assert spent(stats.stages["breaks"]) == close(0, 4, 0)


def test_what_was_settled_in_an_earlier_session_counts():
    source = Flaky(4, pulls=[2])
    stats = after(50, (stage(source, restart=Restart(first=1, jitter=0)), a_second))
    assert (stats.latency.count, stats.latency.seconds) == (4, pytest.approx(1 + 1.9 + 1 + 1.9))


def test_threads_are_busy_with_their_calls():
    stats = after(5, (at_once, stage(slow_in_a_thread, concurrency=2), same))
    assert spent(stats.stages["slow_in_a_thread"]) == close(10, 0, 0)
    stats = after(50, (at_once, stage(slow_in_a_thread, concurrency=2), same))
    assert spent(stats.stages["slow_in_a_thread"]) == close(20, 0, 0)
    assert stats.stages["slow_in_a_thread"].elapsed == pytest.approx(10)


def test_threads_are_blocked_where_there_is_no_room():
    definition = (lambda: range(50), stage(flat, many=True), stage(slow_in_a_thread, concurrency=2))
    each = after(100, definition, buffer=1, taken=False).stages["slow_in_a_thread"]
    assert each.busy == pytest.approx(2 * each.received)
    assert each.blocked == pytest.approx(200 - each.busy - each.waiting)
    assert each.blocked > 150


def test_what_threads_have_waited_is_not_blocked_later():
    async def from_ten(n=8):
        await asyncio.sleep(10)
        for number in range(n):
            yield number

    def first_is_slow(item):
        time.sleep(20 if item == 0 else 0)
        return item

    steps = (from_ten, stage(first_is_slow, concurrency=2, ordered=False), stage(never_done, buffer=1))
    idle = after(9, steps, buffer=1).stages["first_is_slow"]
    assert spent(idle) == close(0, 18, 0)
    each = after(29, steps, buffer=1).stages["first_is_slow"]
    assert spent(each) == close(19, 20, 19)


@pytest.mark.parametrize(
    "definition",
    [
        (every_second, batch(3), same),
        (every_second, filter_(lambda n: n % 2), a_second),
        ((every_second, at_once), zip_, a_second),
        ((every_second, at_once), zip_(uneven="shortest"), a_second),
        ((every_second, at_once), a_second),
        (every_second, route(lambda n: "b" if n % 2 else None), {"a": a_second, "b": same}),
        (every_second, stage(a_second, timeout=5), stage(slow_in_a_thread, timeout=5)),
        (every_second, stage(a_second, rate=0.5, concurrency=3), same),
        (every_second, stage(slow_in_a_thread, concurrency=3), stage(a_second, concurrency=2)),
        (every_second, stage(same, buffer=1, overflow="drop_oldest"), three_seconds),
    ],
    ids=str,
)
@pytest.mark.parametrize("seconds", [0, 0.5, 4, 7.25, 100])
def test_it_adds_up(definition, seconds):
    after(seconds, definition)


def test_a_message_is_given_when_the_source_has_it_also_where_nobody_looks():
    class Slow(QueueSource):
        @asynccontextmanager
        async def open(self, after=None):
            async with super().open(after) as session:
                yield _OneASecond(session)

    async def slow_at_first(item):
        await asyncio.sleep(0 if item else 20)

    latency = after(100, (Slow(range(10)), slow_at_first)).latency
    assert (latency.count, latency.seconds) == (10, pytest.approx(sum(range(11, 21))))


class _OneASecond:
    def __init__(self, session):
        self.session, self.answer = session, session.answer

    async def __aiter__(self):
        async for message in self.session:
            await asyncio.sleep(1)
            yield message


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}], ids=str)
async def test_a_thread_that_is_left_behind_was_busy(options):
    begun, goes_on = threading.Event(), threading.Event()

    def stuck(item):
        begun.set()
        goes_on.wait(20)

    run = DataFlow((at_once, stage(stuck, **options))).stream()
    try:
        with pytest.raises(ShutdownTimeoutError):
            async with run:
                await asyncio.to_thread(begun.wait, 20)
                before = run.stats().stages["stuck"]
                run.stop(timeout=0.01)
        after_it = run.stats()
        assert after_it.stages["stuck"].busy >= before.busy
        adds_up(after_it)
    finally:
        goes_on.set()


def test_a_worker_that_is_left_behind_counts_no_more():
    goes_on = asyncio.Event()

    async def stays(item):
        while not goes_on.is_set():
            with suppress(asyncio.CancelledError):
                await goes_on.wait()

    async def main():
        run = DataFlow((at_once, stage(stays, concurrency=2, ordered=False))).stream()
        with pytest.raises(ShutdownTimeoutError):
            async with run:
                await asyncio.sleep(1)
                run.stop(timeout=1)
        stats = run.stats()
        await asyncio.sleep(100)
        assert run.stats() == stats
        goes_on.set()
        await asyncio.sleep(1)
        assert spent(run.stats().stages["stays"]) == spent(stats.stages["stays"])

    run_virtual(main())


def test_a_run_that_is_over_grows_no_older():
    async def main():
        run = DataFlow((at_once, same)).stream()
        async for _ in run:
            pass
        stats = run.stats()
        await asyncio.sleep(10)
        assert run.stats() == stats

    run_virtual(main())


def test_what_waits_for_its_rate_to_be_written_is_somewhere():
    class Slow(Sink):
        def __init__(self):
            self.chunk = 5

        def open(self):
            return nullcontext(same)

    source, sink = after(1.5, (at_once, stage(Slow(), rate=1))).stages.values()
    assert source.sent == sink.received + sink.queued == 10
    assert sink.in_flight == 5


def test_acks_that_are_awaited_hold_a_source_up():
    class Slow(Sink):
        def __init__(self):
            self.chunk = 1

        def open(self):
            return self

        async def __aenter__(self):
            return a_second

        async def __aexit__(self, *_):
            pass

    source = QueueSource(range(8), max_unacked=2)
    stats = after(4.5, (source, Slow()))
    (first, sink) = stats.stages.values()
    assert first.unacked == 2
    assert spent(sink) == close(4.5, 0, 0)
    assert first.blocked == pytest.approx(4.5)
    # The first was done in one second, the others have waited for the one before them.
    assert (stats.latency.count, stats.latency.seconds) == (4, pytest.approx(1 + 2 + 2 + 2))


async def test_busy_stages_that_are_walked_through_are_told_apart():
    def spins(item):
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
        return item

    quick, slow = stage(same, name="quick"), stage(spins, name="slow", executor="inline")
    run = DataFlow((at_once, quick, slow, stage(same, name="last"))).stream({"n": 2000})
    async for _ in run:
        pass
    stats = run.stats()
    adds_up(stats)
    assert stats.stages["slow"].busy > 5 * (stats.stages["quick"].busy + stats.stages["last"].busy)
    assert stats.stages["slow"].latency.quantile(0.5) >= 0.00045
    assert stats.stages["quick"].latency.quantile(0.5) < 0.0001


class TestWaits:
    def test_waits_are_added_up_with_those_that_last(self):
        waits = Waits(iter([1, 3, 5, 10]).__next__)
        with waits:
            with waits:
                assert waits.seconds(4) == 4
            assert waits.seconds(10) == 11
        assert waits.seconds(50) == 11

    def test_one_worker_that_waits_in_two_places_waits_once(self):
        waits = AnyWait(iter([0, 7]).__next__)
        with waits:
            with waits:
                assert waits.seconds(5) == 5
            assert waits.seconds(6) == 6
        assert waits.seconds(50) == 7


@pytest.mark.parametrize(
    ("seconds", "left"),
    [(2, (12, 3, 5)), (7, (17, 0, 3)), (100, (20, 0, 0)), (-4, (6, 9, 5)), (-50, (0, 15, 5))],
)
def test_work_done_by_others_is_taken_from_who_has_waited_for_it(seconds, left):
    each = Spent(20, 10, 5, 5, Histogram())
    each.pass_on(seconds)
    assert spent(each) == left
