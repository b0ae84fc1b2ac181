"""A consumer's cancellation is never lost and never made up, whatever fails beside it (invariants 22, 24)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.testing.virtual_clock import run_virtual

pytestmark = pytest.mark.usefixtures("both_ways")

STEPS = range(60)


async def same(item):
    return item


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


def flow_that_fails(at, closing):
    """A flow that fails after some steps, and whose end takes some steps more."""

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            await turns(closing)

    async def fails(item):
        await turns(at)
        raise LookupError(item)

    return DataFlow((source, same, fails))


async def in_a_block(flow):
    async with flow.stream() as run:
        async for _ in run:
            pass


async def one_result_and_close(flow):
    run = flow.stream()
    try:
        await anext(run)
    finally:
        await run.aclose()


async def in_one_call(flow):
    await flow.run()


async def catching_the_failure(flow):
    with contextlib.suppress(LookupError):
        async with flow.stream() as run:
            async for _ in run:
                pass
    await asyncio.Event().wait()


async def with_a_body_that_fails(flow):
    async with flow.stream():
        await turns(3)
        raise KeyError("body")


async def with_a_resource(flow):
    async with DataFlow(flow.definition, resources={"pool": make_pool}).stream() as run:
        await anext(run)


async def make_pool():
    """A coroutine function: a plain one would be called in a thread, and time is virtual here."""
    return pool()


@contextlib.asynccontextmanager
async def pool():
    await turns(2)
    try:
        yield
    finally:
        await turns(2)


async def waiting(flow):
    async with flow.stream() as run:
        await run.wait()


CONSUMERS = [
    in_a_block,
    one_result_and_close,
    in_one_call,
    catching_the_failure,
    with_a_body_that_fails,
    with_a_resource,
    waiting,
]


@pytest.mark.parametrize("closing", [0, 5])
@pytest.mark.parametrize("consumer", CONSUMERS)
def test_a_cancel_comes_out_as_a_cancel_at_every_step(consumer, closing):
    """A stage fails some steps in; the consumer is cancelled at each step before, in and after that."""
    refused = 0

    async def at(step):
        nonlocal refused
        task = asyncio.ensure_future(consumer(flow_that_fails(8, closing)))
        await turns(step)
        accepted = task.cancel()
        refused += not accepted
        await asyncio.wait([task])
        # Accepted means that the task had not ended: it has to end cancelled.
        assert task.cancelled() == accepted, (step, task)
        if not task.cancelled():
            task.exception()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    for step in STEPS:
        run_virtual(at(step))
    # The sweep went past the end, where there is one.
    assert refused or consumer is catching_the_failure


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_a_failure_alone_cancels_nobody(consumer):
    async def main():
        task = asyncio.ensure_future(consumer(flow_that_fails(8, 5)))
        await asyncio.sleep(1)
        counted = task.cancelling()
        task.cancel()
        await asyncio.wait([task])
        assert counted == 0
        assert task.cancelled() == (consumer is catching_the_failure)
        if not task.cancelled():
            assert isinstance(task.exception(), LookupError | KeyError)

    run_virtual(main())


@pytest.mark.parametrize("closing", [0, 0.5])
def test_a_timeout_around_it_all_is_a_timeout_at_every_moment(closing):
    """``asyncio.timeout`` counts cancellations: one swallowed or made up would break it."""

    async def source():
        try:
            for number in itertools.count():
                await asyncio.sleep(0.1)
                yield number
        finally:
            await asyncio.sleep(closing)

    async def fails(item):
        if item == 5:
            raise LookupError(item)
        return item

    async def main(seconds):
        task = asyncio.current_task()
        outcome = None
        try:
            async with asyncio.timeout(seconds):
                async with DataFlow((source, fails)).stream() as run:
                    async for _ in run:
                        pass
        except (TimeoutError, LookupError) as error:
            outcome = type(error)
        assert task.cancelling() == 0
        await asyncio.sleep(1)
        assert asyncio.all_tasks() == {task}
        return outcome

    ended = 0.6 + closing
    for tenths in range(1, 30):
        seconds = tenths / 20 + 0.01
        assert run_virtual(main(seconds)) is (TimeoutError if seconds < ended else LookupError), seconds


def test_a_task_group_around_it_gets_the_failure_and_not_a_cancel():
    async def main():
        ended = []

        async def sibling():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("sibling")

        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(sibling())
                group.create_task(in_a_block(flow_that_fails(3, 3)))
        assert [type(each) for each in caught.value.exceptions] == [LookupError]
        assert ended == ["sibling"]

    run_virtual(main())


def test_many_cancels_in_a_row_end_it_and_leave_nothing():
    async def at(step):
        task = asyncio.ensure_future(in_a_block(flow_that_fails(8, 10)))
        await turns(step)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if not task.cancelled():
            task.exception()

    for step in STEPS:
        run_virtual(at(step))
