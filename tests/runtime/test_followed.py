"""Calls that are over later than the function that was called."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asyncdataflow import DataFlow, stage
from tests.instruments import CURRENT, Book, double, ran


@pytest.mark.parametrize("executor", ["loop", "thread"])
def test_a_generator_that_has_to_be_awaited_first(executor):
    """The call is over behind its last item."""

    async def items(n):
        for _ in range(2):
            await asyncio.sleep(0)
            step = CURRENT.get()
            yield step.stage, step.ended

    async def made(n):
        await asyncio.sleep(0)
        return items(n)

    def plain(n):
        return made(n)

    make = stage(made if executor == "loop" else plain, name="made", many=True)
    _, results = ran((make, double), items=range(1))
    assert results == [("made", None, "made", None)] * 2


@pytest.mark.parametrize("concurrency", [1, 2])
def test_what_a_thread_leaves_to_the_loop_when_nobody_awaits_it_any_more(concurrency):
    book, begun, go_on = Book(), threading.Event(), threading.Event()

    class Later:
        def __await__(self):
            raise AssertionError("nobody awaits it")

    def left(n):
        begun.set()
        go_on.wait(20)
        return Later()

    async def main():
        flow = DataFlow(stage(left, concurrency=concurrency), instruments=[book])
        async with flow.stream(items=range(1)) as run:
            waiting = asyncio.create_task(anext(run))
            await asyncio.to_thread(begun.wait)
            run.stop()
            go_on.set()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    (step,) = book.steps
    assert type(step.error).__name__ in ("UnsettledError", "CancelledError")
    book.check()
