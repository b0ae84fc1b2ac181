"""What every contestant shares: the source, the trivial stages, the consumer and the usual check."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Final

from .workload import Taken

STAGES: Final = 5

END: Final = object()
"""The last item of a queue that is made by hand."""

EDGE: Final = 128
"""Items that an edge made by hand holds, as our own do by default; what a peer has by default, it keeps."""


async def numbers(count: int) -> AsyncIterator[int]:
    """The source of all that run on a loop."""
    for number in range(count):
        yield number


async def step(number: int) -> int:
    """A trivial coroutine stage."""
    return number


def plain(number: int) -> int:
    """A trivial plain stage."""
    return number


async def take(results: AsyncIterable[Any]) -> Taken:
    """The consumer, where the first result's time counts."""
    iterator = aiter(results)
    first = await anext(iterator)
    at = time.perf_counter()
    return Taken([first, *[each async for each in iterator]], at)


def take_plainly(results: Iterable[Any]) -> Taken:
    """The same without a loop."""
    iterator = iter(results)
    first = next(iterator)
    at = time.perf_counter()
    return Taken([first, *iterator], at)


def in_order(items: int, taken: list[int]) -> None:
    """Every item came out once, in order."""
    if taken != list(range(items)):
        raise AssertionError(f"{len(taken)} results of {items} items, lost, doubled or out of order")


def in_any_order(items: int, taken: list[int]) -> None:
    """Every item came out once."""
    in_order(items, sorted(taken))
