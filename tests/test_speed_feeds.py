"""What joins peers that push to a consumer that pulls: all comes, once, and the sender can be held back."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.speed.chains import Arriving, everything
from benchmarks.speed.feed import numbers


@pytest.mark.parametrize("items", [0, 1, 10])
async def test_what_is_put_arrives_and_then_it_ends(items):
    arriving = Arriving(2)
    assert await arriving.run(numbers(items), arriving.put, everything) == [*range(items)]


async def test_a_sink_that_is_late_is_waited_for():
    arriving = Arriving()
    loop = asyncio.get_running_loop()

    async def emit(number):
        loop.call_soon(loop.call_soon, arriving.put_nowait, number)

    assert await arriving.run(numbers(5), emit, everything) == [*range(5)]


async def test_an_item_may_make_several():
    arriving = Arriving()

    async def emit(number):
        for _ in range(3):
            arriving.put_nowait(number)

    assert await arriving.run(numbers(2), emit, everything, 3) == [0, 0, 0, 1, 1, 1]


async def test_a_full_queue_holds_the_sender_back():
    arriving = Arriving(2)
    sent = []

    async def emit(number):
        sent.append(number)
        await arriving.put(number)

    async def late(results):
        for _ in range(50):
            await asyncio.sleep(0)
        held = len(sent)
        return held, await everything(results)

    held, taken = await arriving.run(numbers(10), emit, late)
    assert held == 3
    assert taken == [*range(10)]
