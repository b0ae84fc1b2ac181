"""Stretches as they meet what a user may do in the middle of one."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DataFlow, stage, take
from asyncdataflow.testing import run_virtual

MOST_OF_A_TURN = 1024 + 128
"""Where no time passes, a turn is over by the number of its items; the clock is read every 128th."""


class Heart:
    """Beats once a turn of the loop, and knows the most items between two beats."""

    def __init__(self):
        self.most = self._since = 0
        self._loop = asyncio.get_running_loop()
        self._beating = self._loop.call_soon(self._beat)

    def _beat(self):
        self._since = 0
        self._beating = self._loop.call_soon(self._beat)

    def count(self):
        self._since += 1
        self.most = max(self.most, self._since)

    def stop(self):
        self._beating.cancel()


async def numbers(count):
    for number in range(count):
        yield number


async def same(number):
    return number


def test_a_consumer_gives_the_loop_back_however_many_results_lie_ready():
    async def main():
        async with DataFlow((numbers, same)).stream({"count": 3000}, buffer=3000) as run:
            await anext(run)
            while run.stats().waiting < 2998:
                await asyncio.sleep(0)
            heart = Heart()
            async for _ in run:
                heart.count()
            heart.stop()
        return heart.most

    assert 100 < run_virtual(main()) <= MOST_OF_A_TURN


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("branches", [2, 3, 8])
@pytest.mark.parametrize("behind", [(same,), ()], ids=["into a stage", "into the run"])
def test_branches_that_have_always_more_come_alike(behind, branches, fuse):
    """Invariant 9."""

    def source(branch):
        async def made():
            while True:
                yield branch

        return made

    async def main():
        came = [0] * branches
        flow = DataFlow((tuple(map(source, range(branches))), *behind), fuse=fuse)
        async with flow.stream() as run:
            async for branch in run:
                came[branch] += 1
                if sum(came) == 6000:
                    return came

    came = run_virtual(main())
    assert max(came) < 1.5 * min(came)


def test_a_source_gives_the_loop_back_when_a_branch_wants_no_more():
    """The long way from then on, which waits for nobody where the other branches have room."""

    async def main():
        heart = Heart()

        async def counted():
            async for number in numbers(5000):
                heart.count()
                yield number

        async def kept(number):
            """A sink."""

        flow = DataFlow((counted, {"few": take(1), "all": stage(kept, buffer=5000)}))
        await flow.run()
        heart.stop()
        return heart.most

    assert 100 < run_virtual(main()) <= MOST_OF_A_TURN


class TestKeys:
    """Of workers by key, where the key function does more than to look at its item."""

    @pytest.mark.parametrize("keys", [1, 3])
    async def test_it_asks_the_run_something(self, keys):
        def key(number):
            if number == 5:
                runs[0].drain()
            return number % keys

        async with DataFlow((numbers, stage(same, concurrency=2, key=key))).stream({"count": 20}) as run:
            runs = [run]
            seen = [number async for number in run]
            assert sorted(seen) == list(range(len(seen)))
            assert len(seen) > 5
            assert run.stats().stages["same"].in_flight == 0

    @pytest.mark.parametrize("error", [StopIteration, ValueError, asyncio.CancelledError])
    async def test_it_raises(self, error):
        def key(number):
            if number == 5:
                raise error
            return number % 2

        flow = DataFlow((numbers, stage(same, concurrency=2, key=key, on_error="skip")))
        seen = await flow.run({"count": 10})
        assert sorted(seen) == [number for number in range(10) if number != 5]
