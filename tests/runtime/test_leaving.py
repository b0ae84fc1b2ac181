"""Whose cancellation it is, as the runtime knows it: the task itself cannot be asked."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow._runtime.leaving import Leaving


async def cancelled_by(leaving, cancel):
    """What a worker hears that is cancelled in some way."""

    async def worker():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return leaving.ordered(), asyncio.current_task().cancelling()

    task = asyncio.create_task(worker())
    await asyncio.sleep(0)
    cancel(task)
    return await task


@pytest.mark.parametrize("way", ["cancel", "insist"])
async def test_the_runtimes_own_is_ordered(way):
    leaving = Leaving()
    assert await cancelled_by(leaving, getattr(leaving, way)) == (True, 1)


async def test_nobody_elses_is_and_it_is_taken_back():
    assert await cancelled_by(Leaving(), asyncio.Task.cancel) == (False, 0)


async def test_where_everything_is_cancelled_it_is():
    async def runs():
        await asyncio.Event().wait()

    leaving = Leaving()
    leaving.runner = asyncio.create_task(runs())
    await asyncio.sleep(0)

    def tear_down(task):
        leaving.runner.cancel()
        task.cancel()

    assert await cancelled_by(leaving, tear_down) == (True, 1)
    await asyncio.wait([leaving.runner])


async def test_what_a_failed_task_group_leaves_behind_is_taken_back():
    async def fails():
        await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
    assert not Leaving().ordered()
    assert asyncio.current_task().cancelling() == 0


async def test_who_only_cleans_up_hears_of_it_when_it_would_go_on():
    async def worker():
        leaving.begin()
        await asyncio.sleep(0.01)
        before = leaving.ordered()
        leaving.go_on()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return before, leaving.ordered()

    leaving = Leaving()
    task = asyncio.create_task(worker())
    await asyncio.sleep(0)
    leaving.cancel(task)
    assert leaving.asked
    assert await task == (False, True)
