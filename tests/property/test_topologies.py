"""Random flows with the smallest buffers, at any pace: none stands still, none loses or adds anything.

A plan is data: it is built into a definition, and read by a reference in plain Python that
says which results must come out. Everything runs on virtual time, where a run that stands
still raises ``DeadlockError`` with the lines where it waits.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import given, note, settings
from hypothesis import strategies as st

from asyncdataflow import (
    DataFlow,
    balance,
    batch,
    filter_,
    flatten,
    merge,
    partition,
    route,
    split,
    stage,
    take,
    zip_,
)
from asyncdataflow.testing.seeded_loop import quiet, run_seeded


class Item(NamedTuple):
    """Where it is from, and what the stages have made of it."""

    origin: int
    number: int
    value: int = 0

    def then(self, salt):
        return self._replace(value=(self.value * 31 + salt) % 1_000_003)


@dataclass(frozen=True)
class Work:
    """One item from each: a coroutine function at some pace, or one called inline."""

    salt: int
    buffer: int = 1
    concurrency: int = 1
    ordered: bool = True
    keyed: bool = False
    pace: int = 0
    inline: bool = False

    @property
    def keeps_order(self):
        return self.concurrency == 1 or (self.ordered and not self.keyed)

    def build(self):
        async def work(item):
            if self.pace:
                await asyncio.sleep((item.number * self.pace + item.origin) % 4)
            return item.then(self.salt)

        def at_once(item):
            return item.then(self.salt)

        options = {"concurrency": self.concurrency, "ordered": self.ordered}
        if self.keyed:
            options = {"concurrency": self.concurrency, "key": lambda item: item.number % 3}
        if self.inline:
            return [stage(at_once, executor="inline", buffer=self.buffer, **options)]
        return [stage(work, buffer=self.buffer, **options)]

    def expect(self, items):
        return [item.then(self.salt) for item in items]


@dataclass(frozen=True)
class Keep:
    """A filter."""

    modulus: int
    keeps_order = True

    def build(self):
        return [filter_(lambda item: item.number % self.modulus, buffer=1)]

    def expect(self, items):
        return [item for item in items if item.number % self.modulus]


@dataclass(frozen=True)
class Expand:
    """Several items from each, or none."""

    least: int
    concurrency: int = 1
    keeps_order = True

    def count(self, item):
        return self.least + item.number % 3

    def build(self):
        async def expand(item):
            for part in range(self.count(item)):
                yield item.then(part)
                await asyncio.sleep(part % 2)

        return [stage(expand, buffer=1, concurrency=self.concurrency)]

    def expect(self, items):
        return [item.then(part) for item in items for part in range(self.count(item))]


@dataclass(frozen=True)
class Lots:
    """Batches, taken apart again."""

    size: int
    keeps_order = True

    def build(self):
        return [batch(self.size, buffer=1), flatten(buffer=1)]

    def expect(self, items):
        return list(items)


@dataclass(frozen=True)
class Group:
    """Branches behind a broadcast or a distributing operator, and how they meet again."""

    kind: str
    branches: tuple
    join: str
    keeps_order = False

    def build(self):
        branches = [tuple(built(each)) for each in self.branches]
        names = [f"b{place}" for place in range(len(branches))]
        group = dict(zip(names, branches, strict=True)) if self.kind == "route" else tuple(branches)
        forks = {
            "broadcast": [],
            "balance": [balance(buffer=1)],
            "partition": [partition(lambda item: item.number, buffer=1)],
            "route": [route(lambda item: [names[place] for place in self.places(item)] or None, buffer=1)],
            "split": [
                split(lambda item: tuple(item.then(place) for place in range(len(branches))), buffer=1)
            ],
        }
        return [*forks[self.kind], group, *self.joined()]

    def joined(self):
        async def as_they_come(item):
            return item

        async def pair(row):
            assert len({(item.origin, item.number) for item in row}) == 1, f"{row} do not belong together"
            return row[0].then(sum(item.value for item in row))

        joins = {
            "merge": [merge(buffer=1)],
            "one parameter": [stage(as_they_come, buffer=1)],
            "zip": [zip_(buffer=1), stage(pair, buffer=1)],
        }
        return joins[self.join]

    def places(self, item):
        """The branches that an item goes to."""
        count = len(self.branches)
        if self.kind == "partition":
            return [item.number % count]
        if self.kind == "route":
            return [place for place in range(count) if (item.number + place) % 3]
        return range(count)

    def expect(self, items):
        if self.kind == "balance":
            return expected(self.branches[0], items)
        made = []
        for place, branch in enumerate(self.branches):
            given = [item for item in items if place in self.places(item)]
            made.append(
                expected(branch, [item.then(place) for item in given] if self.kind == "split" else given)
            )
        if self.join == "zip":
            return [row[0].then(sum(item.value for item in row)) for row in zip(*made, strict=True)]
        return list(itertools.chain.from_iterable(made))


def built(steps):
    return [each for step in steps for each in step.build()]


def expected(steps, items):
    for step in steps:
        items = step.expect(items)
    return items


SALTS = st.integers(1, 30)
ORDERED = st.builds(
    Work,
    salt=SALTS,
    buffer=st.integers(1, 2),
    concurrency=st.integers(1, 3),
    pace=st.integers(0, 3),
    inline=st.booleans(),
)
ANY_ORDER = st.builds(
    Work,
    salt=SALTS,
    concurrency=st.integers(2, 3),
    pace=st.integers(0, 3),
    ordered=st.just(False),
    keyed=st.booleans(),
)


def simple(losing):
    expands = st.builds(Expand, least=st.integers(0 if losing else 1, 1), concurrency=st.integers(1, 2))
    kinds = [ORDERED, ORDERED, ANY_ORDER, expands, st.builds(Lots, size=st.integers(1, 3))]
    return st.one_of(*kinds, *([st.builds(Keep, modulus=st.integers(2, 3))] if losing else []))


def joined_as_they_come(losing, inner):
    """Groups whose branches may be anything; a route lets items go, so only where that is allowed."""
    kinds = ["broadcast", "partition", "split", *(["route"] if losing else [])]
    return st.builds(
        Group,
        kind=st.sampled_from(kinds),
        branches=st.lists(inner, min_size=2, max_size=3).map(tuple),
        join=st.sampled_from(["merge", "one parameter"]),
    )


ZIPPED = st.builds(
    Group,
    kind=st.sampled_from(["broadcast", "split"]),
    branches=st.lists(st.lists(ORDERED, min_size=1, max_size=2).map(tuple), min_size=2, max_size=3).map(
        tuple
    ),
    join=st.just("zip"),
)
BALANCED = st.builds(
    lambda salt, paces, join: Group("balance", tuple((Work(salt, pace=each),) for each in paces), join),
    SALTS,
    st.lists(st.integers(0, 3), min_size=2, max_size=3),
    st.sampled_from(["merge", "one parameter"]),
)


def plans(*, losing):
    """Steps of a flow; without ``losing``, at least one result comes of every item."""
    inner = st.lists(simple(losing), min_size=1, max_size=2).map(tuple)
    inner = st.lists(
        simple(losing) | joined_as_they_come(losing, inner) | ZIPPED, min_size=1, max_size=2
    ).map(tuple)
    return st.lists(
        simple(losing) | joined_as_they_come(losing, inner) | ZIPPED | BALANCED, min_size=1, max_size=3
    ).map(tuple)


def flow_of(sources, plan):
    """The flow of a plan behind sources that are functions from an origin to an async iterator."""
    first = tuple(stage(source, name=f"source {place}") for place, source in enumerate(sources))
    return DataFlow((first if len(first) > 1 else first[0], *built(plan)), fuse=False)


def finite(origin, count, pace):
    async def source():
        for number in range(count):
            if pace:
                await asyncio.sleep(number % pace)
            yield Item(origin, number)

    return source


@settings(max_examples=150)
@given(
    sources=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2)), min_size=1, max_size=3),
    plan=plans(losing=True),
    seed=st.integers(0, 10_000),
    buffer=st.integers(1, 2),
)
def test_every_flow_ends_with_exactly_what_the_reference_makes(sources, plan, seed, buffer):
    """Invariants 1, 6, 7, 8, 10, 15, 16, 17 and 20."""
    given_items = [
        Item(origin, number) for origin, (count, _) in enumerate(sources) for number in range(count)
    ]
    flow = flow_of([finite(origin, *each) for origin, each in enumerate(sources)], plan)
    note(flow.draw())

    async def main():
        async with flow.stream(buffer=buffer) as run:
            results = []
            async for item in run:
                results.append(item)
                await asyncio.sleep(len(results) % 3)
            return results

    results = run_seeded(seed, main())
    wanted = expected(plan, given_items)
    assert Counter(results) == Counter(wanted)
    if len(sources) == 1 and all(step.keeps_order for step in plan):
        assert results == wanted


@settings(max_examples=100)
@given(fork=ANY_ORDER, zipped=ZIPPED, count=st.integers(6, 10), seed=st.integers(0, 10_000))
def test_what_meets_in_a_zip_belongs_together_whoever_sent_it(fork, zipped, count, seed):
    """Invariants 8 and 15: several workers send to all branches, and each branch sees one order."""
    plan = (fork, zipped)
    flow = flow_of([finite(0, count, 0)], plan)

    async def main():
        async with flow.stream(buffer=1) as run:
            return [item async for item in run]

    wanted = expected(plan, [Item(0, number) for number in range(count)])
    assert Counter(run_seeded(seed, main())) == Counter(wanted)


class Taps:
    """Endless sources, and how much was pulled out of them."""

    def __init__(self, count):
        self.pulled = 0
        self.open = 0
        self.sources = [self.source(origin) for origin in range(count)]

    def source(self, origin):
        async def source():
            self.open += 1
            try:
                for number in itertools.count():
                    self.pulled += 1
                    yield Item(origin, number)
            finally:
                self.open -= 1

        return source


@settings(max_examples=100)
@given(
    count=st.integers(1, 3), plan=plans(losing=False), seed=st.integers(0, 10_000), buffer=st.integers(1, 2)
)
def test_an_endless_source_is_never_pulled_beyond_the_bound(count, plan, seed, buffer):
    """Invariant 4: at least one result comes of every item, and none is taken, so nothing is settled."""

    async def main():
        taps = Taps(count)
        flow = flow_of(taps.sources, plan)
        note(flow.draw())
        async with flow.stream(buffer=buffer) as run:
            await asyncio.sleep(1000)
            assert 0 < taps.pulled <= flow.bound(buffer)
            await anext(run)
            await asyncio.sleep(1000)
            assert taps.pulled <= flow.bound(buffer)
        assert taps.open == 0

    run_seeded(seed, main())


@settings(max_examples=100)
@given(
    count=st.integers(1, 3), plan=plans(losing=False), wanted=st.integers(1, 12), seed=st.integers(0, 10_000)
)
def test_once_nobody_wants_more_everything_before_it_is_stopped(count, plan, wanted, seed):
    """Invariants 6, 7 and 11, from the end of the flow back to its sources."""

    async def main():
        taps = Taps(count)
        flow = flow_of(taps.sources, (*plan, _Take(wanted)))
        async with flow.stream(buffer=1) as run:
            results = [item async for item in run]
        assert (len(results), taps.open, run.failures) == (wanted, 0, [])

    run_seeded(seed, main())


@dataclass(frozen=True)
class _Take:
    count: int

    def build(self):
        return [take(self.count, buffer=1)]


@settings(max_examples=60)
@given(
    overflow=st.sampled_from(["drop_oldest", "drop_newest"]),
    capacity=st.integers(1, 3),
    concurrency=st.integers(1, 3),
    pace=st.integers(0, 3),
    seed=st.integers(0, 10_000),
)
def test_a_lossy_edge_accounts_for_every_item_at_every_step(overflow, capacity, concurrency, pace, seed):
    """Invariant 12: sent = received + lying there + dropped, between any two steps of any task."""
    sampled = []

    async def work(item):
        await asyncio.sleep(pace)
        return item

    async def main():
        lossy = stage(work, overflow=overflow, buffer=capacity, concurrency=concurrency)
        flow = flow_of([finite(0, 12, 2)], ()).definition
        async with DataFlow((flow[0], lossy)).stream(buffer=1) as run:

            def sample():
                stages = run.stats().stages
                if stages:
                    before, behind = stages["source 0"], stages["work"]
                    sampled.append(before.sent)
                    assert before.sent == behind.received + behind.queued + behind.dropped

            hooks = asyncio.get_running_loop().hooks
            hooks.update((step, sample) for step in range(1, 2000))
            results = [item.number async for item in run]
            await quiet()
            hooks.clear()
            dropped = run.stats().stages["work"].dropped
        assert results == sorted(results)
        assert len(results) + dropped == 12
        if overflow == "drop_oldest":
            assert results[-1] == 11

    run_seeded(seed, main())
    assert max(sampled) == 12
