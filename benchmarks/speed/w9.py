"""W9: growth: what an item costs where there are more stages, more items or more branches."""

# What a contestant needs is imported where it runs: a peer's environment has none of ours.
# ruff: noqa: PLC0415

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

from .feed import numbers, step
from .workload import Contestant, Floor, Workload

FLAT: Final = 1 / 1.2
"""What the smallest costs, of any other size: within 20 %."""

STEPS: Final = 3_000_000
"""Items times steps of a flow that is measured; its source is one of the steps. Enough that a thousand
stages are full."""

FEW_BYTES: Final = 5_000_000
"""What a run may take, however many its items are."""


async def through(stages: int, items: int, *, fuse: bool = True) -> int:
    """A chain of so many coroutine stages; gives what came out in order."""
    from asyncdataflow import DataFlow

    flow = DataFlow((numbers, *[step] * stages), fuse=fuse)
    taken = 0
    async with flow.stream({"count": items}) as run:
        async for number in run:
            taken += number == taken
    return taken


async def broadcast(branches: int, items: int) -> list[int]:
    """A stream to so many sinks; gives what each has taken."""
    from asyncdataflow import DataFlow

    taken = [0] * branches

    def sink(branch: int) -> Callable[[int], Any]:
        async def keep(number: int) -> None:
            taken[branch] += number == taken[branch]

        return keep

    flow = DataFlow((numbers, tuple(sink(branch) for branch in range(branches))))
    async with flow.stream({"count": items}) as run:
        await run.wait()
    return taken


def all_came(items: int, taken: int) -> None:
    """Every item came out once, in order."""
    if taken != items:
        raise AssertionError(f"{taken} of {items} items in order")


def all_came_everywhere(items: int, taken: list[int]) -> None:
    """Every item came once and in order to every branch."""
    for each in taken:
        all_came(items, each)


def contestants(way: Callable[..., Any], sizes: Sequence[int], one: str, many: str) -> tuple[Contestant, ...]:
    """Ours at each size, with as many items as make the same number of steps."""
    return tuple(
        Contestant(
            f"{size:,} {many if size > 1 else one}",
            functools.partial(way, size),
            "ours",
            share=1 / (size + 1),
            steps=size + 1,
        )
        for size in sizes
    )


def flat(several: Sequence[Contestant]) -> tuple[Floor, ...]:
    """Nobody costs much more than the first: in CPU time of one thread, which other work hardly moves."""
    first, *others = several
    return tuple(Floor(first.name, FLAT, "cpu", each.name) for each in others)


def of_stages(name: str, what: str, *, fuse: bool) -> Workload:
    """From one stage to a thousand."""
    sizes = contestants(functools.partial(through, fuse=fuse), (1, 10, 100, 1000), "stage", "stages")
    return Workload(
        name,
        f"one to a thousand {what}: µs of CPU an item and step, source and start included",
        STEPS,
        sizes,
        all_came,
        flat(sizes),
        ranks="cpu",
    )


_COUNTS: Final = tuple(
    Contestant(
        f"{10**power:,} item{'s' if power else ''}",
        functools.partial(through, 1),
        "ours",
        share=10.0 ** (power - 7),
        steps=2,
        note="the run's start is most of it: W8 judges that" if power < 4 else "",
    )
    for power in (0, 3, 5, 6, 7)
)

_BRANCHES: Final = contestants(broadcast, (1, 10, 100, 1000), "branch", "branches")

W9 = (
    of_stages("W9-stages", "coroutine stages", fuse=True),
    of_stages("W9-stages-apart", "coroutine stages, a worker each (fuse=False)", fuse=False),
    Workload(
        "W9-items",
        "one to ten million items through a coroutine stage: µs of CPU an item and step, and memory",
        10**7,
        _COUNTS,
        all_came,
        (
            *flat(_COUNTS[2:]),
            *(Floor("", FEW_BYTES, "peak", of=each.name) for each in _COUNTS[2:]),
        ),
        ranks="cpu",
    ),
    Workload(
        "W9-branches",
        "broadcast to one to a thousand trivial sinks: µs of CPU an item and step, source and start included",
        STEPS,
        _BRANCHES,
        all_came_everywhere,
        flat(_BRANCHES),
        ranks="cpu",
    ),
)
