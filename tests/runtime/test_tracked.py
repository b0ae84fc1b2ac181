"""What is tracked: it is taken back while it lies in an edge, and lives no longer than it is needed."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import AckableSource, DataFlow, Message, combine_latest, stage
from asyncdataflow.testing import QueueSource


@pytest.mark.parametrize(
    "steps", [(), (combine_latest(buffer=5),)], ids=["an edge", "an edge that says from which branch"]
)
async def test_what_nobody_has_begun_is_taken_back(steps):
    given, go_on = [], asyncio.Event()

    class Kept(AckableSource):
        @asynccontextmanager
        async def open(self, after=None):
            yield self

        async def __aiter__(self):
            for number in range(20):
                given.append(Message(number))
                yield given[-1]

        async def answer(self, answers):
            pass

    async def wait(item):
        await go_on.wait()

    async with DataFlow(((Kept(), QueueSource(range(20))), *steps, stage(wait, buffer=5))).stream() as run:
        for _ in range(50):
            await asyncio.sleep(0)
        (lying,) = [message for message in given if run.take_back(message)][-1:]
        assert not run.take_back(lying)
        assert not run.take_back(Message(99))
        run.stop()


class SlowToHear(AckableSource):
    """It is told nothing until it may be."""

    def __init__(self):
        self.may_be_told = asyncio.Event()

    @asynccontextmanager
    async def open(self, after=None):
        yield self

    async def __aiter__(self):
        for number in range(50):
            yield Message(number)

    async def answer(self, answers):
        await self.may_be_told.wait()


class Result:
    """What was made of a number, and can be watched."""

    def __init__(self, made):
        made.append(weakref.ref(self))


async def test_a_result_lives_no_longer_than_the_consumer_has_it():
    source, made = SlowToHear(), []

    async def make(number):
        return Result(made)

    async with DataFlow((source, make)).stream() as run:
        for _ in range(50):
            await anext(run)
        # The last one is in hand still.
        assert [each() for each in made[:-1]] == [None] * 49
        source.may_be_told.set()


@pytest.mark.parametrize("several", [1, 3])
async def test_what_a_sink_was_given_lives_no_longer_than_that(several):
    source, made, written = SlowToHear(), [], []

    async def make(number):
        return Result(made)

    async def write(result):
        written.append(weakref.ref(result))

    async with DataFlow((source, make, stage(write, concurrency=several))).stream() as run:
        while len(written) < 50:
            await asyncio.sleep(0)
        # A worker has the last one in its frame.
        assert sum(each() is not None for each in written) <= several
        source.may_be_told.set()
        await run.wait()
