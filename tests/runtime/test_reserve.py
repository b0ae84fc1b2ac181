"""Of several workers of a stage on the loop, those start that are needed, when they are."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.errors import StageCancelledError
from asyncdataflow.testing.virtual_clock import run_virtual

SORTS = pytest.mark.parametrize(
    "options",
    [{"ordered": False}, {}, {"key": lambda n: n}],
    ids=["in any order", "in order", "by key"],
)


async def numbers(count):
    for n in range(count):
        yield n


def workers():
    """Tasks of the stage that is called ``work``."""
    return sum(task.get_name().endswith(": work") for task in asyncio.all_tasks())


@SORTS
def test_while_no_call_suspends_there_is_one(options):
    seen = set()

    async def work(n):
        seen.add(workers())
        return n

    flow = DataFlow((numbers, stage(work, concurrency=1000, **options)))
    assert run_virtual(flow.run({"count": 500})) == list(range(500))
    assert seen == {1}


@SORTS
@pytest.mark.parametrize("count", [1, 5, 40])
def test_there_are_as_many_as_have_had_something_to_do_at_once(options, count):
    async def work(n):
        await asyncio.sleep(1)
        return workers()

    flow = DataFlow((numbers, stage(work, concurrency=40, **options)))
    assert max(run_virtual(flow.run({"count": count}))) <= count + 1


@SORTS
def test_when_all_are_needed_all_start(options):
    async def work(n):
        await asyncio.sleep(1)
        return workers()

    async def main():
        began = asyncio.get_running_loop().time()
        made = await DataFlow((numbers, stage(work, concurrency=40, **options))).run({"count": 200})
        return made, asyncio.get_running_loop().time() - began

    made, took = run_virtual(main())
    assert max(made) == 40
    assert took == pytest.approx(5)


@SORTS
def test_one_that_waits_is_woken_before_another_is_started(options):
    """Items that come one by one, each when the one before it is made, need no second worker."""

    async def now_and_then():
        for n in range(50):
            await asyncio.sleep(2)
            yield n

    async def work(n):
        await asyncio.sleep(1)
        return workers()

    made = run_virtual(DataFlow((now_and_then, stage(work, concurrency=40, **options))).run())
    # The second may start beside the first, which has just come to its first wait.
    assert max(made) <= 2
    assert len(made) == 50


@SORTS
def test_those_that_have_not_started_have_waited(options):
    async def work(n):
        await asyncio.sleep(1)
        return n

    async def main():
        async with DataFlow((numbers, stage(work, concurrency=4, **options))).stream({"count": 2}) as run:
            results = [n async for n in run]
            return sorted(results), run.stats().stages["work"], run.stats().elapsed

    results, stats, elapsed = run_virtual(main())
    assert results == [0, 1]
    assert elapsed == pytest.approx(1)
    assert stats.busy == pytest.approx(2)
    assert stats.waiting == pytest.approx(2)


@SORTS
@pytest.mark.parametrize("step", range(2, 14))
def test_one_that_is_cancelled_before_its_first_step_has_waited_until_then(options, step):
    begun = 0

    async def work(n):
        nonlocal begun
        begun += 1
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)

    async def main():
        async with DataFlow((numbers, stage(work, concurrency=4, **options))).stream({"count": 40}) as run:
            for _ in range(step):
                await asyncio.sleep(0)
            run.stop()
            await run.wait()
        return run.stats().elapsed, run.stats().stages["work"]

    elapsed, stats = run_virtual(main())
    assert stats.busy == pytest.approx(begun * elapsed)
    assert stats.waiting == pytest.approx((4 - begun) * elapsed)


@SORTS
def test_awaitables_of_a_plain_function_are_awaited_side_by_side(options):
    """That it would suspend is known only when it does: the third lets the first go on."""

    async def main():
        ready = asyncio.Event()

        async def met(n):
            if n == 2:
                ready.set()
            await ready.wait()
            return n

        def call(n):
            return met(n)

        flow = DataFlow((numbers, stage(call, executor="inline", concurrency=10, **options)))
        async with asyncio.timeout(10):
            return sorted(await flow.run({"count": 3}))

    assert run_virtual(main()) == [0, 1, 2]


@SORTS
async def test_all_have_the_context_of_the_run(options):
    colour = contextvars.ContextVar("colour", default="none")
    colour.set("the run's")

    async def before(n):
        colour.set(f"of the stage before, item {n}")
        await asyncio.sleep(0)
        return n

    async def work(n):
        await asyncio.sleep(0)
        return colour.get()

    flow = DataFlow((numbers, before, stage(work, concurrency=5, **options)))
    assert set(await flow.run({"count": 20})) == {"the run's"}


@SORTS
async def test_it_does_not_take_as_many_turns_of_the_loop_as_there_are_workers(options):
    at_work = turns = 0
    all_at_work = asyncio.Event()

    async def work(n):
        nonlocal at_work
        at_work += 1
        if at_work == 100:
            all_at_work.set()
        await all_at_work.wait()
        return n

    async def count_turns():
        nonlocal turns
        while not all_at_work.is_set():
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count_turns())
    flow = DataFlow((numbers, stage(work, concurrency=100, **options)))
    async with asyncio.timeout(10):
        assert sorted(await flow.run({"count": 100})) == list(range(100))
        await counting
    assert turns < 50


@SORTS
@pytest.mark.parametrize("steps", range(16))
def test_a_worker_that_somebody_else_cancels_ends_the_run_at_whatever_step(options, steps):
    async def work(n):
        await asyncio.sleep(0.1)
        return n

    async def main():
        async with (
            asyncio.timeout(100),
            DataFlow((numbers, stage(work, concurrency=4, **options))).stream({"count": 40}) as run,
        ):
            for _ in range(steps):
                await asyncio.sleep(0)
            tasks = [task for task in asyncio.all_tasks() if task.get_name().endswith(": work")]
            # Of several, one that has not begun, if there is one.
            tasks.sort(key=lambda task: task.get_coro().cr_frame.f_lasti)
            if tasks:
                tasks[0].cancel()
            return bool(tasks), len([n async for n in run])

    try:
        cancelled, results = run_virtual(main())
    except StageCancelledError:
        return
    assert (cancelled, results) == (False, 40)


@SORTS
@pytest.mark.parametrize("stopped", [False, True])
async def test_a_run_that_is_over_is_kept_by_nobody(options, stopped):
    async def work(n):
        await asyncio.sleep(3600 if stopped else 0)
        return n

    async def run_once():
        async with DataFlow((numbers, stage(work, concurrency=4, **options))).stream({"count": 3}) as run:
            execution = weakref.ref(run._execution)
            if stopped:
                await asyncio.sleep(0.01)
            else:
                assert len([n async for n in run]) == 3
        return execution

    gc.collect()
    gc.disable()
    try:
        execution = await run_once()
        for _ in range(5):
            await asyncio.sleep(0)
        assert execution() is None
    finally:
        gc.enable()


async def test_where_each_opens_something_of_its_own_all_start_at_once():
    opened = []

    def one():
        opened.append(None)
        return len(opened)

    async def work(n, mine):
        return n

    flow = DataFlow((numbers, stage(work, concurrency=3, per_worker={"mine": one})))
    async with flow.stream({"count": 1}) as run:
        assert [n async for n in run] == [0]
    assert len(opened) == 3


@SORTS
@pytest.mark.parametrize("steps", range(12))
async def test_a_run_that_is_left_while_one_starts_leaves_nothing(options, steps):
    begun = 0

    async def work(n):
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()
        return n

    async with asyncio.timeout(10):
        async with DataFlow((numbers, stage(work, concurrency=40, **options))).stream({"count": 40}):
            for _ in range(steps):
                await asyncio.sleep(0)
        assert not workers()
        left = begun
        for _ in range(5):
            await asyncio.sleep(0)
        assert begun == left


@SORTS
async def test_one_that_fails_while_another_starts_ends_the_run(options):
    async def work(n):
        await asyncio.sleep(0)
        if n == 3:
            raise ValueError(n)
        return n

    flow = DataFlow((numbers, stage(work, concurrency=40, **options)))
    async with asyncio.timeout(10):
        with pytest.raises(ValueError, match="3"):
            await flow.run({"count": 40})
    assert not workers()


@SORTS
@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has no eager tasks yet")
@pytest.mark.parametrize("seconds", [0, 1])
def test_eager_tasks(options, seconds):
    async def work(n):
        await asyncio.sleep(seconds)
        return n

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        began = asyncio.get_running_loop().time()
        made = await DataFlow((numbers, stage(work, concurrency=40, **options))).run({"count": 300})
        return sorted(made), asyncio.get_running_loop().time() - began

    assert run_virtual(main()) == (list(range(300)), 8 * seconds)
