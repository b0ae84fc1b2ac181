"""Execution: stop, the deadline, clean-up and the order of the end (invariants 25 to 27)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading

import pytest

from asyncdataflow import DataFlow, batch, dead_letter, stage, take, through
from asyncdataflow.errors import ShutdownTimeoutError
from asyncdataflow.testing.seeded_loop import run_seeded
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.ticking_flows import DEADLINE, Ticking, collected, double, now, numbers, turns

pytestmark = pytest.mark.usefixtures("both_ways")


class TestStop:
    def test_it_cancels_at_the_await(self):
        ended = []

        async def patient(item):
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append(now())

        async def main():
            async with DataFlow((numbers, patient)).stream() as run:
                await asyncio.sleep(1)
                run.stop()
                assert await collected(run) == []
                await run.wait()

        run_virtual(main())
        assert ended == [1.0]

    @pytest.mark.parametrize("grace", [0.5, 5.0])
    def test_a_stage_that_swallows_its_cancellation_cannot_hang_it(self, grace, caplog):
        """Invariant 25: named, with its stack, and left behind."""
        release = None

        async def stubborn(item):
            while not release.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(release)

        async def main():
            nonlocal release
            release = asyncio.get_running_loop().create_future()
            run = DataFlow((numbers, stubborn)).stream()
            async with run:
                await asyncio.sleep(1)
                run.stop(timeout=grace)
                with pytest.raises(ShutdownTimeoutError) as caught:
                    await collected(run)
                ended = now()
            release.set_result(None)
            await turns()
            return str(caught.value), ended, run.state

        with caplog.at_level(logging.ERROR, "asyncdataflow"):
            told, ended, state = run_virtual(main())
        assert ended == pytest.approx(1.0 + grace, rel=0.05)
        assert "stubborn (definition[1])" in told
        assert "in stubborn" in told, "the stack"
        assert "test_execution.py" in told
        assert "stubborn (definition[1])" in caplog.text
        assert state == "failed"

    @pytest.mark.parametrize("swallowed", [1, 2, 3])
    def test_one_that_swallows_a_few_is_cancelled_again(self, swallowed):
        async def hard_of_hearing(item):
            for _ in range(swallowed):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
            await asyncio.Event().wait()

        async def main():
            async with DataFlow((numbers, hard_of_hearing)).stream() as run:
                await asyncio.sleep(1)
                run.stop()
                assert await collected(run) == []
                return run.state

        assert run_virtual(main()) == "ended"

    @pytest.mark.leaks("log", reason="the loop's end is where the thread is left")
    async def test_a_thread_that_does_not_end_is_named_with_its_stack(self):
        begun, release = threading.Event(), threading.Event()

        def stuck(item):
            begun.set()
            release.wait(DEADLINE)

        run = DataFlow((numbers, stuck)).stream()
        with pytest.raises(ShutdownTimeoutError) as caught:
            async with run:
                assert await asyncio.to_thread(begun.wait, DEADLINE)
                run.stop(timeout=0.05)
        release.set()
        assert "thread stuck-0" in str(caught.value)
        assert "release.wait(DEADLINE)" in str(caught.value)

    async def test_the_call_that_a_thread_is_in_may_end_within_the_grace(self):
        begun, release = threading.Event(), threading.Event()
        done = []

        def slow(item):
            begun.set()
            release.wait(DEADLINE)
            done.append(item)

        async with DataFlow((numbers, slow)).stream() as run:
            assert await asyncio.to_thread(begun.wait, DEADLINE)
            run.stop()
            await turns()
            assert not done
            release.set()
        assert done == [0]


def left(run):
    return run.__aexit__(None, None, None)


async def cut_by_drain(run):
    run.drain()
    await asyncio.sleep(1.5)
    await left(run)


async def stopped(run):
    run.stop()
    await left(run)


async def stopped_from_many_sides(run):
    run.drain()
    run.stop()
    await asyncio.gather(run.aclose(), left(run), run.aclose())


class TestCleanUp:
    """Invariant 26: awaits in the ``finally`` of user code are not cut short, and are bounded."""

    @pytest.mark.parametrize("leave", [left, cut_by_drain, stopped, stopped_from_many_sides])
    def test_awaits_in_a_finally_have_time(self, leave):
        finished = []

        async def source():
            try:
                yield 0
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(2)
                finished.append("source")

        async def many(item):
            try:
                yield item
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(2)
                finished.append("many")

        async def last(item):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(2)
                finished.append("last")

        async def main():
            run = DataFlow((source, many, last)).stream()
            await run.__aenter__()
            await asyncio.sleep(1)
            with contextlib.suppress(ShutdownTimeoutError):
                await leave(run)

        run_virtual(main())
        assert sorted(finished) == ["last", "many", "source"]

    def test_a_source_that_is_no_longer_wanted_is_not_disturbed_by_the_end(self):
        finished = []

        async def source():
            try:
                for number in itertools.count():
                    yield number
            finally:
                await asyncio.sleep(2)
                finished.append(now())

        async def main():
            async with DataFlow((source, take(1), double)).stream() as run:
                await anext(run)
                await asyncio.sleep(1)

        run_virtual(main())
        assert finished == [2.0]

    def test_one_that_takes_too_long_is_ended_and_named(self):
        async def endless(item):
            try:
                await asyncio.Event().wait()
            finally:
                while True:
                    await asyncio.sleep(1)

        async def main():
            run = DataFlow((numbers, endless)).stream()
            async with run:
                await asyncio.sleep(1)
            return run.state, now()

        state, ended = run_virtual(main())
        assert state == "ended"
        assert ended <= 6.1

    def test_an_error_of_the_clean_up_is_not_tried_again_or_skipped(self):
        """A cancelled stage that raises in its ``finally`` has ended: its policies are for items."""
        calls = []

        async def breaks(item):
            calls.append(item)
            try:
                await asyncio.Event().wait()
            finally:
                raise LookupError("on the way out")

        async def main(**options):
            calls.clear()
            run = DataFlow((numbers, stage(breaks, **options))).stream()
            with contextlib.suppress(LookupError):
                async with run:
                    await asyncio.sleep(1)
            assert calls == [0]
            assert [repr(each) for each in run.failures] == ["LookupError('on the way out')"]
            return now()

        for options in ({}, {"retry": 5}, {"on_error": "skip"}, {"on_error": dead_letter(calls.append)}):
            assert run_virtual(main(**options)) == 1.0, options


class TestTheOrderOfTheEnd:
    """Invariant 27."""

    def test_a_drain_ends_stages_from_source_to_sink(self):
        ended = []

        def part(name):
            async def work(items):
                try:
                    async for item in items:
                        yield item
                finally:
                    ended.append(name)

            return work

        async def main():
            flow = DataFlow((Ticking(), *(through(part(name), name=name) for name in "abc")))
            async with flow.stream() as run:
                await anext(run)
                run.drain()
                await collected(run)

        run_virtual(main())
        assert ended == ["a", "b", "c"]

    def test_a_stop_never_shows_a_stage_an_end_of_input_that_is_none(self):
        """It would flush a partial batch, or commit half of a file."""
        seen = []

        def part(name):
            async def work(items):
                async for item in items:
                    yield item
                seen.append(name)

            return work

        async def main():
            for ticks in range(30):
                flow = DataFlow((numbers_for_ever, *(through(part(name), name=name) for name in "abc")))
                async with flow.stream(buffer=2):
                    await turns(ticks)

        run_virtual(main())
        assert not seen


async def numbers_for_ever():
    for number in itertools.count():
        yield number


class TestTheEnd:
    @staticmethod
    async def steps_of(flow):
        """Steps of the loop that a call takes."""
        loop, steps = asyncio.get_running_loop(), itertools.count()

        def tick():
            nonlocal ticking
            next(steps)
            ticking = loop.call_soon(tick)

        ticking = loop.call_soon(tick)
        await flow.run()
        ticking.cancel()
        return next(steps)

    def test_it_takes_no_more_steps_of_the_loop_where_there_are_more_stages(self):
        """A worker that comes to its end closes what is behind it in the same step."""

        async def one():
            return 1

        # On virtual time: how long it takes, and so whether a turn is over, counts for nothing.
        few = run_virtual(self.steps_of(DataFlow((one, double))))
        many = run_virtual(self.steps_of(DataFlow((one, *[double] * 30))))
        assert many <= few

    def test_a_failure_is_not_taken_for_it(self):
        """What is behind a stage that fails is cancelled before it could see its input end."""
        sent = []

        async def fails_behind_two():
            yield 1
            yield 2
            await asyncio.sleep(0)
            raise LookupError("mine")

        async def save(batched):
            sent.append(batched)

        async def main():
            with pytest.raises(LookupError, match="mine"):
                await DataFlow((fails_behind_two, batch(3), save)).run()

        for seed in range(200):
            run_seeded(seed, main())
        assert sent == []

    async def test_any_number_may_wait_for_it_and_give_up(self):
        async def never(item):
            await asyncio.Event().wait()

        async with DataFlow((numbers, never)).stream() as run:
            waiting = [asyncio.create_task(run.wait()) for _ in range(3)]
            await turns()
            waiting[1].cancel()
            await turns()
            assert [each.done() for each in waiting] == [False, True, False]
        await asyncio.wait(waiting)
        assert [each.cancelled() for each in waiting] == [False, True, False]
