"""Timelines: which item a branch has at which moment; random ones; and sources that keep to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from hypothesis import strategies as st

from asyncdataflow.testing.seeded_loop import run_seeded
from asyncdataflow.testing.virtual_clock import run_virtual

T = TypeVar("T")

Pace = Literal["moments", "delays"]
"""What a source sleeps: until an item's moment, or as long as lies between it and the one before.

They differ where a source is pulled late. By moments nobody can tell how far an operator
pulls ahead, so two operators that promise the same have the same times. By delays a late
pull makes all that follows late.
"""

PACES: tuple[Pace, ...] = ("moments", "delays")

ITEMS = st.sampled_from([None, 0, 1, 2, "", "a", (), (None,)])


@dataclass(frozen=True)
class Timeline:
    """The items of one branch in order, each with its moment in seconds, and when the branch ends."""

    items: tuple[tuple[float, Any], ...]
    end: float

    @property
    def values(self) -> list[Any]:
        return [item for _, item in self.items]

    @property
    def moments(self) -> list[float]:
        return [moment for moment, _ in self.items]

    def source(self, pace: Pace) -> Callable[[], AsyncGenerator[Any, None]]:
        async def items() -> AsyncGenerator[Any, None]:
            before = 0.0
            for moment, item in self.items:
                await self._sleep(pace, before, moment)
                before = moment
                yield item
            await self._sleep(pace, before, self.end)

        return items

    async def _sleep(self, pace: Pace, before: float, until: float) -> None:
        since = before if pace == "delays" else asyncio.get_running_loop().time()
        await asyncio.sleep(until - since)


class Seen(NamedTuple):
    """What came out: each result with its moment, when it was over, and whether it failed."""

    results: list[tuple[float, Any]]
    ended: float
    failed: bool = False


async def watched(run: Any, pause: float = 0) -> Seen:
    """Consume a run, or the streamer of an aiostream stream, with a pause after each result."""
    clock = asyncio.get_running_loop().time
    results = []
    failed = False
    try:
        async with run:
            async for result in run:
                results.append((clock(), result))
                await asyncio.sleep(pause)
    except ValueError:
        failed = True
    return Seen(results, clock(), failed)


def in_order(seed: int | None, main: Coroutine[Any, Any, T]) -> T:
    """Run it first in, first out, or with every tie drawn from the seed."""
    return run_virtual(main) if seed is None else run_seeded(seed, main)


@st.composite
def timelines(
    draw: st.DrawFn,
    least: int = 1,
    most: int = 1,
    *,
    ties: bool = False,
    even: bool = False,
    items: st.SearchStrategy[Any] = ITEMS,
) -> tuple[Timeline, ...]:
    """Timelines of ``least`` to ``most`` branches, the moments of items whole seconds.

    Args:
        draw: Given by hypothesis.
        least: Fewest branches.
        most: Most branches.
        ties: Two items may have the same moment. Without, no two have, of whichever branches.
        even: All branches have equally many items.
        items: What an item may be.
    """
    branches = draw(st.integers(least, most))
    shared = draw(st.integers(0, 12 // branches))
    extra = st.just(0) if even else st.integers(0, 3)
    turns = [branch for branch in range(branches) for _ in range(shared + draw(extra))]
    gaps = st.sampled_from([0, 1, 2, 5] if ties else [1, 2, 5])
    made: list[list[tuple[float, Any]]] = [[] for _ in range(branches)]
    now = 0.0
    for branch in draw(st.permutations(turns)):
        now += draw(gaps)
        made[branch].append((now, draw(items)))
    # A branch ends right behind its last item, or later, maybe after all others have.
    behind = st.sampled_from([0, 0.5, 3.5, 20.5])
    return tuple(
        Timeline(tuple(branch), (branch[-1][0] if branch else 0.0) + draw(behind)) for branch in made
    )
