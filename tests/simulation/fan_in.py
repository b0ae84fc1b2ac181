"""Shapes with fan-in: ``merge zip_ combine_latest concat``, and diamonds."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

from asyncdataflow import DataFlow, combine_latest, concat, merge, stage, zip_

from .shape import FIRM, HARD, Built, Shape, Spaced, in_order, step, thread_step

__all__ = ("SHAPES",)


def merge_of_a_loop_and_a_thread() -> Built:
    flow = DataFlow(((Spaced(range(7)), range(10, 18)), stage(step, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert len(results) == 15
        in_order(results, 0, 7)
        in_order(results, 10, 18)

    return flow, claim


def merge_of_three() -> Built:
    sources = (Spaced(range(5)), range(10, 14), Spaced(range(20, 26)))
    flow = DataFlow((sources, merge(buffer=1), stage(thread_step, retry=FIRM, buffer=1)))

    def claim(results: list[int]) -> None:
        assert len(results) == 15
        in_order(results, 0, 5)
        in_order(results, 10, 14)
        in_order(results, 20, 26)

    return flow, claim


def merge_of_threads() -> Built:
    """What threads make ahead has slots of its own among those that others send into."""
    sources = (range(9), range(20, 31), Spaced(range(40, 44)))
    flow = DataFlow((sources, merge(buffer=10), stage(step, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert len(results) == 24
        in_order(results, 0, 9)
        in_order(results, 20, 31)
        in_order(results, 40, 44)

    return flow, claim


def threads_side_by_side() -> Built:
    """Chunks of two stages, and items of a third, into the same edge."""

    def plus(n: int) -> int:
        return thread_step(n) + 100

    async def twice(n: int) -> int:
        return 200 + await step(n)

    branches = (
        stage(thread_step, retry=FIRM, buffer=5),
        stage(plus, retry=FIRM, buffer=6, concurrency=2),
        stage(twice, retry=FIRM, buffer=3),
    )
    flow = DataFlow((Spaced(range(12)), branches, merge(buffer=9), stage(step, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert len(results) == 36
        in_order(results, 0, 12)
        in_order(results, 100, 112)
        in_order(results, 200, 212)

    return flow, claim


def zip_by_signature() -> Built:
    async def pair(left: int, right: int) -> tuple[int, int]:
        return await step((left, right))

    flow = DataFlow(((Spaced(range(8)), range(10, 18)), stage(pair, retry=FIRM, buffer=2)))

    def claim(results: list[tuple[int, int]]) -> None:
        assert results == list(zip(range(8), range(10, 18), strict=True))

    return flow, claim


def zip_until_the_shortest_ends() -> Built:
    """One branch is endless, on the loop; it may wait in its await when the other ends."""
    closed: list[bool] = []

    async def endless() -> AsyncIterator[int]:
        try:
            for n in itertools.count():
                yield await step(n)
        finally:
            closed.append(True)

    branches = (Spaced(range(5)), endless, range(10, 30))
    flow = DataFlow((branches, zip_(uneven="shortest", buffer=2), stage(step, retry=FIRM)))

    def claim(results: list[tuple[int, ...]]) -> None:
        assert results == list(zip(range(5), range(5), range(10, 15), strict=True))
        assert closed == [True]

    return flow, claim


def zip_of_branches_in_step() -> Built:
    branches = (Spaced(range(6)), range(6), (Spaced(range(6)), stage(thread_step, retry=FIRM)))
    flow = DataFlow((branches, zip_(buffer=1), stage(step, retry=FIRM)))

    def claim(results: list[tuple[int, ...]]) -> None:
        assert results == [(n, n, n) for n in range(6)]

    return flow, claim


def latest_of_each() -> Built:
    branches = (Spaced(range(5)), (Spaced(range(5)), stage(step, retry=FIRM)), range(5))
    flow = DataFlow((branches, combine_latest(buffer=2)))

    def claim(results: list[tuple[int, ...]]) -> None:
        assert results[-1] == (4, 4, 4)
        assert 3 <= len(results) <= 13
        for before, after in itertools.pairwise(results):
            assert sum(later - earlier for earlier, later in zip(before, after, strict=True)) == 1
            assert all(later >= earlier for earlier, later in zip(before, after, strict=True))

    return flow, claim


def one_branch_behind_another() -> Built:
    branches = (Spaced(range(5)), range(5, 12), Spaced(range(12, 15)))
    flow = DataFlow((branches, concat(buffer=2), stage(step, retry=FIRM, concurrency=2)))

    def claim(results: list[int]) -> None:
        assert results == list(range(15))

    return flow, claim


def diamond_of_unequal_rates() -> Built:
    """Merged again, a quick branch runs ahead as far as its edges let it."""

    async def slow(n: int) -> int:
        await step(n)
        return 100 + await step(n)

    branches = (stage(slow, retry=FIRM, buffer=2), stage(thread_step, retry=FIRM, buffer=3))
    flow = DataFlow((Spaced(range(8)), branches, stage(step, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert len(results) == 16
        in_order(results, 0, 8)
        in_order(results, 100, 108)

    return flow, claim


def diamond_with_room_for_one() -> Built:
    """Zipped again, every edge holding one item."""

    async def negative(n: int) -> int:
        return -await step(n)

    async def both(left: int, right: int) -> tuple[int, int]:
        return left, right

    branches = (
        stage(negative, retry=FIRM, buffer=1),
        (stage(thread_step, retry=FIRM, buffer=1), stage(step, retry=FIRM, buffer=1)),
    )
    flow = DataFlow((Spaced(range(8)), branches, stage(both, retry=FIRM, buffer=1)))

    def claim(results: list[tuple[int, int]]) -> None:
        assert results == [(-n, n) for n in range(8)]

    return flow, claim


SHAPES = (
    Shape(merge_of_a_loop_and_a_thread),
    Shape(merge_of_three),
    Shape(merge_of_threads),
    Shape(threads_side_by_side),
    Shape(zip_by_signature),
    # A generator cannot be retried once it has begun, and this one is always about to go on.
    Shape(zip_until_the_shortest_ends, HARD, certain=False),
    Shape(zip_of_branches_in_step),
    Shape(latest_of_each),
    Shape(one_branch_behind_another),
    Shape(diamond_of_unequal_rates),
    Shape(diamond_with_room_for_one),
)
