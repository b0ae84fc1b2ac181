"""Shapes with fan-out: broadcast, ``split route balance partition``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncdataflow import DataFlow, balance, partition, route, split, stage

from .shape import FIRM, Built, Shape, Spaced, quick_step, step, thread_step

__all__ = ("SHAPES",)


def _branches(*executors: str, buffer: int = 2) -> dict[str, Any]:
    """Branches that say whose results theirs are."""
    names = "abc"[: len(executors)]
    return {name: _branch(name, how, buffer) for name, how in zip(names, executors, strict=True)}


def _branch(name: str, how: str, buffer: int) -> Any:
    async def on_the_loop(item: Any) -> tuple[str, Any]:
        return name, await step(item)

    def in_a_thread(item: Any) -> tuple[str, Any]:
        return name, thread_step(item)

    return stage(in_a_thread if how == "thread" else on_the_loop, name=name, retry=FIRM, buffer=buffer)


def _of(results: Sequence[tuple[str, Any]], name: str) -> list[Any]:
    return [item for branch, item in results if branch == name]


def broadcast() -> Built:
    """Three branches of unequal rates, in edges that hold one item."""
    flow = DataFlow((Spaced(range(7)), _branches("loop", "thread", "loop", buffer=1)))

    def claim(results: list[tuple[str, int]]) -> None:
        assert len(results) == 21
        assert all(_of(results, name) == list(range(7)) for name in "abc")

    return flow, claim


def broadcast_by_several_workers() -> Built:
    """Every branch sees one order, whichever worker sends."""
    several = stage(step, concurrency=3, ordered=False, retry=FIRM)
    flow = DataFlow((range(9), several, _branches("loop", "loop", buffer=1)))

    def claim(results: list[tuple[str, int]]) -> None:
        assert len(results) == 18
        assert sorted(_of(results, "a")) == list(range(9))
        assert _of(results, "a") == _of(results, "b")

    return flow, claim


def broadcast_of_many() -> Built:
    """Many items go to every branch together."""

    async def first(item: int) -> tuple[str, int]:
        return "a", await quick_step(item)

    async def second(item: int) -> tuple[str, int]:
        return "b", await quick_step(item)

    branches = tuple(stage(each, retry=FIRM, buffer=12) for each in (first, second))
    flow = DataFlow((Spaced(range(60), 0.02), stage(quick_step, retry=FIRM, buffer=20), branches))

    def claim(results: list[tuple[str, int]]) -> None:
        assert len(results) == 120
        assert all(_of(results, name) == list(range(60)) for name in "ab")

    return flow, claim


def split_into_parts() -> Built:
    halves = split(lambda n: (n, -n), retry=FIRM)
    flow = DataFlow((Spaced(range(8)), halves, _branches("loop", "thread", buffer=1)))

    def claim(results: list[tuple[str, int]]) -> None:
        assert _of(results, "a") == list(range(8))
        assert _of(results, "b") == [-n for n in range(8)]
        assert len(results) == 16

    return flow, claim


def route_to_several_and_to_none() -> Built:
    def where(n: int) -> Any:
        return (None, "a", ["b", "c"], ["a", "b", "c"])[n % 4]

    flow = DataFlow((range(12), route(where, retry=FIRM), _branches("loop", "loop", "thread", buffer=1)))

    def claim(results: list[tuple[str, int]]) -> None:
        assert _of(results, "a") == [1, 3, 5, 7, 9, 11]
        assert _of(results, "b") == _of(results, "c") == [2, 3, 6, 7, 10, 11]
        assert len(results) == 18

    return flow, claim


def balance_among_the_free() -> Built:
    flow = DataFlow((Spaced(range(12)), balance, _branches("loop", "thread", "loop", buffer=1)))

    def claim(results: list[tuple[str, int]]) -> None:
        assert sorted(n for _, n in results) == list(range(12))
        assert all(_of(results, name) == sorted(_of(results, name)) for name in "abc")

    return flow, claim


def partition_by_key() -> Built:
    parity = partition(lambda n: n % 5, retry=FIRM)
    flow = DataFlow((range(12), parity, _branches("loop", "thread", "loop", buffer=1)))

    def claim(results: list[tuple[str, int]]) -> None:
        assert sorted(n for _, n in results) == list(range(12))
        assert all(_of(results, name) == sorted(_of(results, name)) for name in "abc")
        for key in range(5):
            assert len({branch for branch, n in results if n % 5 == key}) == 1

    return flow, claim


SHAPES = (
    Shape(broadcast),
    Shape(broadcast_of_many),
    Shape(broadcast_by_several_workers),
    Shape(split_into_parts),
    Shape(route_to_several_and_to_none),
    Shape(balance_among_the_free),
    Shape(partition_by_key),
)
