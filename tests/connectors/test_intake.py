"""Intake: nothing that was fetched is lost by whoever waits for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from asyncdataflow.connectors.intake import Intake, apart, finish
from asyncdataflow.testing import run_virtual


def intake_of(*lots, delay=1.0):
    left = list(lots)

    async def fetch():
        lot = left.pop(0)
        await asyncio.sleep(delay)
        if isinstance(lot, Exception):
            raise lot
        return lot

    return Intake(fetch)


def test_one_after_the_other_and_the_end():
    async def main():
        intake = intake_of([1, 2], [3], [])
        assert [await intake.next() for _ in range(3)] == [1, 2, 3]
        with pytest.raises(StopAsyncIteration):
            await intake.next()

    run_virtual(main())


def test_a_cancelled_wait_leaves_the_fetch_to_the_next():
    async def main():
        intake = intake_of([1], [])
        waiting = asyncio.create_task(intake.next())
        await asyncio.sleep(0.5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await intake.next() == 1

    run_virtual(main())


def test_an_error_is_raised_and_the_next_fetch_is_a_new_one():
    async def main():
        intake = intake_of(ValueError("no"), [1])
        with pytest.raises(ValueError, match="no"):
            await intake.next()
        assert await intake.next() == 1

    run_virtual(main())


def test_closing_stops_a_fetch_and_keeps_what_is_here():
    async def main():
        intake = intake_of([1, 2], [3])
        assert await intake.next() == 1
        await intake.close()
        assert intake.left() == [2]
        assert intake.left() == []
        waiting = asyncio.create_task(intake.next())
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.wait([waiting])
        await intake.close()
        await intake.close()
        assert intake.left() == []

    run_virtual(main())


def test_what_a_fetch_that_swallows_its_cancellation_has_got_is_kept():
    async def main():
        async def fetch():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
            return [1]

        intake = Intake(fetch)
        waiting = asyncio.create_task(intake.next())
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await intake.close()
        assert intake.left() == [1]

    run_virtual(main())


def test_finish_goes_to_the_end_and_passes_a_cancellation_on_then():
    async def main():
        done = []

        async def work():
            await asyncio.sleep(1)
            done.append(True)

        finishing = asyncio.create_task(finish(asyncio.create_task(work())))
        for _ in range(3):
            await asyncio.sleep(0.1)
            finishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await finishing
        assert done == [True]

    run_virtual(main())


def test_apart_passes_a_cancellation_on_even_when_the_work_swallows_it():
    async def main():
        async def work():
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                return 7

        working = asyncio.create_task(apart(work()))
        await asyncio.sleep(1)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    run_virtual(main())
