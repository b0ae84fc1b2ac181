"""Shapes of runs that are given items one by one: the callers are a stage of a flow of their own."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from asyncdataflow import DataFlow, stage
from asyncdataflow.operators import map_batches

from .shape import SLOW, Built, Shape, report, step, thread_step

__all__ = ("SHAPES",)

COUNT = 16


def _calling(service: DataFlow[Any, Any], leaves: Any = lambda n: False) -> DataFlow[Any, Any]:
    """Each item with what its call has come to."""

    async def call(n: int, *, service: Any) -> tuple[int, Any]:
        try:
            async with asyncio.timeout(random.random() if leaves(n) else None):
                return n, await service.call(n)
        except (TimeoutError, ArithmeticError) as error:
            return n, type(error)

    limit = random.choice([1, 3, COUNT])
    return DataFlow(
        (range(COUNT), stage(call, concurrency=8, ordered=False)),
        resources={"service": lambda: service.open(limit=limit)},
    )


async def picky(n: int) -> int:
    """No good for every fifth."""
    await step(n)
    if n % 5 == 0:
        raise ArithmeticError(n)
    return n


def calls_that_fail_and_leave() -> Built:
    """One in five fails, one in three may leave before it is served."""
    flow = _calling(
        DataFlow((stage(picky, concurrency=2), thread_step, stage(step, concurrency=2, ordered=False))),
        lambda n: n % 3 == 0,
    )

    def claim(results: list[tuple[int, Any]]) -> None:
        assert sorted(n for n, _ in results) == list(range(COUNT))
        for n, came in results:
            due = ArithmeticError if n % 5 == 0 else n
            assert came in (due, TimeoutError) if n % 3 == 0 else came == due

    return flow, claim


def calls_through_branches() -> Built:
    """What fails in a branch leaves a hole, which the zip drops with its row."""
    branches = ((stage(picky, concurrency=2), step), (thread_step, stage(step, buffer=1)))
    flow = _calling(DataFlow((step, branches, stage(_pair, executor="inline"), step)))

    def claim(results: list[tuple[int, Any]]) -> None:
        assert sorted(n for n, _ in results) == list(range(COUNT))
        for n, came in results:
            assert came == (ArithmeticError if n % 5 == 0 else (n, n))

    return flow, claim


def _pair(one: Any, other: Any) -> tuple[int, int]:
    if not isinstance(one, int) or not isinstance(other, int):
        # Of a row that has failed already, nobody would hear what is raised here.
        report(f"a function was called with a row that has a hole: {one!r}, {other!r}")
    return one, other


def calls_in_lists() -> Built:
    async def doubled(numbers: list[int]) -> list[int]:
        await step(numbers[0])
        return [2 * n for n in numbers]

    flow = _calling(DataFlow((map_batches(doubled, 4, within=0.3, concurrency=2), step)))

    def claim(results: list[tuple[int, Any]]) -> None:
        assert sorted(results) == [(n, 2 * n) for n in range(COUNT)]

    return flow, claim


SHAPES = (
    Shape(calls_that_fail_and_leave, SLOW),
    Shape(calls_through_branches, SLOW),
    Shape(calls_in_lists, SLOW),
)
