"""Stages whose time is known, and the figures of a run with them."""

from __future__ import annotations

import asyncio
import time

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.testing.virtual_clock import run_virtual


async def every_second(n=10):
    for number in range(n):
        await asyncio.sleep(1)
        yield number


async def at_once(n=10):
    for number in range(n):
        yield number


async def same(item):
    return item


async def a_second(item):
    await asyncio.sleep(1)
    return item


async def three_seconds(item):
    await asyncio.sleep(3)
    return item


def slow_in_a_thread(item):
    time.sleep(2)
    return item


def close(*seconds):
    return pytest.approx(seconds, abs=1e-9)


def spent(each):
    return each.busy, each.waiting, each.blocked


def adds_up(stats):
    """Every worker's every second is somewhere."""
    for name, each in stats.stages.items():
        assert each.busy + each.waiting + each.blocked == pytest.approx(each.workers * each.elapsed), name
        assert min(spent(each)) >= -1e-9, (name, each)
        assert max(spent(each)) <= each.workers * stats.elapsed + 1e-9, (name, each)


def after(seconds, definition, *, fuse=True, buffer=128, taken=True):
    """The figures of a run that long after its start, by a virtual clock."""

    async def main():
        async with DataFlow(definition, fuse=fuse).stream(buffer=buffer) as run:

            async def consume():
                async for _ in run:
                    pass

            consumer = asyncio.create_task(consume()) if taken else None
            await asyncio.sleep(seconds)
            stats = run.stats()
            adds_up(stats)
            if consumer is not None:
                consumer.cancel()
                await asyncio.gather(consumer, return_exceptions=True)
            return stats

    return run_virtual(main())


both = pytest.mark.parametrize("fuse", [True, False], ids=["fused", "apart"])


async def never_done(item):
    await asyncio.Event().wait()
