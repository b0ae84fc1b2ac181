"""What the tests of how a run ends are made of: small stages, and a source that knows how it was closed."""

from __future__ import annotations

import asyncio
import itertools

DEADLINE = 20.0
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


async def numbers(limit=5):
    for number in range(limit):
        yield number


async def double(item):
    return item * 2


async def turns(count=50):
    for _ in range(count):
        await asyncio.sleep(0)


def now():
    return asyncio.get_running_loop().time()


async def collected(run):
    return [each async for each in run]


class Ticking:
    """A source of one item a second, which knows when and how it was closed."""

    def __init__(self, limit=None):
        self.limit = limit
        self.made = []
        self.closed_at = None

    async def __call__(self):
        try:
            for number in itertools.count() if self.limit is None else range(self.limit):
                await asyncio.sleep(1)
                self.made.append(number)
                yield number
        finally:
            self.closed_at = now()
