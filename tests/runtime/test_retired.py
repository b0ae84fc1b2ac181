"""Stages of whose results nobody wants more, and what only looks like it; a full branch beside a free one."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asyncdataflow import DataFlow, balance, stage, take, through
from asyncdataflow.errors import ChannelClosed
from asyncdataflow.testing.virtual_clock import run_virtual

pytestmark = pytest.mark.usefixtures("both_ways")

DEADLINE = 20.0
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


async def numbers(limit=50):
    for number in range(limit):
        yield number


async def double(item):
    return item * 2


def now():
    return asyncio.get_running_loop().time()


async def raising(item):
    if item == 2:
        raise ChannelClosed("of the user's own")
    return item


def raising_key(item):
    if item == 2:
        raise ChannelClosed("of the user's own")
    return item


async def raising_generator(item):
    yield await raising(item)


async def raising_stream(items):
    async for item in items:
        yield await raising(item)


async def raising_source():
    yield 0
    raise ChannelClosed("of the user's own")


@pytest.mark.parametrize(
    "definition",
    [
        (numbers, raising),
        (numbers, stage(raising, concurrency=3)),
        (numbers, stage(raising, concurrency=3, ordered=False), double),
        (numbers, stage(double, key=raising_key, concurrency=2)),
        (numbers, raising_generator),
        (numbers, through(raising_stream)),
        (raising_source, double),
    ],
    ids=["stage", "workers", "unordered", "key", "generator", "through", "source"],
)
def test_a_closed_channel_of_the_users_own_is_an_error_and_no_ending(definition):
    """Invariant 37: the worker does not go away in silence."""

    async def main():
        run = DataFlow(definition).stream()
        with pytest.raises(ChannelClosed, match="own"):
            async with run:
                async for _ in run:
                    pass
        return run.state

    assert run_virtual(main()) == "failed"


class TestThatDoNotEnd:
    """A retired worker has the grace of a stop; then the run ends without it, and says so in the log."""

    @pytest.mark.leaks("log", reason="the loop's end is where the thread is left")
    async def test_a_source_whose_thread_blocks(self, monkeypatch, caplog):
        monkeypatch.setattr("asyncdataflow._runtime.execution.GRACE", 0.05)
        release = threading.Event()

        def tail():
            yield from range(3)
            release.wait(DEADLINE)

        run = DataFlow((tail, take(3))).stream()
        try:
            async with asyncio.timeout(DEADLINE / 2):
                got = [await anext(run) for _ in range(3)]
                await run.wait()
        finally:
            release.set()
            await run.aclose()
        assert got == [0, 1, 2]
        assert "tail" in caplog.text

    @pytest.mark.parametrize("role", ["source", "stage"])
    def test_one_that_swallows_its_cancellation(self, role, caplog):
        async def stubborn(*_):
            while not release.done():
                try:
                    await asyncio.shield(release)
                except asyncio.CancelledError:
                    swallowed.append(now())

        async def source():
            yield 0
            await stubborn()

        async def passing(item):
            if item:
                await stubborn()
            return item

        swallowed = []

        async def main():
            nonlocal release
            release = asyncio.get_running_loop().create_future()
            definition = (source, take(1)) if role == "source" else (numbers, passing, take(1))
            run = DataFlow(definition).stream()
            try:
                async with asyncio.timeout(100):
                    assert await anext(run) == 0
                    await run.wait()
                return run.state
            finally:
                release.set_result(None)
                await asyncio.sleep(1)

        release = None
        assert run_virtual(main()) == "ended"
        assert swallowed[0] == 0
        assert ("source" if role == "source" else "passing") in caplog.text

    def test_while_others_work_they_are_not_counted_against_them(self):
        """A branch that is retired and slow to end costs the others nothing, however long they work."""

        async def leaving_slowly():
            try:
                while True:
                    yield 0
                    await asyncio.sleep(0)
            finally:
                await asyncio.sleep(20)

        async def slow(item):
            await asyncio.sleep(10)
            return item

        async def main():
            flow = DataFlow(({"few": (leaving_slowly, take(1)), "slow": (numbers, slow, take(4))},))
            return await flow.run()

        assert sorted(run_virtual(main())) == [0, 0, 1, 2, 3]


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "fail"])
def test_balance_sends_to_a_branch_with_room_before_one_that_drops(overflow):
    """Invariant 12: it goes by what is free, not by what is shorter."""

    async def slow(item):
        await asyncio.sleep(10)
        return item

    async def quick(item):
        await asyncio.sleep(1)
        return item

    async def main():
        branches = (stage(slow, buffer=1, overflow=overflow), stage(quick, buffer=100))
        run = DataFlow((numbers, balance, branches)).stream()
        async with run:
            return [each async for each in run], [each.dropped for each in run.stats().stages.values()]

    got, dropped = run_virtual(main())
    assert sorted(got) == list(range(50))
    assert not any(dropped)
