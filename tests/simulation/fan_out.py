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

    async def quickly(item: Any) -> tuple[str, Any]:
        return name, await quick_step(item)

    def in_a_thread(item: Any) -> tuple[str, Any]:
        return name, thread_step(item)

    function = {"loop": on_the_loop, "quick": quickly, "thread": in_a_thread}[how]
    return stage(function, name=name, retry=FIRM, buffer=buffer)


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


def _where(n: int) -> Any:
    """Mostly one branch of three, and whatever else may be said."""
    return ("a", "b", "a", None, ["a", "c"], "b", [], "a", "b", "c")[n % 10]


def _to(results: list[tuple[str, int]], name: str, items: int) -> None:
    there = [n for n in range(items) if name in ([_where(n)] if n % 10 != 4 else _where(n))]
    assert _of(results, name) == there


def route_of_many() -> Built:
    """Runs of items for each branch, of which one is slow and has little room."""
    choose = route(_where, retry=FIRM, buffer=20)
    branches = _branches("quick", "quick", "loop", buffer=12) | {"c": _branch("c", "loop", 2)}
    flow = DataFlow((Spaced(range(80), 0.02), choose, branches))

    def claim(results: list[tuple[str, int]]) -> None:
        for name in "abc":
            _to(results, name, 80)
        assert len(results) == 72

    return flow, claim


def route_that_asks() -> Built:
    """The same by a function that suspends now and then, into edges with room for all."""

    async def ask(n: int) -> Any:
        return _where(await quick_step(n))

    choose = route(ask, retry=FIRM, buffer=20)
    flow = DataFlow((Spaced(range(80), 0.02), choose, _branches("quick", "quick", "quick", buffer=80)))

    def claim(results: list[tuple[str, int]]) -> None:
        for name in "abc":
            _to(results, name, 80)
        assert len(results) == 72

    return flow, claim


def split_of_many() -> Built:
    """Runs of parts, of which those for one branch find less room."""
    halves = split(lambda n: (n, -n), retry=FIRM, buffer=20)
    branches = _branches("quick", buffer=12) | {"b": _branch("b", "quick", 7)}
    flow = DataFlow((Spaced(range(60), 0.02), halves, branches))

    def claim(results: list[tuple[str, int]]) -> None:
        assert _of(results, "a") == list(range(60))
        assert _of(results, "b") == [-n for n in range(60)]
        assert len(results) == 120

    return flow, claim


def balance_of_many() -> Built:
    """Runs of items for whichever is free."""
    branches = _branches("quick", "quick", "loop", buffer=12)
    flow = DataFlow((Spaced(range(60), 0.02), balance(buffer=20), branches))

    def claim(results: list[tuple[str, int]]) -> None:
        assert sorted(n for _, n in results) == list(range(60))
        assert all(_of(results, name) == sorted(_of(results, name)) for name in "abc")

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
    Shape(route_of_many),
    Shape(route_that_asks),
    Shape(split_of_many),
    Shape(balance_of_many),
    Shape(balance_among_the_free),
    Shape(partition_by_key),
)
