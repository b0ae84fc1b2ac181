"""Drain: the sources stop, and everything made by then arrives (design section 9)."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import DataFlow, Source, batch, filter_, merge, stage
from asyncdataflow.errors import ShutdownTimeoutError
from asyncdataflow.policy import Restart
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.ticking_flows import DEADLINE, Ticking, collected, double, now, numbers, turns

pytestmark = pytest.mark.usefixtures("both_ways")


def test_a_generator_ends_at_its_next_yield_that_item_included():
    source = Ticking()

    async def main():
        async with DataFlow((source, double)).stream() as run:
            assert await anext(run) == 0
            await asyncio.sleep(0.5)
            run.drain()
            rest = await collected(run)
            return rest, now()

    rest, ended = run_virtual(main())
    assert rest == [2]
    assert source.made == [0, 1]
    assert ended == source.closed_at == 2.0


def test_a_generator_is_ended_at_its_await_after_one_second():
    async def silent():
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            closed.append(now())

    closed = []

    async def main():
        async with DataFlow((silent, double)).stream() as run:
            first = await anext(run)
            await asyncio.sleep(10)
            run.drain()
            return first, await collected(run), run.state, now()

    assert run_virtual(main()) == (0, [], "ended", 11.0)
    assert closed == [11.0]


@pytest.mark.parametrize("restart", [None, Restart()])
def test_a_source_that_is_still_opening_is_ended_after_one_second(restart):
    seen = []

    class Slow(Source):
        @asynccontextmanager
        async def open(self):
            try:
                await asyncio.sleep(1000)
                yield numbers()
            finally:
                seen.append("closed")

    async def main():
        async with DataFlow(((numbers, stage(Slow(), restart=restart)), merge, double)).stream() as run:
            asyncio.get_running_loop().call_later(5, run.drain)
            await asyncio.sleep(5)
            results = [each async for each in run]
            await run.wait()
        assert now() == 6
        return results

    assert len(run_virtual(main())) > 1
    assert seen == ["closed"]


def test_an_item_that_comes_within_the_second_is_the_last():
    async def slow():
        yield 0
        for number in itertools.count(1):
            await asyncio.sleep(0.9)
            yield number

    async def main():
        async with DataFlow((slow, double)).stream() as run:
            await anext(run)
            run.drain()
            return await collected(run)

    assert run_virtual(main()) == [2]


def test_what_a_source_does_in_its_finally_has_time():
    async def silent():
        try:
            await asyncio.Event().wait()
            yield
        finally:
            await asyncio.sleep(20)
            closed.append(now())

    closed = []

    async def main():
        async with DataFlow((silent, double)).stream() as run:
            await turns()
            run.drain(timeout=30)
            return await collected(run)

    assert run_virtual(main()) == []
    assert closed == [21.0]


def test_everything_in_flight_settles_and_partial_batches_are_sent():
    source = Ticking()

    async def slow(item):
        await asyncio.sleep(7)
        return item

    async def main():
        flow = DataFlow((source, stage(slow, concurrency=4), batch(100)))
        async with flow.stream() as run:
            await asyncio.sleep(5.5)
            run.drain()
            return await collected(run)

    assert run_virtual(main()) == [source.made]
    assert len(source.made) == 6


def test_every_source_is_stopped_and_every_item_that_was_made_arrives():
    sources = [Ticking(), Ticking(), Ticking()]

    async def main():
        async with DataFlow((tuple(sources), double, filter_(lambda _: True))).stream(buffer=1) as run:
            await asyncio.sleep(3.5)
            run.drain()
            return await collected(run)

    assert sorted(run_virtual(main())) == sorted(2 * n for each in sources for n in each.made)


def test_wait_is_how_a_service_drains():
    written = []

    async def write(item):
        written.append(item)

    source = Ticking()

    async def main():
        async with DataFlow((source, write)).stream() as run:
            await asyncio.sleep(3.5)
            run.drain()
            await run.wait()
            return now()

    assert run_virtual(main()) == 4.0
    assert written == source.made == [0, 1, 2, 3]


def test_it_may_be_asked_for_twice():
    source = Ticking()

    async def main():
        async with DataFlow((source, double)).stream() as run:
            await anext(run)
            await asyncio.sleep(0.5)
            run.drain()
            run.drain(timeout=0.001)
            return await collected(run)

    assert run_virtual(main()) == [2]


def test_in_the_tick_of_the_start_it_starts_nothing_for_long():
    async def main():
        async with DataFlow((Ticking(), double)).stream() as run:
            run.drain()
            return await collected(run), now()

    results, ended = run_virtual(main())
    assert results in ([], [0])
    assert ended <= 1.0


def test_past_its_deadline_it_says_what_is_unsettled():
    async def stuck(item):
        await asyncio.Event().wait()

    async def main():
        flow = DataFlow((numbers, double, stage(stuck, concurrency=2)))
        async with flow.stream() as run:
            await turns()
            run.drain(timeout=3)
            with pytest.raises(ShutdownTimeoutError) as caught:
                await collected(run)
            return str(caught.value), now(), run.state

    told, ended, state = run_virtual(main())
    assert "2 in stuck" in told
    assert "3 queued" in told
    assert ended == 3.0
    assert state == "failed"


async def test_a_generator_in_a_thread_ends_at_its_next_yield_and_nothing_made_is_lost():
    at_rest, go_on = threading.Event(), threading.Event()
    made = []

    def source():
        for number in itertools.count():
            made.append(number)
            yield number
            if number == 2:
                at_rest.set()
                go_on.wait(DEADLINE)

    async with DataFlow((source, double)).stream() as run:
        first = await anext(run)
        assert await asyncio.to_thread(at_rest.wait, DEADLINE)
        run.drain()
        go_on.set()
        assert [first, *await collected(run)] == [2 * n for n in made]


async def test_what_a_thread_made_ahead_is_not_lost():
    """It runs ahead by what finds room; the drain comes while that is on its way."""
    made = []

    def source():
        for number in itertools.count():
            made.append(number)
            yield number

    results = []
    async with DataFlow((source, stage(double, buffer=64))).stream(buffer=4) as run:
        async for result in run:
            results.append(result)
            if len(results) == 40:
                run.drain()
    assert results == [2 * n for n in made]
