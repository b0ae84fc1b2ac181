"""Shapes of one call for several items: lists that are full, late or last, on the loop and elsewhere."""

from __future__ import annotations

import random
from typing import Any

from asyncdataflow import DataFlow, stage
from asyncdataflow.errors import ItemError
from asyncdataflow.operators import map_batches

from .shape import FIRM, HARD, Built, Shape, Spaced, step, thread_step

__all__ = ("SHAPES",)


async def doubled(numbers: list[int]) -> list[int]:
    """On the loop."""
    await step(numbers[0])
    return [2 * n for n in numbers]


def doubled_elsewhere(numbers: list[int]) -> list[int]:
    """In a thread or process."""
    thread_step(numbers[0])
    return [2 * n for n in numbers]


def lists_on_the_loop() -> Built:
    within = random.choice([None, 0, 0.5])
    flow = DataFlow((
        Spaced(range(20)),
        map_batches(doubled, 3, within=within, retry=FIRM, buffer=random.choice([1, 4, 128])),
        stage(step, retry=FIRM, buffer=1),
    ))  # fmt: skip

    def claim(results: list[int]) -> None:
        assert results == list(range(0, 40, 2))

    return flow, claim


def lists_side_by_side() -> Built:
    ordered = random.random() < 0.5
    lists = map_batches(doubled, 3, within=0.5, concurrency=3, ordered=ordered, retry=FIRM, buffer=4)
    flow = DataFlow((Spaced(range(20), 0.3), lists, stage(step, retry=FIRM, buffer=1)))

    def claim(results: list[int]) -> None:
        assert (results if ordered else sorted(results)) == list(range(0, 40, 2))

    return flow, claim


def lists_in_threads_and_processes() -> Built:
    flow = DataFlow((
        Spaced(range(16), 0.3),
        map_batches(doubled_elsewhere, 3, within=0.5, concurrency=2, retry=FIRM, buffer=4),
        map_batches(doubled_elsewhere, 4, within=0.5, executor="process", retry=FIRM, buffer=4),
    ))  # fmt: skip

    def claim(results: list[int]) -> None:
        assert results == list(range(0, 64, 4))

    return flow, claim


def bad_items_in_lists() -> Built:
    """Those that are no good are left out, and take no others with them."""

    async def picky(numbers: list[int]) -> list[int]:
        await step(numbers[0])
        if any(n % 5 == 0 for n in numbers):
            raise ItemError("no good")
        return numbers

    lists = map_batches(picky, 4, within=0.5, concurrency=2, retry=FIRM, on_error="skip")
    flow: DataFlow[Any, Any] = DataFlow((Spaced(range(20), 0.3), lists))

    def claim(results: list[int]) -> None:
        # What a fault strikes for good is left out too.
        assert results == sorted(set(results))
        assert set(results) <= {n for n in range(20) if n % 5}

    return flow, claim


def rows_of_lists() -> Built:
    flow = DataFlow((
        Spaced(range(12), 0.3),
        (map_batches(doubled, 3, within=0.5, retry=FIRM, buffer=2), stage(step, retry=FIRM, buffer=1)),
        stage(_compared, executor="inline", retry=FIRM),
    ))  # fmt: skip

    def claim(results: list[int]) -> None:
        assert results == list(range(12))

    return flow, claim


def _compared(twice: int, once: int) -> int:
    return twice - once


SHAPES = (
    Shape(lists_on_the_loop),
    Shape(lists_side_by_side),
    Shape(lists_in_threads_and_processes, HARD),
    Shape(bad_items_in_lists),
    Shape(rows_of_lists),
)
