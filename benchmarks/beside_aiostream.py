"""The rows of the README's comparison that need no other peer: the same flows here and in aiostream.

Rounds are interleaved, so that both see the same machine; read the ratio, not the time.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiostream import pipe, stream

from asyncdataflow import DataFlow, stage

ROUNDS: Final = 5
WAITING_ITEMS: Final = 50
TRIVIAL_ITEMS: Final = 10_000


async def numbers(count: int) -> AsyncIterator[int]:
    """The source of all."""
    for number in range(count):
        yield number


async def waits(number: int) -> int:
    """A stage that waits 10 ms."""
    await asyncio.sleep(0.01)
    return number


async def trivial(number: int) -> int:
    """A stage that does nothing."""
    return number


async def ours(step: Callable[[int], Awaitable[int]], stages: int, count: int) -> int:
    """So many stages of asyncdataflow."""
    flow = DataFlow((numbers, *(stage(step) for _ in range(stages))))
    return len([result async for result in flow.stream({"count": count})])


async def theirs(step: Callable[[int], Awaitable[int]], stages: int, count: int) -> int:
    """So many stages of aiostream, which takes items one at a time."""

    async def each(number: int, *_: int) -> int:
        return await step(number)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    made = stream.iterate(numbers(count))
    for _ in range(stages):
        made = made | mapped(each, task_limit=1)
    taken = 0
    async with made.stream() as results:
        async for _ in results:
            taken += 1
    return taken


def seconds(
    run: Callable[..., Awaitable[int]], step: Callable[[int], Awaitable[int]], stages: int, count: int
) -> float:
    """How long one run takes, its result checked."""

    async def measured() -> float:
        begun = time.perf_counter()
        if await run(step, stages, count) != count:
            raise AssertionError("items were lost")
        return time.perf_counter() - begun

    return asyncio.run(measured())


def main() -> None:
    """Print a line for each row."""
    rows = (
        ("three stages that wait 10 ms", waits, 3, WAITING_ITEMS),
        ("five trivial stages", trivial, 5, TRIVIAL_ITEMS),
    )
    for name, step, stages, count in rows:
        rounds = [
            (seconds(ours, step, stages, count), seconds(theirs, step, stages, count)) for _ in range(ROUNDS)
        ]
        here, there = (statistics.median(each) for each in zip(*rounds, strict=True))
        print(
            f"{name}, {count} items: asyncdataflow {here:.2f} s ({here / count * 1e6:.1f} µs an item), "
            f"aiostream {there:.2f} s ({there / count * 1e6:.1f}), ratio {there / here:.2f}"
        )


if __name__ == "__main__":
    main()
