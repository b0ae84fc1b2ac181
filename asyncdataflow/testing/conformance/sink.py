"""check_sink: what a run relies on in a sink."""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...abc import Sink
from .context import (
    ENDS_CANCELLED,
    LEAVES_NOTHING,
    PASSES_ERRORS,
    STARTS_WHEN_OPENED,
    context_of,
    ends_cancelled,
    leaves_nothing,
    passes_errors,
    starts_when_opened,
)
from .rules import Rule, judge
from .trial import Bench, Visit

__all__ = ("check_sink",)


@dataclass(frozen=True, slots=True)
class _Sinks:
    """What is tried: sinks made anew, what is written to them, and how to see what lies there."""

    make: Callable[[], Sink[Any]]
    items: list[Any]
    read: Callable[[Any], Any] | None
    bench: Bench

    async def write(self, sink: Sink[Any], most: int | None = None) -> None:
        """Open it, write, and leave it."""
        async with context_of(sink) as write:
            for item in self.items[:most]:
                await write(item)

    async def lying(self, sink: Sink[Any]) -> list[Any]:
        """What lies at the destination."""
        if self.read is None:
            raise TypeError("read= is needed to see what lies at the destination")
        read = self.read(sink)
        return list(await read if inspect.isawaitable(read) else read)

    async def written(self) -> list[Any]:
        """What lies there after all items were written."""
        sink = self.make()
        await self.write(sink)
        return await self.lying(sink)


def _starts_when_opened(sinks: _Sinks) -> str | None:
    return sinks.bench.run(starts_when_opened(sinks.make))


def _keeps_all(sinks: _Sinks) -> str | None:
    lying = sinks.bench.run(sinks.written())
    missing = _without(sinks.items, lying)
    extra = _without(lying, sinks.items)
    if missing:
        return f"{reprlib.repr(missing)} does not lie there"
    return f"{reprlib.repr(extra)} lies there beside what was written" if extra else None


def _keeps_order(sinks: _Sinks) -> str | None:
    lying = sinks.bench.run(sinks.written())
    both = [_without(ours, _without(ours, others)) for ours, others in _both_ways(lying, sinks.items)]
    return None if both[0] == both[1] else f"{reprlib.repr(lying)} lies there"


def _both_ways(first: list[Any], second: list[Any]) -> tuple[tuple[list[Any], list[Any]], ...]:
    return ((first, second), (second, first))


def _without(items: list[Any], others: list[Any]) -> list[Any]:
    """The items less the others, one for one; items may not be hashable."""
    left = list(others)
    kept = []
    for item in items:
        if item in left:
            left.remove(item)
        else:
            kept.append(item)
    return kept


def _takes_any_item(sinks: _Sinks) -> str | None:
    falsy = [item for item in sinks.items if item is None or not item]
    missing = _without(falsy, sinks.bench.run(sinks.written()))
    return f"{reprlib.repr(missing)} does not lie there" if missing else None


def _begins_anew(sinks: _Sinks) -> str | None:
    async def again() -> str | None:
        sink = sinks.make()
        await sinks.write(sink)
        await sinks.write(sink)
        if sinks.read is None:
            return None
        lying = await sinks.lying(sink)
        # It appends, or begins anew.
        if lying in (sinks.items * 2, sinks.items):
            return None
        return f"opened a second time, there lay {reprlib.repr(lying)}"

    async def at_once() -> None:
        sink = sinks.make()
        async with context_of(sink) as first:
            await first(sinks.items[0])
            await sinks.write(sink)
            for item in sinks.items[1:]:
                await first(item)

    return sinks.bench.run(again()) or sinks.bench.run(at_once())


def _is_one_of_many(sinks: _Sinks) -> str | None:
    """Cancelled at any step, what lies there is a beginning of what was written."""
    sink: list[Sink[Any]] = []
    lying: list[Any] = []

    async def visit() -> None:
        sink[:], lying[:] = [sinks.make()], []
        try:
            await sinks.write(sink[0])
        finally:
            # The destination may be bound to this loop.
            lying[:] = await sinks.lying(sink[0])

    for seen in sinks.bench.visits_cancelled(visit):
        if lying != sinks.items[: len(lying)]:
            return f"{seen.case}, there lay {reprlib.repr(lying)}"
    return None


def _visits(sinks: _Sinks) -> Iterator[Visit]:
    async def visit(most: int) -> None:
        await sinks.write(sinks.make(), most)

    for most in range(len(sinks.items) + 1):
        yield sinks.bench.visit(f"left after {most} items", functools.partial(visit, most))
    yield from sinks.bench.visits_cancelled(functools.partial(visit, len(sinks.items)))


def _leaves_nothing(sinks: _Sinks) -> str | None:
    return leaves_nothing(_visits(sinks))


def _ends_cancelled(sinks: _Sinks) -> str | None:
    return ends_cancelled(_visits(sinks))


def _passes_errors(sinks: _Sinks) -> str | None:
    async def use(error: BaseException) -> None:
        async with context_of(sinks.make()) as write:
            await write(sinks.items[0])
            raise error

    return sinks.bench.run(passes_errors(use))


_RULES: Final = (
    (STARTS_WHEN_OPENED, _starts_when_opened),
    (Rule("C29", "It can be opened again, and at once; leaving one leaves the other open."), _begins_anew),
    (LEAVES_NOTHING, _leaves_nothing),
    (ENDS_CANCELLED, _ends_cancelled),
    (PASSES_ERRORS, _passes_errors),
)
_RULES_OF_WHAT_LIES_THERE: Final = (
    (Rule("A1", "What was written lies there, each item once, when its context is left."), _keeps_all),
    (
        Rule("A2", "Cancelled at any step, what lies there is a beginning of what was written."),
        _is_one_of_many,
    ),
    (Rule("A8", "What was written lies there in the order of the writes."), _keeps_order),
    (Rule("B21", "None and what counts as false are items."), _takes_any_item),
)


def check_sink(
    make: Callable[[], Sink[Any]],
    items: Sequence[Any],
    *,
    read: Callable[[Any], Any] | None = None,
    seeds: int = 3,
    real_time: bool = False,
    deadline: float = 10.0,
) -> tuple[Rule, ...]:
    """Try whether a sink keeps to what a run relies on.

    It is opened, written to, left and cancelled at every step, as a run does it, on loops of
    its own: call it from a plain test function. The rules are

    - C28: nothing runs before it is opened; ``open()`` returns an async context manager;
    - C29: it can be opened again, and at once; leaving one leaves the other open;
    - C22: left at any item or cancelled at any step, it ends and leaves no task, async
      generator or thread;
    - C24: a cancellation comes out as one;
    - D36: an error in the block comes out as itself;

    and with ``read``, of what lies at the destination

    - A1: what was written lies there, each item once, when its context is left: it flushes;
    - A2: cancelled at any step, what lies there is a beginning of what was written;
    - A8: it lies there in the order of the writes;
    - B21: ``None`` and what counts as false are items (where there are such in ``items``).

    Args:
        make: Makes the sink anew, on a running loop, with nothing at its destination.
        items: What is written to it, at least one item.
        read: Called with the sink after its context was left; returns, or returns an awaitable of,
            what lies at its destination.
        seeds: How many orders of steps it is cancelled in.
        real_time: For a sink that waits for anything outside the loop: a socket, a thread, a
            process. Else time is virtual, and waiting costs nothing.
        deadline: Seconds after which it is taken to hang.

    Returns:
        The rules that were tried; all of them hold.

    Raises:
        BrokenRuleError: It breaks some, each told with its number and what was seen.
        ValueError: There are no items.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from asyncdataflow import Sink
        >>> from asyncdataflow.testing import check_sink
        >>> class Pairs(Sink[int]):
        ...     def __init__(self):
        ...         self.pairs = []
        ...     @asynccontextmanager
        ...     async def open(self):
        ...         held = []
        ...         async def write(number):
        ...             held.append(number)
        ...             if len(held) == 2:
        ...                 self.pairs.append(tuple(held))
        ...                 held.clear()
        ...         yield write  # and what is still held?
        >>> check_sink(Pairs, [1, 2, 3], read=lambda sink: [each for pair in sink.pairs for each in pair])
        Traceback (most recent call last):
        asyncdataflow.errors.BrokenRuleError: the sink breaks 2 of 9 rules:
          C29: It can be opened again, and at once; leaving one leaves the other open.
            seen: opened a second time, there lay [1, 2, 1, 2]
          A1: What was written lies there, each item once, when its context is left.
            seen: [3] does not lie there
    """
    if not items:
        raise ValueError("check_sink(items=): at least one item is needed, or nothing can be seen")
    sinks = _Sinks(make, list(items), read, Bench(real_time, deadline, seeds))
    rules = _RULES if read is None else (*_RULES, *_RULES_OF_WHAT_LIES_THERE)
    return judge("the sink", ((rule, functools.partial(check, sinks)) for rule, check in rules))
