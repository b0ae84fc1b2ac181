"""Shapes of how a stage works: order, keys, generators, threads, processes, resources."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from asyncdataflow import DataFlow, Source, stage, through
from asyncdataflow.testing import Faults

from .shape import FIRM, HARD, SLOW, Built, Shape, Spaced, quick_step, report, step, thread_step

__all__ = ("SHAPES",)

DYING = Faults(slow=0.1, dies=0.02)


calls: Counter[int] = Counter()
"""Of ``doubled`` with each item; a simulated process shares this module with its parent."""


def doubled(n: int) -> int:
    """Of the module, so that a process finds it."""
    calls[n] += 1
    return 2 * thread_step(n)


def counted_down(n: int) -> Iterator[int]:
    """Likewise, a generator."""
    for each in range(n % 3, 0, -1):
        yield thread_step(10 * n + each)


def ordered_workers() -> Built:
    flow = DataFlow((Spaced(range(14)), stage(step, concurrency=3, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert results == list(range(14))

    return flow, claim


def neighbours_that_take_turns() -> Built:
    """So many items at once that who is idle looks again before it sleeps."""
    steps = [stage(quick_step, retry=FIRM, buffer=buffer) for buffer in (20, 12)]
    flow = DataFlow((Spaced(range(80), 0.02), *steps), fuse=False)

    def claim(results: list[int]) -> None:
        assert results == list(range(80))

    return flow, claim


def a_slow_item_before_quick_ones() -> Built:
    """Two workers finish what they may, park it, and then wait for the first."""
    begun: list[int] = []
    ahead: list[int] = []

    async def first_is_slow(n: int) -> int:
        begun.append(n)
        await asyncio.sleep(50.0 if n == 0 else random.random())
        if n == 0:
            ahead.append(len(set(begun)))
        return n

    flow = DataFlow((range(20), stage(first_is_slow, concurrency=3, retry=FIRM, buffer=1)))

    def claim(results: list[int]) -> None:
        assert results == list(range(20))
        # Of three workers one has it, two have a result in hand, and three results are parked.
        assert ahead[0] <= 6

    return flow, claim


def unordered_workers() -> Built:
    flow = DataFlow((range(14), stage(step, concurrency=3, ordered=False, retry=FIRM, buffer=1)))

    def claim(results: list[int]) -> None:
        assert sorted(results) == list(range(14))

    return flow, claim


def order_by_key() -> Built:
    keyed = stage(step, concurrency=3, key=lambda n: n % 4, retry=FIRM, buffer=2)
    flow = DataFlow((Spaced(range(14)), keyed))

    def claim(results: list[int]) -> None:
        assert sorted(results) == list(range(14))
        for key in range(4):
            assert [n for n in results if n % 4 == key] == list(range(key, 14, 4))

    return flow, claim


def generators_that_make_none_or_many() -> Built:
    """On the loop several side by side, in a thread one: what each makes stays together."""

    async def spread(n: int) -> AsyncIterator[int]:
        for each in range(n % 4):
            yield 10 * n + await step(each)

    def again(n: int) -> Iterator[int]:
        if n % 2:
            yield thread_step(n)
            yield -n

    flow = DataFlow((Spaced(range(8)), stage(spread, concurrency=2, buffer=2), stage(again, buffer=1)))
    made = [10 * n + each for n in range(8) for each in range(n % 4)]

    def claim(results: list[int]) -> None:
        assert results == [each for n in made if n % 2 for each in (n, -n)]

    return flow, claim


def threads() -> Built:
    """A source that reads ahead in its thread, then two stages in threads."""

    def numbers() -> Iterator[int]:
        for n in range(12):
            yield thread_step(n)

    first = stage(thread_step, name="first", concurrency=2, retry=FIRM, buffer=3)
    second = stage(thread_step, name="second", concurrency=2, ordered=False, retry=FIRM, buffer=1)
    flow = DataFlow((numbers, first, second))

    def claim(results: list[int]) -> None:
        assert sorted(results) == list(range(12))

    return flow, claim


def a_thread_that_reads_ahead() -> Built:
    """As far as there is room behind it, and not an item further."""
    made = 0
    begun: set[int] = set()
    ahead: list[int] = []

    def numbers() -> Iterator[int]:
        nonlocal made
        for n in range(15):
            made += 1
            ahead.append(made - len(begun))
            yield n

    async def begin(n: int) -> int:
        begun.add(n)
        return await step(n)

    flow = DataFlow((numbers, stage(begin, retry=FIRM, buffer=3)))

    def claim(results: list[int]) -> None:
        assert results == list(range(15))
        # Three in the edge, one in hand, and one taken that a fault holds back before it is begun.
        assert max(ahead) <= 5

    return flow, claim


def processes() -> Built:
    """What dies is replaced, and its item is sent again, once."""
    calls.clear()
    flow = DataFlow((range(10), stage(doubled, executor="process", concurrency=2, buffer=2)))

    def claim(results: list[int]) -> None:
        assert results == [2 * n for n in range(10)]
        assert all(1 <= calls[n] <= 2 for n in range(10))

    return flow, claim


def processes_that_redeliver_nothing() -> Built:
    calls.clear()
    once = stage(doubled, executor="process", concurrency=2, redeliver=False, on_error="skip")
    flow = DataFlow((Spaced(range(10)), once))

    def claim(results: list[int]) -> None:
        assert results == sorted(set(results))
        assert set(results) <= {2 * n for n in range(10)}
        assert all(calls[n] <= 1 for n in range(10))

    return flow, claim


def generators_in_a_process() -> Built:
    flow = DataFlow((range(8), stage(counted_down, executor="process", buffer=1)))

    def claim(results: list[int]) -> None:
        assert results == [10 * n + each for n in range(8) for each in range(n % 3, 0, -1)]

    return flow, claim


def mixed() -> Built:
    """Loop, thread, process and loop again, in ordered stages of several workers."""
    steps = (
        stage(thread_step, concurrency=2, retry=FIRM, buffer=2),
        stage(doubled, executor="process", retry=FIRM, buffer=1),
        stage(step, concurrency=2, retry=FIRM, buffer=1),
    )
    flow = DataFlow((Spaced(range(9)), *steps))

    def claim(results: list[int]) -> None:
        assert results == [2 * n for n in range(9)]

    return flow, claim


def resources_and_what_workers_own() -> Built:
    """Each is entered once, used while it is open, and left once."""
    life: list[str] = []

    @asynccontextmanager
    async def pool() -> AsyncIterator[set[str]]:
        life.append("pool entered")
        is_open = {"pool"}
        yield is_open
        await asyncio.sleep(random.random())
        is_open.clear()
        life.append("pool left")

    @contextmanager
    def connected() -> Iterator[set[str]]:
        life.append("own entered")
        is_open = {"own"}
        yield is_open
        is_open.clear()
        life.append("own left")

    def use(n: int, *, pool: set[str], own: set[str]) -> int:
        thread_step(n)
        if not (pool and own):
            raise AssertionError("used after it was left")
        return n

    used = stage(use, concurrency=2, per_worker={"own": connected}, retry=FIRM, buffer=2)
    flow = DataFlow((Spaced(range(8)), used), resources={"pool": pool})

    def claim(results: list[int]) -> None:
        assert results == list(range(8))
        assert (life[0], life[-1]) == ("pool entered", "pool left")
        assert life.count("own entered") == life.count("own left") <= 2

    return flow, claim


def a_flow_within_a_flow() -> Built:
    inner = DataFlow((stage(step, name="in", retry=FIRM), (stage(thread_step, name="t", retry=FIRM), _minus)))
    flow = DataFlow((Spaced(range(6)), inner, stage(step, name="out", concurrency=2, retry=FIRM, buffer=1)))

    def claim(results: list[int]) -> None:
        assert [n for n in results if n >= 0] == list(range(6))
        assert [n for n in results if n < 0] == [-1 - n for n in range(6)]

    return flow, claim


@stage(retry=FIRM)
async def _minus(n: int) -> int:
    return -1 - n


def a_function_of_the_stream() -> Built:
    async def pairs(numbers: AsyncIterator[int]) -> AsyncIterator[tuple[int, int]]:
        before = None
        async for n in numbers:
            if before is not None:
                yield before, await step(n)
            before = n

    flow = DataFlow((range(9), through(pairs, buffer=2), stage(step, retry=FIRM, buffer=1)))

    def claim(results: list[tuple[int, int]]) -> None:
        assert results == [(n, n + 1) for n in range(8)]

    return flow, claim


class _Own(Source[Any]):
    """Says that it is closed only when it is."""

    def __init__(self, life: list[str]) -> None:
        self._life = life

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Any]]:
        self._life.append("opened")
        try:
            yield aiter(_forever())
        finally:
            await asyncio.sleep(random.random())
            self._life.append("closed")


async def _forever() -> AsyncIterator[int]:
    n = 0
    while True:
        yield await step(n)
        n += 1


def a_run_within_a_stage() -> Built:
    """Each item is a run of its own, left after three of its results."""
    life: list[str] = []

    async def run(n: int) -> int:
        total = 0
        async with DataFlow((_Own(life), stage(step, concurrency=2, buffer=2))).stream() as results:
            async for each in results:
                total += each
                if each == 2:
                    break
        if (task := asyncio.current_task()) is not None and task.cancelling():
            report("leaving a run has swallowed a cancellation")
        return n * total

    flow = DataFlow((range(3), stage(run, concurrency=2)))

    def claim(results: list[int]) -> None:
        assert results == [0, 3, 6]
        assert sorted(life) == ["closed"] * 3 + ["opened"] * 3

    return flow, claim


SHAPES = (
    Shape(ordered_workers),
    Shape(neighbours_that_take_turns),
    Shape(a_slow_item_before_quick_ones),
    Shape(unordered_workers),
    Shape(order_by_key),
    Shape(generators_that_make_none_or_many, SLOW),
    # The generator is a function of the user's, and is not retried as a source.
    Shape(threads, HARD, certain=False),
    Shape(a_thread_that_reads_ahead, HARD, certain=False),
    # An item may be struck twice.
    Shape(processes, DYING, certain=False),
    Shape(processes_that_redeliver_nothing, DYING, certain=False),
    Shape(generators_in_a_process, SLOW),
    Shape(mixed),
    Shape(resources_and_what_workers_own),
    Shape(a_flow_within_a_flow),
    Shape(a_function_of_the_stream),
    Shape(a_run_within_a_stage, SLOW),
)
