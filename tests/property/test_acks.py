"""A message is acked exactly when everything that was made of it is done: random flows, orders and faults.

What has to be made of a message is worked out here by walking through the same description of
the flow, without any of the runtime; what is made, the sinks write down.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncdataflow import Answer, DataFlow, batch, dead_letter, filter_, flatten, route, split, stage
from asyncdataflow.testing import Faults, QueueSource, simulate

ITEMS = 12

Step = tuple[Any, ...]
"""A kind of step, and what it is made with."""


@dataclass
class Books:
    """What sinks have written, by message."""

    written: Counter[int] = field(default_factory=Counter)
    early: list[str] = field(default_factory=list)


async def wait_a_little() -> None:
    if random.random() < 0.5:
        await asyncio.sleep(random.random())


def built(step: Step, number: int) -> Any:
    """The step as it stands in a definition; an item is ``(message, something)``."""
    kind, *options = step
    name = f"{kind}{number}"

    async def on_the_loop(item: Any) -> Any:
        await wait_a_little()
        return item

    def in_a_thread(item: Any) -> Any:
        if random.random() < 0.5:
            time.sleep(random.random())
        return item

    async def several(item: Any) -> Any:
        for copy in range(copies(item, options[0])):
            await wait_a_little()
            yield item[0], 31 * item[1] + copy

    async def picky(item: Any) -> Any:
        await wait_a_little()
        if fails(item, options[0]):
            raise ValueError("on purpose")
        return item

    if kind == "loop":
        return stage(on_the_loop, name=name, concurrency=options[0], ordered=options[1])
    if kind == "key":
        return stage(on_the_loop, name=name, concurrency=options[0], key=lambda item: item[0] % 3)
    if kind == "thread":
        return stage(in_a_thread, name=name, concurrency=options[0], ordered=options[1])
    if kind == "several":
        return stage(several, name=name)
    if kind == "filter":
        return filter_(lambda item: not fails(item, options[0]), name=name)
    if kind == "together":
        return (batch(options[0], name=f"batch{number}"), flatten(name=name))
    if kind == "skip":
        return stage(picky, name=name, on_error="skip")
    raise AssertionError(kind)


def copies(item: Any, most: int) -> int:
    return (item[0] + item[1]) % (most + 1)


def fails(item: Any, share: int) -> bool:
    return bool((item[0] * 7 + item[1]) % share == 0)


def comes_of(items: list[Any], step: Step) -> list[Any]:
    """What a step makes of these."""
    kind, *options = step
    if kind == "several":
        return [(n, 31 * x + copy) for n, x in items for copy in range(copies((n, x), options[0]))]
    if kind in ("filter", "skip"):
        return [each for each in items if not fails(each, options[0])]
    return items


def of_branches(items: list[Any], branches: list[list[Step]], way: str) -> list[list[Any]]:
    """What goes into each."""
    if way == "route":
        return [
            [each for each in items if (each[0] + each[1]) % 3 == place] for place in range(len(branches))
        ]
    if way == "split":
        return [[(n, x + place) for n, x in items] for place in range(len(branches))]
    return [items for _ in branches]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("loop"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("key"), st.integers(2, 3)),
        st.tuples(st.just("thread"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("several"), st.integers(1, 3)),
        st.tuples(st.just("filter"), st.integers(2, 4)),
        st.tuples(st.just("together"), st.integers(2, 5)),
        st.tuples(st.just("skip"), st.integers(2, 4)),
    ),
    max_size=3,
)

flows = st.tuples(
    steps, st.sampled_from(["broadcast", "route", "split"]), st.lists(steps, min_size=1, max_size=3)
)


@given(flows, st.integers(0, 10_000))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_message_is_acked_when_all_of_it_is_written_and_not_before(flow, seed):
    head, way, branches = flow
    expected = {n: expected_of(n, head, way, branches) for n in range(ITEMS)}
    queues: list[QueueSource[Any]] = []
    books = Books()

    def make() -> DataFlow[Any, Any]:
        books.written.clear()
        queues.append(
            QueueSource([(n, 0) for n in range(ITEMS)], max_unacked=500, on_answer=checking(books, expected))
        )
        return DataFlow(definition(queues[-1], head, way, branches, books))

    simulate(make, seeds=[seed]).raise_for_failures()
    assert not books.early
    assert sorted(queues[-1].acked) == [(n, 0) for n in range(ITEMS)]
    assert not queues[-1].left


@given(flows, st.integers(0, 10_000))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_goes_wrong_none_is_acked_too_early_or_answered_twice(flow, seed):
    head, way, branches = without_skips(flow)
    expected = {n: expected_of(n, head, way, branches) for n in range(ITEMS)}
    queues: list[QueueSource[Any]] = []
    books = Books()

    def make() -> DataFlow[Any, Any]:
        books.written.clear()
        queues.append(QueueSource([(n, 0) for n in range(ITEMS)], on_answer=checking(books, expected)))
        return DataFlow(definition(queues[-1], head, way, branches, books))

    faults = Faults(slow=0.05, raises=0.01, cancelled=0.005, late=0.05, stops=0.2, leaves=0.2, drains=0.2)
    simulate(make, seeds=[seed], faults=faults).raise_for_failures()
    assert not books.early
    if not queues:
        return  # Left before it was built.
    assert set(queues[-1].acked) | set(queues[-1].left) == {(n, 0) for n in range(ITEMS)}
    assert not set(queues[-1].acked) & set(queues[-1].left)


def without_skips(flow: Any) -> Any:
    """An item that is skipped because of a fault is done with, by right."""
    head, way, branches = flow
    filtered = [
        [("filter", *step[1:]) if step[0] == "skip" else step for step in each] for each in (head, *branches)
    ]
    return filtered[0], way, filtered[1:]


def checking(books: Books, expected: dict[int, int]) -> Callable[[Answer], None]:
    """Notes where a message is acked before everything made of it was written.

    Raised here, it would be taken for one of the faults that a run may fail by.
    """

    def check(answer: Answer) -> None:
        number = answer.message.item[0]
        if answer.is_ack and books.written[number] < expected[number]:
            books.early.append(f"{number}: {books.written[number]} of {expected[number]} written")

    return check


def expected_of(number: int, head: list[Step], way: str, branches: list[list[Step]]) -> int:
    """How many things made of a message are written."""
    items = [(number, 0)]
    for step in head:
        items = comes_of(items, step)
    total = 0
    into = of_branches(items, branches, way if len(branches) > 1 else "broadcast")
    for branch, made in zip(branches, into, strict=True):
        for step in branch:
            made = comes_of(made, step)  # noqa: PLW2901 - step by step
        total += len(made)
    return total


def definition(queue: Any, head: list[Step], way: str, branches: list[list[Step]], books: Books) -> Any:
    async def write(item: Any) -> None:
        await wait_a_little()
        books.written[item[0]] += 1

    numbers = iter(range(1000))
    tails = [
        [
            *(flat for step in branch for flat in parts(step, next(numbers))),
            stage(write, name=f"write{place}"),
        ]
        for place, branch in enumerate(branches)
    ]
    first = [queue, *(flat for step in head for flat in parts(step, next(numbers)))]
    if len(tails) == 1:
        return (*first, *tails[0])
    group = {f"b{place}": tail for place, tail in enumerate(tails)}
    if way == "route":
        return (
            *first,
            route(
                lambda item: f"b{(item[0] + item[1]) % 3}" if (item[0] + item[1]) % 3 < len(tails) else None
            ),
            group,
        )
    if way == "split":
        taken_apart = split(
            lambda item: {f"b{place}": (item[0], item[1] + place) for place in range(len(tails))}
        )
        return (*first, taken_apart, group)
    return (*first, group)


def parts(step: Step, number: int) -> tuple[Any, ...]:
    made = built(step, number)
    return made if isinstance(made, tuple) else (made,)


def test_a_dead_letter_is_acked_when_its_sink_has_it():
    letters: list[int] = []
    heard: list[int] = []

    async def half(item: int) -> int:
        if item % 2:
            raise ValueError(item)
        return item

    async def keep(letter: Any) -> None:
        await asyncio.sleep(1)
        letters.append(letter.item)

    def acked_behind_its_letter(answer: Answer) -> None:
        heard.append(answer.message.item)
        assert answer.message.item % 2 == 0 or answer.message.item in letters

    def make() -> DataFlow[Any, Any]:
        letters.clear()
        heard.clear()
        queue = QueueSource(range(10), on_answer=acked_behind_its_letter)
        return DataFlow((queue, stage(half, on_error=dead_letter(keep))))

    simulate(make, seeds=20).raise_for_failures()
    assert sorted(heard) == list(range(10))


@pytest.mark.parametrize("most", [1, 2, 7])
def test_no_more_than_so_many_are_unacked(most):
    under_way = 0
    seen: list[int] = []

    def answered(answer: Answer) -> None:
        nonlocal under_way
        under_way -= 1

    async def begun(item: int) -> int:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        await wait_a_little()
        return item

    def make() -> DataFlow[Any, Any]:
        nonlocal under_way
        under_way = 0
        seen.clear()
        return DataFlow(
            (QueueSource(range(30), max_unacked=most, on_answer=answered), stage(begun, concurrency=9))
        )

    simulate(make, seeds=20).raise_for_failures()
    assert max(seen) <= most
