"""check_ackable_source: what a run relies on in a source that is answered."""

from __future__ import annotations

import asyncio
import functools
import reprlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from ...abc import AckableSource
from ...message import Message
from .answered import Answered, without
from .context import (
    ENDS_CANCELLED,
    LEAVES_NOTHING,
    PASSES_ERRORS,
    STARTS_WHEN_OPENED,
    ends_cancelled,
    leaves_nothing,
    passes_errors,
    starts_when_opened,
)
from .rules import Rule, judge
from .trial import Bench, Visit

__all__ = ("check_ackable_source",)

_MOST_TURNS: Final = 6
"""A pull is cancelled after up to so many turns of the loop."""


def _starts_when_opened(sources: Answered) -> str | None:
    return sources.bench.run(starts_when_opened(sources.make))


def _is_serial(sources: Answered) -> str | None:
    async def main() -> str | None:
        taken = await sources.all_of(sources.make())
        if taken == list(sources.items):
            return None
        return f"{reprlib.repr(taken)} came, not {reprlib.repr(list(sources.items))}"

    return sources.bench.run(main())


def _ends_once(sources: Answered) -> str | None:
    async def main() -> str | None:
        async with sources.session(sources.make()) as session:
            await session.ack(*await session.take(len(sources.items) + 1))
            for _ in range(3):
                with suppress(StopAsyncIteration):
                    return f"{reprlib.repr((await anext(session.iterator)).item)} came after the end"
        return None

    return sources.bench.run(main())


def _cancelled_pulls(sources: Answered) -> str | None:
    async def main(turns: int) -> str | None:
        taken: list[Message[Any]] = []
        async with sources.session(sources.make()) as session:
            while len(taken) < len(sources.items):
                task = asyncio.create_task(_next_of(session.iterator))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    taken.append(await task)
                    continue
                more = await session.take(1)
                taken += more
                if not more:
                    break
        items = [each.item for each in taken]
        lost, twice = without(sources.items, items), without(items, sources.items)
        if lost or twice:
            seen = f"lost {reprlib.repr(lost)}" if lost else f"gave {reprlib.repr(twice)} twice"
            return f"pulls that were cancelled after {turns} turns {seen}"
        return None

    for turns in range(_MOST_TURNS):
        seen = sources.bench.run(main(turns), seed=turns)
        if seen:
            return seen
    return None


async def _next_of(iterator: Any) -> Message[Any]:
    message: Message[Any] = await anext(iterator)
    return message


def _keeps_acks(sources: Answered) -> str | None:
    last = len(sources.items) - 1
    every = set(range(last + 1))
    for acked in (set[int](), {0}, {last}, every - {0}, every):
        for nacked in (False, True):
            seen = sources.bench.run(_next_session(sources, acked, nacked))
            if seen:
                return seen
    return None


async def _next_session(sources: Answered, acked: set[int], nacked: bool) -> str | None:
    """Ack some, nack or leave the others, and see what comes in the session behind."""
    source = sources.make()
    async with sources.session(source) as session:
        taken = await session.take(len(sources.items))
        if acked:
            await session.ack(*(taken[place] for place in sorted(acked, reverse=True)))
        if nacked:
            await session.nack(*(each for place, each in enumerate(taken) if place not in acked))
    first = min(set(range(len(sources.items) + 1)) - acked)
    due = [item for place, item in enumerate(sources.items) if place not in acked]
    may_come = list(sources.items[first:]) if sources.low_water else due
    async with sources.session(source) as session:
        messages = await session.take(len(sources.items) + 1)
        again = [each.item for each in messages]
        if messages:
            await session.ack(*messages)
    told = f"of {reprlib.repr(list(sources.items))}, places {sorted(acked)} were acked, and then"
    if lost := without(due, again):
        return f"{told} {reprlib.repr(lost)} did not come again"
    if extra := without(again, may_come):
        return f"{told} {reprlib.repr(extra)} came again"
    rest = await sources.all_of(source)
    return f"all were acked, and then {reprlib.repr(rest)} came again" if rest else None


def _keeps_acks_when_cancelled(sources: Answered) -> str | None:
    made: list[AckableSource[Any]] = []
    acked: list[Any] = []

    async def visit() -> None:
        made[:], acked[:] = [sources.make()], []
        async with sources.session(made[0]) as session:
            session.acked = acked
            taken = await session.take(len(sources.items))
            await session.ack(*taken[:1])
            await session.ack(*taken[2:])

    for seen in sources.bench.visits_cancelled(visit):
        if not made:
            continue
        due = without(sources.items, acked)
        lost = sources.bench.run(sources.missing(made[0], due))
        if lost:
            return f"{seen.case}, {reprlib.repr(lost)} was not answered, and did not come again"
    return None


def _nacked_first(sources: Answered) -> str | None:
    async def main(count: int) -> str | None:
        async with sources.session(sources.make()) as session:
            taken = await session.take(count)
            await session.nack(*taken)
            again = await session.take(count)
            seen = without([each.item for each in taken], [each.item for each in again])
            if seen:
                came = reprlib.repr([each.item for each in again])
                return f"{reprlib.repr(seen)} was nacked, and {came} came next"
            await session.ack(*again)
            rest = [each.item for each in await session.take(len(sources.items) - count)]
            if rest != list(sources.items[count:]):
                return f"behind what was nacked came {reprlib.repr(rest)}"
        return None

    return sources.bench.run(main(1)) or sources.bench.run(main(2))


def _ignores_late_answers(sources: Answered) -> str | None:
    async def of_another_session() -> str | None:
        source = sources.make()
        async with sources.session(source) as first:
            (old,) = await first.take(1)
        async with sources.session(source) as second:
            await second.take(1)
            await second.ack(old)
        missing = await sources.missing(source, [old.item])
        await first.ack(old)  # To a session that has been left it may come as well.
        return "the ack of an earlier session was taken for one of a later" if missing else None

    async def of_an_earlier_delivery() -> str | None:
        source = sources.make()
        async with sources.session(source) as session:
            (old,) = await session.take(1)
            await session.nack(old)
            await session.take(1)
            await session.ack(old)
        missing = await sources.missing(source, [old.item])
        return "an ack behind a nack was taken for one of the redelivery" if missing else None

    return sources.bench.run(of_another_session()) or sources.bench.run(of_an_earlier_delivery())


def _goes_on_after(sources: Answered) -> str | None:
    async def main() -> str | None:
        source = sources.make()
        async with sources.session(source) as session:
            messages = await session.take(len(sources.items))
        for count in range(len(messages) + 1):
            after = {each.partition: each.position for each in messages[:count]}
            came = await sources.all_of(source, after)
            if came != [each.item for each in messages[count:]]:
                return f"after={after!r}: {reprlib.repr(came)} came"
        return None

    return sources.bench.run(main())


def _bounds(sources: Answered) -> str | None:
    async def main() -> object:
        return sources.make().max_unacked

    most = sources.bench.run(main())
    return None if isinstance(most, int) and most >= 1 else f"max_unacked is {most!r}"


def _visits(sources: Answered) -> Iterator[Visit]:
    async def visit(most: int) -> None:
        async with sources.session(sources.make()) as session:
            taken = await session.take(most)
            if taken:
                await session.ack(taken[0])
                await session.nack(*taken[1:])

    for most in range(len(sources.items) + 1):
        yield sources.bench.visit(f"left after {most} items", functools.partial(visit, most))
    yield from sources.bench.visits_cancelled(functools.partial(visit, len(sources.items)))


def _leaves_nothing(sources: Answered) -> str | None:
    return leaves_nothing(_visits(sources))


def _ends_cancelled(sources: Answered) -> str | None:
    return ends_cancelled(_visits(sources))


def _passes_errors(sources: Answered) -> str | None:
    async def use(error: BaseException) -> None:
        async with sources.session(sources.make()) as session:
            await session.take(1)
            raise error

    return sources.bench.run(passes_errors(use))


_ENDS: Final = Rule("RS 1.7", "It ends once: what is asked after the end hears the end again.")
_AFTER: Final = Rule("E50", "Opened with after=, exactly what lies behind these positions comes.")
_RULES: Final = (
    (STARTS_WHEN_OPENED, _starts_when_opened),
    (Rule("RS 1.3", "Its items come one by one, each once, in their order."), _is_serial),
    (Rule("A2", "A pull that is cancelled loses nothing."), _cancelled_pulls),
    (Rule("E48", "What was acked does not come again; what was not comes in the next session."), _keeps_acks),
    (Rule("E49", "Cancelled at any step, it loses nothing that was not acked."), _keeps_acks_when_cancelled),
    (Rule("E52", "What was nacked comes again before anything new."), _nacked_first),
    (Rule("E53", "It says how many may be unanswered: one or more."), _bounds),
    (Rule("E54", "A late answer, or a second one, answers no other delivery."), _ignores_late_answers),
    (LEAVES_NOTHING, _leaves_nothing),
    (ENDS_CANCELLED, _ends_cancelled),
    (PASSES_ERRORS, _passes_errors),
)


def check_ackable_source(
    make: Callable[[], AckableSource[Any]],
    *,
    items: Sequence[Any],
    low_water: bool = False,
    positions: bool = False,
    silence: float | None = None,
    seeds: int = 3,
    real_time: bool = False,
    deadline: float = 10.0,
) -> tuple[Rule, ...]:
    """Try whether a source that is answered keeps to what a run relies on.

    It is opened, read, answered, left and cancelled at every step, as a run does it, on loops of
    its own: call it from a plain test function. The rules are

    - C28: nothing runs before it is opened;
    - RS 1.3: its items come one by one, each once, in their order;
    - RS 1.7: after the end, ``anext`` says the end again (not where ``silence`` is given);
    - A2: a pull that is cancelled loses nothing;
    - E48: what was acked does not come again; what was not comes in the next session;
    - E49: cancelled at any step, it loses nothing that was not acked;
    - E50: opened with ``after=``, exactly what lies behind these positions comes (with ``positions``);
    - E52: what was nacked comes again before anything new, in the same session;
    - E53: it says how many may be unanswered;
    - E54: a late answer, or a second one to the same message, answers no other delivery;
    - C22, C24, D36: as :func:`check_source` says of its contexts.

    Args:
        make: Makes the source anew, on a running loop, with what it reads: all items are there, and
            none was ever answered. Sessions that go on from each other are of one source.
        items: What there is to be read, two items or more, no two alike.
        low_water: It keeps no more than a mark: what was acked behind something that was not may
            come again in the next session.
        positions: Its messages have positions, and ``after=`` is understood.
        silence: For a source that never ends: seconds after which nothing more is taken to come.
        seeds: How many orders of steps it is cancelled in.
        real_time: For a source that waits for anything outside the loop: a socket, a thread, a
            process. Else time is virtual, and waiting costs nothing.
        deadline: Seconds after which it is taken to hang.

    Returns:
        The rules that were tried; all of them hold.

    Raises:
        BrokenRuleError: It breaks some, each told with its number and what was seen.
        ValueError: Fewer than two items are given.
    """
    if len(items) < 2:
        raise ValueError("check_ackable_source(items=): two items or more are needed")
    sources = Answered(make, list(items), low_water, silence, Bench(real_time, deadline, seeds))
    rules = [*_RULES]
    if silence is None:
        rules.insert(2, (_ENDS, _ends_once))
    if positions:
        rules.insert(-4, (_AFTER, _goes_on_after))
    return judge("the source", ((rule, functools.partial(check, sources)) for rule, check in rules))
