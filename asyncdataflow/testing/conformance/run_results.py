"""What a run makes of a definition: the same results, wherever its workers live.

Each of these returns what it saw of a broken rule.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from ...dataflow import DataFlow
from ...graph import named
from ...stage import stage
from .feeding import Feeding, Trial

__all__ = (
    "broadcasts",
    "counts",
    "drains",
    "gives_one_value",
    "keeps_order",
    "keeps_order_of_many_workers",
    "merges",
    "shares_nothing",
    "takes_any_item",
)


async def _plus_one(number: int) -> int:
    return number + 1


async def _double(number: int) -> int:
    return number * 2


async def _kind(item: object) -> str:
    return type(item).__name__


async def _odd(number: int) -> int | None:
    return number if number % 2 else None


async def _in_any_order(number: int) -> int:
    for _ in range(number % 4):
        await asyncio.sleep(0)
    return number


async def _answer() -> int:
    return 42


async def _low() -> AsyncIterator[int]:
    for number in range(5):
        yield number


async def _high() -> AsyncIterator[int]:
    for number in range(100, 103):
        yield number


def _unlike(results: Any, expected: Any, of: str) -> str | None:
    return None if results == expected else f"{of} came to {results!r}, not {expected!r}"


async def keeps_order(trial: Trial) -> str | None:
    """A chain of three stages."""
    async with trial.stream(DataFlow((_plus_one, _double, _plus_one)), range(50)) as run:
        results = [result async for result in run]
    return _unlike(results, [2 * number + 3 for number in range(50)], "a chain")


async def keeps_order_of_many_workers(trial: Trial) -> str | None:
    """A stage with three workers, some of which are slower."""
    flow = DataFlow(stage(_in_any_order, concurrency=3))
    async with trial.stream(flow, range(50)) as run:
        results = [result async for result in run]
    return _unlike(results, list(range(50)), "an ordered stage of three workers")


async def broadcasts(trial: Trial) -> str | None:
    """A step before a group."""
    flow = DataFlow((_plus_one, (_double, _plus_one)))
    placed: dict[str, list[int]] = defaultdict(list)
    async with trial.stream(flow, range(9)) as run:
        try:
            while True:
                place, result = await run.next_placed()
                placed[flow.graph.outputs[place]].append(result)
        except StopAsyncIteration:
            pass
    expected = [[2 * number + 2 for number in range(9)], [number + 2 for number in range(9)]]
    return _unlike(sorted(placed.values(), reverse=True), expected, "a broadcast")


async def merges(trial: Trial) -> str | None:
    """Two sources of unlike length before one stage."""
    async with trial.stream(DataFlow(((_low, _high), _plus_one))) as run:
        results = [result async for result in run]
    return _unlike(sorted(results), [1, 2, 3, 4, 5, 101, 102, 103], "a merge")


async def gives_one_value(trial: Trial) -> str | None:
    """Flows that are called once."""
    flows: tuple[tuple[Any, Any], ...] = (
        ((_answer, _plus_one), 43),
        ((_answer, (_plus_one, _double)), (43, 84)),
        ([_answer, {"more": _plus_one, "twice": _double}], {"more": 43, "twice": 84}),
        ((_low, _plus_one), [1, 2, 3, 4, 5]),
    )
    for definition, expected in flows:
        result = await DataFlow(definition).run(engine=trial.engine)
        unlike = _unlike(result, expected, "run()")
        if unlike:
            return unlike
    return None


async def takes_any_item(trial: Trial) -> str | None:
    """Items that stand for nothing, and results that do."""
    items = [None, 0, "", False, (), StopAsyncIteration()]
    async with trial.stream(DataFlow(_kind), items) as run:
        results = [result async for result in run]
    expected = ["NoneType", "int", "str", "bool", "tuple", "StopAsyncIteration"]
    async with trial.stream(DataFlow(_odd), range(6)) as run:
        odd = [result async for result in run]
    return _unlike(results, expected, "their kinds") or _unlike(odd, [1, 3, 5], "odd numbers or None")


async def shares_nothing(trial: Trial) -> str | None:
    """Two runs of one flow at once, one of which is left; and one more."""
    flow = DataFlow(stage(_plus_one, buffer=2))
    async with trial.stream(flow, range(10, 19)) as whole:
        results = [await anext(whole)]
        async with trial.stream(flow, range(5)) as left:
            first = [await anext(left), await anext(left)]
            results.append(await anext(whole))
        results += [result async for result in whole]
    again = await flow.run(items=range(2), engine=trial.engine)
    return (
        _unlike(first, [1, 2], "the first of two runs at once")
        or _unlike(results, list(range(11, 20)), "the second of two runs at once")
        or _unlike(again, [1, 2], "a run after them")
    )


async def drains(trial: Trial) -> str | None:
    """A source without end is drained."""
    feed = Feeding()
    flow = DataFlow((stage(_plus_one, buffer=2), stage(_double, buffer=2)))
    async with trial.stream(flow, feed) as run:
        results = [await anext(run)]
        run.drain()
        results += [result async for result in run]
        if feed.closed < feed.begun:
            return "drained, its source was still open"
    return _unlike(results, [2 * number + 2 for number in range(feed.pulled)], "a run that was drained")


async def counts(trial: Trial) -> str | None:
    """The figures of a run that has ended."""
    flow = DataFlow((_plus_one, _odd))
    async with trial.stream(flow, range(6)) as run:
        results = [result async for result in run]
        stats = run.stats()
    names = [named(each) for each in run.graph.stages]
    if list(stats.stages) != names:
        return f"its stages are {names}, and there are figures of {list(stats.stages)}"
    for name, each in stats.stages.items():
        if run.graph.by_name[name].role != "source" and each.received != each.sent + each.filtered:
            return f"{name} received {each.received}, sent {each.sent} and filtered {each.filtered}"
    return _unlike(stats.results, len(results), "stats().results")
