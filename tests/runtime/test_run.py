"""Run: the handle that a consumer holds (invariants 22, 23, 28, 30, 31)."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import weakref

import pytest

from asyncdataflow import DataFlow, Run, stage, take
from asyncdataflow.errors import BusyRunError, ResultError
from asyncdataflow.testing.virtual_clock import run_virtual

pytestmark = pytest.mark.usefixtures("both_ways")

TURNS = 50
"""Loop turns within which a run that was told to stop has to be gone, where nothing awaits."""


async def numbers(limit=5):
    for number in range(limit):
        yield number


async def double(item):
    return item * 2


async def turns(count=TURNS):
    for _ in range(count):
        await asyncio.sleep(0)


def others():
    return asyncio.all_tasks() - {asyncio.current_task()}


class Endless:
    """A source without end that knows whether it runs and whether it was closed."""

    def __init__(self):
        self.pulled = 0
        self.closed = 0

    async def __call__(self):
        try:
            for number in itertools.count():
                self.pulled += 1
                yield number
        finally:
            await asyncio.sleep(0)
            self.closed += 1


@pytest.fixture
def endless():
    return Endless()


async def test_a_run_goes_from_new_to_running_to_ended():
    run = DataFlow((numbers, double)).stream()
    seen = [run.state]
    async for _ in run:
        seen.append(run.state)
    seen.append(run.state)
    assert (seen[0], seen[1], seen[-1]) == ("new", "running", "ended")


@pytest.mark.parametrize("options", [{}, {"concurrency": 2}, {"timeout": 5}], ids=repr)
async def test_a_coroutine_that_a_stage_forgot_to_await_is_no_result(options):
    async def forgets(number):
        return double(number)

    with pytest.raises(ResultError, match="returned a coroutine object; write return await"):
        await DataFlow((numbers, stage(forgets, **options))).run()


async def test_its_states_on_the_way_out(endless):
    async with DataFlow((endless, double)).stream() as run:
        await anext(run)
        run.drain()
        assert run.state == "draining"
        run.stop()
        assert run.state == "stopping"
        run.drain()
        assert run.state == "stopping"
    assert run.state == "ended"


async def test_a_failed_run_says_so_and_keeps_what_failed():
    async def fails(item):
        raise LookupError(item)

    run = DataFlow((numbers, fails)).stream()
    with pytest.raises(LookupError) as caught:
        await anext(run)
    assert run.state == "failed"
    assert run.failures == [caught.value]


def test_its_repr_and_stats_need_no_loop_and_start_nothing():
    run = DataFlow((numbers, double), name="ingest").stream()
    assert "ingest" in repr(run)
    assert "new" in repr(run)
    stats = run.stats()
    assert (stats.state, stats.results, stats.waiting, stats.elapsed) == ("new", 0, 0, 0.0)
    assert list(stats.stages) == ["numbers", "double"]


def test_making_a_stream_outside_a_loop_starts_nothing(endless):
    """Invariant 28; it may then be consumed in any loop."""
    before = threading.active_count()
    flow = DataFlow((endless, double, lambda item: item))
    run = flow.stream()
    assert isinstance(run, Run)
    assert threading.active_count() == before
    assert endless.pulled == 0

    async def main():
        await turns()
        assert endless.pulled == 0
        async with run:
            return await anext(run)

    assert asyncio.run(main()) == 0


async def test_the_run_starts_with_its_block(endless):
    async with DataFlow((endless, double)).stream():
        await turns()
        assert endless.pulled > 0
    assert endless.closed == 1


async def test_the_run_starts_with_the_first_result_that_is_asked_for(endless):
    run = DataFlow((endless, double)).stream()
    await turns()
    assert endless.pulled == 0
    assert await anext(run) == 0
    await run.aclose()
    assert endless.closed == 1


def by_exhaustion(run):
    return _exhaust(run)


async def _exhaust(run):
    async for _ in run:
        pass


async def by_aclose(run):
    await run.aclose()


async def by_stop(run):
    run.stop()
    await _exhaust(run)


async def by_drain(run):
    run.drain()
    await _exhaust(run)


async def by_block(run):
    async with run:
        pass


async def by_failure(run):
    with pytest.raises(LookupError):
        await _exhaust(run)


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("end", [by_exhaustion, by_aclose, by_stop, by_drain, by_block, by_failure])
async def test_after_its_end_a_run_is_only_ever_at_its_end(end, started):
    """Invariant 31."""

    async def picky(item):
        if end is by_failure and item == 3:
            raise LookupError(item)
        return item

    run = DataFlow((numbers, picky)).stream()
    if started:
        await anext(run)
    await end(run)
    for _ in range(3):
        with pytest.raises(StopAsyncIteration):
            await anext(run)
        await run.aclose()
        run.stop()
        run.drain()
        assert run.state == ("failed" if end is by_failure else "ended")
    async with run:
        assert [each async for each in run] == []
    assert not others()


async def test_a_failure_is_raised_once_by_whoever_asks_first():
    async def fails(item):
        raise LookupError(item)

    run = DataFlow((numbers, fails)).stream()
    async with run:
        with pytest.raises(LookupError):
            await anext(run)
        with pytest.raises(StopAsyncIteration):
            await anext(run)
        await run.aclose()


async def test_wait_raises_the_failure_every_time_and_leaving_not_again():
    async def fails(item):
        raise LookupError(item)

    async with DataFlow((numbers, fails)).stream() as run:
        for _ in range(2):
            with pytest.raises(LookupError):
                await run.wait()


@pytest.mark.parametrize("started", [False, True])
async def test_closing_before_the_first_result_starts_nothing_more(endless, started):
    run = DataFlow((endless, double)).stream()
    if started:
        await run.__aenter__()
    await run.aclose()
    await turns()
    # Entered but never stepped: a worker cancelled before its first step has opened nothing.
    assert endless.pulled == endless.closed == 0
    assert await anext(run, "ended") == "ended"
    assert not others()


async def test_closing_is_idempotent_from_any_number_of_tasks_at_once(endless):
    run = DataFlow((endless, double)).stream()
    await anext(run)
    await asyncio.gather(*(run.aclose() for _ in range(10)))
    assert endless.closed == 1
    assert not others()


async def test_closing_from_another_task_ends_a_waiting_consumer():
    async def silent():
        yield 0
        await asyncio.Event().wait()

    run = DataFlow((silent, double)).stream()
    assert await anext(run) == 0
    consumer = asyncio.create_task(_collected(run))
    await turns()
    assert not consumer.done()
    await run.aclose()
    assert await consumer == []


async def _collected(run):
    return [each async for each in run]


async def test_every_close_waits_until_nothing_is_left(endless):
    """Also the second one, which finds the first at work."""
    run = DataFlow((endless, double)).stream()
    await anext(run)

    async def close_and_look():
        await run.aclose()
        return endless.closed

    assert await asyncio.gather(*(close_and_look() for _ in range(3))) == [1, 1, 1]


async def test_leaving_an_inner_block_while_another_task_closes(endless):
    async with DataFlow((endless, double)).stream() as run:
        await anext(run)
        closing = asyncio.create_task(run.aclose())
        await asyncio.sleep(0)
    assert endless.closed == 1
    await closing


async def test_a_second_consumer_while_one_waits_is_refused_and_does_no_harm():
    """Invariant 30."""
    gate = asyncio.Event()

    async def gated():
        await gate.wait()
        yield "item"

    run = DataFlow((gated, stage(lambda item: item, executor="inline", name="same"))).stream()
    first = asyncio.create_task(anext(run))
    await turns()
    with pytest.raises(BusyRunError):
        await anext(run)
    gate.set()
    assert await first == "item"
    assert await anext(run, "ended") == "ended"


async def test_two_consumers_that_take_turns_share_the_results():
    run = DataFlow((numbers, double)).stream({"limit": 10})
    lock = asyncio.Lock()
    taken = [[], []]

    async def consume(into):
        while True:
            async with lock:
                result = await anext(run, None)
            if result is None:
                return
            into.append(result)
            await asyncio.sleep(0)

    await asyncio.gather(*map(consume, taken))
    assert sorted(taken[0] + taken[1]) == [2 * n for n in range(10)]
    assert all(taken)


async def test_a_cancelled_consumer_may_be_followed_by_another():
    gate = asyncio.Event()

    async def gated():
        await gate.wait()
        yield "item"

    async with DataFlow(gated).stream() as run:
        first = asyncio.create_task(anext(run))
        await turns()
        first.cancel()
        await asyncio.wait([first])
        gate.set()
        assert await anext(run) == "item"


@pytest.mark.parametrize("how", ["stop", "drain"])
async def test_stopping_before_the_start_starts_nothing(endless, how):
    run = DataFlow((endless, double)).stream()
    getattr(run, how)()
    assert await _collected(run) == []
    await run.wait()
    assert endless.pulled == 0


async def test_stop_still_delivers_the_results_that_lie_ready(endless):
    async with DataFlow((endless, double)).stream(buffer=8) as run:
        await turns()
        ready = run.stats().waiting
        assert ready == 8
        run.stop()
        assert await _collected(run) == [2 * n for n in range(ready)]
    assert endless.closed == 1


async def test_wait_returns_when_everything_has_ended(endless):
    async with DataFlow((endless, take(3))).stream() as run:
        waiting = asyncio.create_task(run.wait())
        await turns()
        assert waiting.done()
        assert endless.closed == 1
        assert await _collected(run) == [0, 1, 2]


async def test_wait_waits_for_the_consumer_too():
    async with DataFlow((numbers, double)).stream(buffer=1) as run:
        waiting = asyncio.create_task(run.wait())
        await turns()
        assert not waiting.done()
        await _collected(run)
        await waiting


async def test_cancelling_wait_does_not_stop_the_run():
    async with DataFlow((numbers, double)).stream(buffer=1) as run:
        waiting = asyncio.create_task(run.wait())
        await turns()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await _collected(run) == [0, 2, 4, 6, 8]


async def test_a_dropped_run_warns_and_is_stopped(endless):
    """Invariant 23."""
    run = DataFlow((endless, double), name="ingest").stream()
    await anext(run)
    dropped = weakref.ref(run)
    with pytest.warns(ResourceWarning, match="ingest") as warned:
        del run
        gc.collect()
    warned.clear()  # a warning holds on to what it is about
    await turns()
    assert dropped() is None
    assert endless.closed == 1
    assert not others()


async def test_breaking_out_of_a_plain_loop_drops_the_run(endless):
    with pytest.warns(ResourceWarning, match="dropped") as warned:
        async for _ in DataFlow((endless, double)).stream():
            break
        gc.collect()
    warned.clear()
    await turns()
    assert endless.closed == 1


async def test_a_run_that_was_never_started_or_has_ended_is_dropped_in_silence():
    """Warnings are errors here."""
    flow = DataFlow((numbers, double))
    flow.stream()
    async for _ in flow.stream():
        pass
    run = flow.stream()
    await anext(run)
    await run.aclose()
    del run
    gc.collect()


@pytest.mark.leaks("tasks", "generators", reason="asyncio.run itself ends what the dropped run has")
def test_a_run_dropped_after_its_loop_warns_and_breaks_nothing(endless):
    held = []

    async def main():
        held.append(DataFlow((endless, double)).stream())
        await anext(held[0])

    asyncio.run(main())
    assert endless.closed == 1
    # asyncio.run has ended the run: whether it warns too is of no matter to anyone.
    held.clear()
    gc.collect()


async def test_a_run_dropped_in_another_thread_is_stopped(endless):
    run = DataFlow((endless, double)).stream()
    await anext(run)
    holder = [run]
    del run
    with pytest.warns(ResourceWarning) as warned:
        await asyncio.to_thread(holder.clear)
    warned.clear()
    await turns()
    assert endless.closed == 1


def test_a_timeout_around_a_result_loses_nothing():
    async def every_second():
        for number in range(6):
            await asyncio.sleep(1)
            yield number

    async def main():
        seen, timeouts = [], 0
        async with DataFlow((every_second, double)).stream() as run:
            while True:
                try:
                    async with asyncio.timeout(0.3):
                        seen.append(await anext(run))
                except TimeoutError:
                    timeouts += 1
                    assert asyncio.current_task().cancelling() == 0
                except StopAsyncIteration:
                    return seen, timeouts

    seen, timeouts = run_virtual(main())
    assert seen == [2 * n for n in range(6)]
    assert timeouts > 12


@pytest.mark.parametrize("ticks", range(12))
def test_cancelling_a_wait_for_a_result_at_any_step_loses_nothing(ticks):
    """Invariant 2, at the consumer's end."""

    async def main():
        seen = []
        async with DataFlow((numbers, double)).stream({"limit": 30}, buffer=1) as run:
            while True:
                asking = asyncio.ensure_future(anext(run))
                await turns(ticks if len(seen) % 2 else 1 + len(seen) % 5)
                asking.cancel()
                await asyncio.wait([asking])
                if not asking.cancelled():
                    if asking.exception() is not None:
                        break
                    seen.append(asking.result())
                else:
                    # Else a wait that is always cut short would never get anything.
                    try:
                        seen.append(await anext(run))
                    except StopAsyncIteration:
                        break
        return seen

    assert run_virtual(main()) == [2 * n for n in range(30)]
