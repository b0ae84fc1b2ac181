"""Shapes of stages with several workers: one of them leads while nothing suspends, or they go by turns."""

from __future__ import annotations

import asyncio
import random

from asyncdataflow import DataFlow, stage

from .shape import FIRM, Built, Shape, Spaced, quick_step

__all__ = ("SHAPES",)

ITEMS = 60


def a_leader_in_any_order() -> Built:
    quick = stage(quick_step, concurrency=3, ordered=False, retry=FIRM, buffer=12)
    flow = DataFlow((Spaced(range(ITEMS), 0.03), quick))

    def claim(results: list[int]) -> None:
        assert sorted(results) == list(range(ITEMS))

    return flow, claim


def a_leader_in_order() -> Built:
    flow = DataFlow((Spaced(range(ITEMS), 0.03), stage(quick_step, concurrency=3, retry=FIRM, buffer=12)))

    def claim(results: list[int]) -> None:
        assert results == list(range(ITEMS))

    return flow, claim


def a_leader_by_key() -> Built:
    quick = stage(quick_step, concurrency=3, key=lambda n: n % 4, retry=FIRM, buffer=12)
    flow = DataFlow((Spaced(range(ITEMS), 0.03), quick))

    def claim(results: list[int]) -> None:
        assert sorted(results) == list(range(ITEMS))
        for key in range(4):
            assert [n for n in results if n % 4 == key] == list(range(key, ITEMS, 4))

    return flow, claim


async def bursts(n: int) -> int:
    """Many of them wait for the same time, and come back in one step of the loop."""
    if random.random() < 0.9:
        await asyncio.sleep(random.choice((0.0, 0.5, 1.0)))
    return n


def by_turns_in_any_order() -> Built:
    """More come back at once than there is room for behind."""
    many = stage(bursts, concurrency=12, ordered=False, retry=FIRM, buffer=20)
    flow = DataFlow((Spaced(range(ITEMS), 0.05), many, stage(quick_step, retry=FIRM, buffer=5)), fuse=False)

    def claim(results: list[int]) -> None:
        assert sorted(results) == list(range(ITEMS))

    return flow, claim


def by_turns_in_order() -> Built:
    """Likewise, in order, out of two sources, and some are no result."""

    async def odd(n: int) -> int | None:
        return await bursts(n) if n % 5 else None

    sources = (Spaced(range(30), 0.05), Spaced(range(30, ITEMS), 0.05))
    flow = DataFlow((sources, stage(odd, concurrency=12, retry=FIRM, buffer=20)))

    def claim(results: list[int]) -> None:
        low = [n for n in results if n < 30]
        assert low == [n for n in range(30) if n % 5]
        assert [n for n in results if n >= 30] == [n for n in range(30, ITEMS) if n % 5]

    return flow, claim


SHAPES = (
    Shape(a_leader_in_any_order),
    Shape(a_leader_in_order),
    Shape(a_leader_by_key),
    Shape(by_turns_in_any_order),
    Shape(by_turns_in_order),
)
