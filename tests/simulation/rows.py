"""Shapes with stages in a row, through which items may go in one go."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

from asyncdataflow import DataFlow, DeadLetter, dead_letter, stage, take

from .shape import FIRM, HARD, Built, Shape, Spaced, step

__all__ = ("SHAPES",)


async def seldom(item: Any) -> Any:
    """Hardly ever takes any time."""
    if random.random() < 0.1:
        await asyncio.sleep(random.choice([0, random.random()]))
    return item


def at_once(item: Any) -> Any:
    """A plain function on the loop."""
    return item


def _row(*functions: Any, **options: Any) -> tuple[Any, ...]:
    """Stages with retries and short edges."""
    return tuple(
        stage(
            each,
            retry=FIRM,
            buffer=random.choice([1, 2, 8]),
            **({"executor": "inline"} if each is at_once else {}),
            **options,
        )
        for each in functions
    )


def a_row() -> Built:
    """Coroutines and plain functions, of which most do not suspend."""
    source = Spaced(range(24)) if random.random() < 0.5 else range(24)
    flow = DataFlow((source, *_row(seldom, at_once, seldom, step, seldom)))

    def claim(results: list[int]) -> None:
        assert results == list(range(24))

    return flow, claim


def rows_side_by_side() -> Built:
    """A row, a broadcast to two rows, and a row behind both."""
    left, right = _row(seldom, seldom), _row(at_once, seldom, seldom)
    flow = DataFlow((range(12), *_row(seldom, seldom), {"left": left, "right": right}, *_row(seldom, seldom)))

    def claim(results: list[int]) -> None:
        assert Counter(results) == Counter(dict.fromkeys(range(12), 2))

    return flow, claim


def a_row_that_drops_some() -> Built:
    """One stage in the midst gives items up, the last one filters."""
    letters: list[Any] = []

    async def picky(n: int) -> int:
        await seldom(n)
        if n % 4 == 1:
            raise ValueError(n)
        return n

    async def keep(letter: DeadLetter) -> None:
        letters.append(letter.item)

    async def odd(n: int) -> int | None:
        return n if n % 2 else None

    first, last = _row(seldom, seldom), _row(seldom, odd)
    middle = stage(picky, on_error=dead_letter(stage(keep, retry=FIRM)), buffer=2)
    flow = DataFlow((range(24), *first, middle, *last))

    def claim(results: list[int]) -> None:
        given_up = set(letters)
        assert given_up >= {n for n in range(24) if n % 4 == 1}
        assert results == [n for n in range(24) if n % 2 and n not in given_up]

    return flow, claim


def a_row_that_few_are_wanted_of() -> Built:
    """The end comes from behind, while items are anywhere."""
    flow = DataFlow((Spaced(range(10**6)), *_row(seldom, seldom, step, seldom), take(7)))

    def claim(results: list[int]) -> None:
        assert results == list(range(7))

    return flow, claim


SHAPES = (
    Shape(a_row),
    Shape(rows_side_by_side),
    Shape(a_row_that_drops_some, withstands=replace(HARD, raises=0.0, cancelled=0.0, refuses=0.0)),
    Shape(a_row_that_few_are_wanted_of),
)
