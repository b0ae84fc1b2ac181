"""Shapes with policies: batches, retries, dead letters, skips, drops, rates, timeouts."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import replace

from asyncdataflow import DataFlow, DeadLetter, Rate, batch, dead_letter, filter_, scan, stage
from asyncdataflow.testing import CollectSink, Faults

from .shape import FIRM, HARD, SLOW, Built, Shape, Spaced, step, thread_step

__all__ = ("SHAPES",)

FAILING = replace(HARD, error=ValueError)
"""What nothing retries: items are given up for it."""


def batches() -> Built:
    flow = DataFlow((range(11), batch(4, buffer=2), stage(step, concurrency=2, retry=FIRM, buffer=1)))

    def claim(results: list[list[int]]) -> None:
        assert results == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]

    return flow, claim


def batches_in_time() -> Built:
    flow = DataFlow((Spaced(range(14)), batch(4, seconds=1.0, buffer=2), stage(step, retry=FIRM)))

    def claim(results: list[list[int]]) -> None:
        assert [n for each in results for n in each] == list(range(14))
        assert all(1 <= len(each) <= 4 for each in results)

    return flow, claim


def states_of_a_fold() -> Built:
    evens = filter_(lambda n: n % 2 == 0, retry=FIRM)
    flow = DataFlow((Spaced(range(12)), evens, scan(lambda total, n: total + n, buffer=1)))

    def claim(results: list[int]) -> None:
        assert results == list(itertools.accumulate(range(0, 12, 2)))

    return flow, claim


def retries_in_order() -> Built:
    """Every third item fails twice before anything is put in."""
    tries: Counter[int] = Counter()

    async def flaky(n: int) -> int:
        tries[n] += 1
        await step(n)
        if n % 3 == 0 and tries[n] < 3:
            raise ConnectionError(f"try {tries[n]} of {n}")
        return n

    flow = DataFlow((Spaced(range(9)), stage(flaky, concurrency=3, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert results == list(range(9))
        assert all(tries[n] >= (3 if n % 3 == 0 else 1) for n in range(9))

    return flow, claim


def retries_of_one_worker() -> Built:
    """Nothing passes an item that is tried again."""
    tries: Counter[int] = Counter()

    def flaky(n: int) -> int:
        tries[n] += 1
        if n % 4 == 1 and tries[n] < 2:
            raise ConnectionError(str(n))
        return thread_step(n)

    flow = DataFlow((range(9), stage(flaky, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert results == list(range(9))

    return flow, claim


def dead_letters() -> Built:
    rejects: CollectSink[DeadLetter] = CollectSink(delay=0.3)

    async def picky(n: int) -> int:
        await step(n)
        if n % 4 == 1:
            raise ValueError(n)
        return n

    # Behind it only what is retried, whatever it raises, so that all is in one place or the other.
    endless = replace(FIRM, on=Exception)
    refused = stage(rejects, retry=endless, buffer=1)
    first = stage(picky, concurrency=3, on_error=dead_letter(refused), buffer=2)
    flow = DataFlow((Spaced(range(12)), first, stage(thread_step, retry=endless, buffer=1)))

    def claim(results: list[int]) -> None:
        letters = [each.item for each in rejects.items]
        # A sink whose fault comes behind the write is asked again: at least once there.
        assert sorted([*results, *set(letters)]) == list(range(12))
        assert {1, 5, 9} <= set(letters)
        assert results == sorted(results)

    return flow, claim


def dead_letters_of_two() -> Built:
    """Two stages share a sink, in an edge that holds one letter."""
    letters: list[int] = []

    async def write(letter: DeadLetter) -> None:
        letters.append(letter.item)
        await step(letter)

    async def no_threes(n: int) -> int:
        if n % 3 == 0:
            raise ValueError(n)
        return n

    async def no_fives(n: int) -> int:
        if n % 5 == 0:
            raise ValueError(n)
        return n

    shared = dead_letter(stage(write, buffer=1))
    steps = [stage(each, on_error=shared, buffer=1) for each in (no_threes, no_fives)]
    flow = DataFlow((range(16), *steps))

    def claim(results: list[int]) -> None:
        assert sorted(results + letters) == list(range(16))
        assert results == sorted(results)
        assert all(n % 3 and n % 5 for n in results)

    return flow, claim


def skipped() -> Built:
    async def picky(n: int) -> int:
        await step(n)
        if n % 4 == 1:
            raise ValueError(n)
        return n

    flow = DataFlow((Spaced(range(12)), stage(picky, concurrency=3, on_error="skip", buffer=2)))

    def claim(results: list[int]) -> None:
        assert results == sorted(set(results))
        assert set(results) <= {n for n in range(12) if n % 4 != 1}

    return flow, claim


def dropped_oldest() -> Built:
    """A slow stage behind a quick source: the newest are there."""
    slow = stage(step, retry=FIRM, buffer=3, overflow="drop_oldest")
    flow = DataFlow((Spaced(range(20)), stage(_at_once, retry=FIRM), slow))

    def claim(results: list[int]) -> None:
        assert results == sorted(set(results))
        assert results[-3:] == [17, 18, 19]

    return flow, claim


def dropped_newest() -> Built:
    slow = stage(step, retry=FIRM, buffer=3, overflow="drop_newest")
    flow = DataFlow((Spaced(range(20)), stage(_at_once, retry=FIRM), slow))

    def claim(results: list[int]) -> None:
        assert results == sorted(set(results))
        assert results[:3] == [0, 1, 2]

    return flow, claim


async def _at_once(n: int) -> int:
    return n


def rated() -> Built:
    """At most two in a second begin, in whichever worker; a slow stage notes it later."""
    begun: list[float] = []

    async def noted(n: int) -> int:
        begun.append(asyncio.get_running_loop().time())
        return await step(n)

    flow = DataFlow((range(8), stage(noted, rate=Rate(2, 1.0), concurrency=2)))

    def claim(results: list[int]) -> None:
        assert results == list(range(8))
        assert all(when > place * 0.5 - 1e-6 for place, when in enumerate(sorted(begun)))

    return flow, claim


def timed_out() -> Built:
    """On the loop and in a thread; what takes too long is skipped, and only that."""

    async def nap(n: int) -> int:
        await asyncio.sleep(5.0 if n % 4 == 1 else random.random())
        return n

    def thread_nap(n: int) -> int:
        time.sleep(4.5 if n % 4 == 2 else random.random())
        return n

    first = stage(nap, timeout=3.5, on_error="skip", concurrency=2)
    second = stage(thread_nap, timeout=3.5, on_error="skip", concurrency=2, buffer=1)
    flow = DataFlow((range(12), first, second))

    def claim(results: list[int]) -> None:
        assert results == sorted(set(results))
        assert set(results) <= set(range(0, 12, 4)) | set(range(3, 12, 4))

    return flow, claim


SHAPES = (
    Shape(batches),
    Shape(batches_in_time),
    # Its operators meet no fault.
    Shape(states_of_a_fold, Faults()),
    Shape(retries_in_order),
    Shape(retries_of_one_worker),
    Shape(dead_letters, FAILING),
    Shape(dead_letters_of_two, SLOW),
    Shape(skipped, FAILING),
    Shape(dropped_oldest),
    Shape(dropped_newest),
    Shape(rated, SLOW),
    Shape(timed_out, SLOW),
)
