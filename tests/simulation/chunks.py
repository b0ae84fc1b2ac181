"""Shapes with items that go to threads several at a time: quick ones, and a slow one now and then."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from dataclasses import replace
from typing import Any

from asyncdataflow import DataFlow, DeadLetter, dead_letter, stage, take
from asyncdataflow.testing import CollectSink, Faults

from .shape import FIRM, HARD, Built, Shape, Spaced, report, step

__all__ = ("SHAPES",)

RAISING = Faults(slow=0.02, raises=0.05, error=ValueError)


def _now_and_then(n: int) -> int:
    """Quick but for one in ten, so that chunks grow and are then too long."""
    if random.random() < 0.1:
        time.sleep(random.random())
    return n


def quick_items() -> Built:
    """Bursts of them, through ordered threads, into a slower stage."""
    quick = stage(_now_and_then, name="quick", concurrency=2, retry=FIRM, buffer=9)
    flow = DataFlow((Spaced(range(60)), quick, stage(step, retry=FIRM, buffer=7)))

    def claim(results: list[int]) -> None:
        assert results == list(range(60))

    return flow, claim


def quick_items_in_any_order() -> Built:
    quick = stage(_now_and_then, name="quick", concurrency=3, ordered=False, retry=FIRM, buffer=9)
    flow = DataFlow((range(60), quick, stage(step, concurrency=2, retry=FIRM, buffer=5)))

    def claim(results: list[int]) -> None:
        assert sorted(results) == list(range(60))

    return flow, claim


def quick_items_in_one_thread() -> Built:
    """Nothing passes an item that is tried again."""
    begun: list[int] = []
    tries: Counter[int] = Counter()

    def flaky(n: int) -> int:
        begun.append(n)
        tries[n] += 1
        if n % 7 == 3 and tries[n] < 3:
            raise ConnectionError(str(n))
        return n

    flow = DataFlow((range(40), stage(flaky, retry=FIRM, buffer=16)))

    def claim(results: list[int]) -> None:
        assert results == list(range(40))
        assert begun == sorted(begun)

    return flow, claim


def a_slow_item_among_quick_ones() -> Built:
    """It takes long enough by itself: what is done before it does not wait for it."""
    came: dict[int, float] = {}

    def one_is_slow(n: int) -> int:
        if n == 20:
            time.sleep(4.0)
        return n

    async def noted(n: int) -> int:
        came.setdefault(n, asyncio.get_running_loop().time())
        return n

    slow = stage(one_is_slow, retry=FIRM, buffer=32)
    flow = DataFlow((range(40), slow, stage(noted, retry=FIRM)))

    def claim(results: list[int]) -> None:
        assert results == list(range(40))
        # Where faults and retries take longer than the slow item, they say nothing of it.
        assert came[39] > 5 or all(came[20] - came[n] > 2 for n in range(20))

    return flow, claim


def quick_items_skipped() -> Built:
    def picky(n: int) -> int | None:
        if n % 6 == 1:
            raise ValueError(n)
        return None if n % 6 == 2 else _now_and_then(n)

    flow = DataFlow((range(50), stage(picky, concurrency=2, on_error="skip", buffer=11)))

    def claim(results: list[int]) -> None:
        assert results == sorted(set(results))
        assert set(results) <= {n for n in range(50) if n % 6 not in (1, 2)}

    return flow, claim


def quick_dead_letters() -> Built:
    rejects: CollectSink[DeadLetter] = CollectSink(delay=0.3)
    endless = replace(FIRM, on=Exception)

    def picky(n: int) -> int:
        if n % 6 == 1:
            raise ValueError(n)
        return _now_and_then(n)

    refused = stage(rejects, retry=endless, buffer=1)
    first = stage(picky, concurrency=2, on_error=dead_letter(refused), buffer=11)
    flow = DataFlow((range(40), first, stage(step, retry=endless, buffer=8)))

    def claim(results: list[int]) -> None:
        letters = [each.item for each in rejects.items]
        assert sorted([*results, *set(letters)]) == list(range(40))
        assert {n for n in range(40) if n % 6 == 1} <= set(letters)
        assert results == sorted(results)

    return flow, claim


def quick_awaitables() -> Built:
    """What a plain function returns is awaited before the next item begins."""
    waiting: list[int] = []

    def maybe(n: int) -> Any:
        if waiting:
            report(f"{n} is begun while {waiting[0]} is awaited")
        return _Later(lambda: later(n)) if n % 5 == 4 else n

    async def later(n: int) -> int:
        waiting.append(n)
        try:
            return await step(n)
        finally:
            waiting.remove(n)

    flow = DataFlow((range(40), stage(maybe, retry=FIRM, buffer=16)))

    def claim(results: list[int]) -> None:
        assert results == list(range(40))

    return flow, claim


class _Later:
    """Awaitable; unlike a coroutine it says nothing when it is not awaited, as when the run ends before."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, int]]) -> None:
        self._make = make

    def __await__(self) -> Generator[Any, Any, int]:
        return self._make().__await__()


def quick_items_for_two() -> Built:
    """Behind them a slow branch and a quick one: a slot in both is claimed, or in none."""
    quick = stage(_now_and_then, name="quick", concurrency=2, retry=FIRM, buffer=9)
    slow = stage(step, name="slow", retry=FIRM, buffer=4)
    flow = DataFlow((range(30), quick, (slow, stage(_minus, name="minus", retry=FIRM, buffer=9))))

    def claim(results: list[int]) -> None:
        assert [n for n in results if n >= 0] == list(range(30))
        assert [n for n in results if n < 0] == [-1 - n for n in range(30)]

    return flow, claim


def _minus(n: int) -> int:
    return -1 - n


def enough_of_quick_items() -> Built:
    """Nobody wants more in the middle of a chunk."""
    quick = stage(_now_and_then, name="quick", concurrency=2, retry=FIRM, buffer=16)
    flow = DataFlow((_endless, quick, take(13, buffer=9), stage(step, retry=FIRM)))

    def claim(results: list[int]) -> None:
        assert results == list(range(13))

    return flow, claim


async def _endless() -> AsyncIterator[int]:
    n = 0
    while True:
        await asyncio.sleep(0)
        yield n
        n += 1


SHAPES = (
    Shape(quick_items),
    Shape(quick_items_in_any_order),
    Shape(quick_items_in_one_thread),
    # Faults take time too, behind it as well.
    Shape(a_slow_item_among_quick_ones, Faults()),
    Shape(quick_items_skipped, RAISING),
    Shape(quick_dead_letters, RAISING),
    Shape(quick_awaitables),
    Shape(quick_items_for_two),
    # Its source is a function of the user's, and is not retried.
    Shape(enough_of_quick_items, HARD, certain=False),
)
