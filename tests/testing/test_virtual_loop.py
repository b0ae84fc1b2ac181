"""The virtual clock: it jumps, it keeps order, and it knows a deadlock from a wait."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from asyncdataflow.errors import DeadlockError
from asyncdataflow.testing.virtual_clock import run_virtual
from asyncdataflow.testing.virtual_loop import VirtualLoop

A_YEAR = 365 * 24 * 3600.0


def test_time_starts_at_zero_and_moves_by_what_is_slept():
    async def main():
        loop = asyncio.get_running_loop()
        seen = [loop.time()]
        for seconds in (0.5, 0.0, 2.0):
            await asyncio.sleep(seconds)
            seen.append(loop.time())
        return seen

    assert run_virtual(main()) == [0.0, 0.5, 0.5, 2.5]


def test_a_year_costs_no_time():
    async def main():
        await asyncio.sleep(A_YEAR)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtual(main()) == pytest.approx(A_YEAR)
    # Not a measure of speed: a real wait would be a year, or the test's own timeout.
    assert time.monotonic() - began < A_YEAR


def test_sleepers_wake_in_the_order_of_their_deadlines():
    woken = []

    async def sleeper(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, asyncio.get_running_loop().time()))

    async def main():
        await asyncio.gather(*(sleeper(seconds) for seconds in (3.0, 1.0, 2.0)))

    run_virtual(main())
    assert woken == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]


def test_time_stands_still_while_something_is_ready():
    async def main():
        sleeper = asyncio.create_task(asyncio.sleep(1.0))
        for _ in range(100):
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() == 0.0
        await sleeper

    run_virtual(main())


def test_a_timeout_ends_exactly_at_its_deadline():
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.Event().wait()
        return loop.time()

    assert run_virtual(main()) == 0.1


@pytest.mark.leaks("tasks", reason="the deadlocked tasks are what the test is about")
def test_a_deadlock_is_raised_and_names_who_waits():
    async def stuck():
        await asyncio.Event().wait()

    async def main():
        waiting = asyncio.create_task(stuck(), name="the stuck one")
        await waiting

    with pytest.raises(DeadlockError, match=r"the stuck one: .*stuck .* > Event.wait \(locks.py:\d+\)"):
        run_virtual(main())


def test_input_that_is_ready_goes_before_a_jump():
    """What another thread said before the loop looked is not overtaken by a timer."""

    async def main():
        loop = asyncio.get_running_loop()
        said = asyncio.Event()
        teller = threading.Thread(target=loop.call_soon_threadsafe, args=(said.set,))
        teller.start()
        teller.join()
        async with asyncio.timeout(10):
            await said.wait()
        return loop.time()

    assert run_virtual(main()) == 0.0


def test_each_call_has_a_loop_of_its_own():
    async def main():
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop.time()

    assert [run_virtual(main()), run_virtual(main())] == [1.0, 1.0]


def test_an_error_of_the_coroutine_comes_out_as_itself():
    async def main():
        await asyncio.sleep(1)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run_virtual(main())
