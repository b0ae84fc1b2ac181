"""An edge that counts bytes weighs the items that one sees, and nothing of the runtime's own making."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import Buffer, DataFlow, combine_latest, stage
from asyncdataflow.testing.virtual_clock import run_virtual


async def letters():
    for letter in ("a", "bb", "ccc"):
        await asyncio.sleep(1)
        yield letter


async def more_letters():
    for letter in ("x", "yy", "zzz"):
        await asyncio.sleep(1)
        yield letter


async def pair(left, right):
    return left + right


@pytest.mark.parametrize("last", ["signature", "combine_latest"])
def test_a_join_weighs_the_items_of_its_branches(last):
    weighed = []

    def weigh(item):
        weighed.append(item)
        return len(item)

    buffer = Buffer(bytes=100, size=weigh)
    join = stage(pair, buffer=buffer) if last == "signature" else combine_latest(buffer=buffer)

    async def main():
        return await DataFlow(((letters, more_letters), join)).run()

    got = run_virtual(main())
    assert got[-1] == ("ccczzz" if last == "signature" else ("ccc", "zzz"))
    assert sorted(set(weighed)) == ["a", "bb", "ccc", "x", "yy", "zzz"]
