"""An open run is entered when what it needs is there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import DataFlow, stage


def held(reached, go_on, seen):
    @asynccontextmanager
    async def model():
        reached.set()
        try:
            await go_on.wait()
            seen.append("open")
            yield 2
        finally:
            seen.append("closed")

    return model


async def times(n, *, model):
    return n * model


def test_resources_are_open_when_the_block_is_entered():
    async def main():
        reached, go_on, seen = asyncio.Event(), asyncio.Event(), []
        go_on.set()
        async with DataFlow((stage(times, per_worker={"model": held(reached, go_on, seen)}),)).open() as run:
            assert seen == ["open"]
            assert await run.call(2) == 4

    asyncio.run(main())


def test_cancelled_while_it_is_opened_nothing_is_left():
    async def main():
        reached, go_on, seen = asyncio.Event(), asyncio.Event(), []
        run = DataFlow((stage(times, per_worker={"model": held(reached, go_on, seen)}),)).open()
        entering = asyncio.create_task(run.__aenter__())
        await reached.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert seen == ["closed"]

    asyncio.run(main())
