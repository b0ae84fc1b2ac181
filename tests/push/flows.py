"""Steps of flows that are called, and ways to call them."""

from __future__ import annotations

import asyncio

from asyncdataflow import (
    DataFlow,
)
from asyncdataflow.testing.virtual_clock import run_virtual


def plus(n):
    """Of the module, so that a process finds it."""
    return n + 1


def all_plus(numbers):
    return [n + 1 for n in numbers]


def odd_fails(n):
    if n % 2:
        raise ValueError(n)
    return n


def below(n):
    yield from range(n)


async def same(n):
    await asyncio.sleep(0)
    return n


async def slow(n):
    await asyncio.sleep(1)
    return n


async def below_on_the_loop(n):
    for each in range(n):
        await asyncio.sleep(0)
        yield each


def calls(definition, items, *, params=None, **options):
    """What each call returns or raises, all made at once."""

    async def main():
        async with DataFlow(definition).open(params, **options) as run:
            return await asyncio.gather(*(run.call(item) for item in items), return_exceptions=True)

    return asyncio.run(main())


def on_virtual_time(definition, play, **options):
    """What ``play(run)`` returns, in virtual time."""

    async def main():
        async with DataFlow(definition).open(**options) as run:
            return await play(run)

    return run_virtual(main())
