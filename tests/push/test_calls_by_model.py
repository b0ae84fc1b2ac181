"""What each call returns, by a model: random flows, orders of events, callers that leave, and faults.

What has to come of an item is worked out from the same description of the flow, without any of
the runtime. The callers are a stage of a flow of their own, so that the simulation watches both.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, filter_, merge, route, split, stage
from asyncdataflow.errors import RunEndedError
from asyncdataflow.operators import map_batches
from asyncdataflow.testing import Faults, simulate, sweep

ITEMS = 10


class BadError(ValueError):
    pass


async def wait_a_little():
    if random.random() < 0.5:
        await asyncio.sleep(random.random())


def fails(value, share):
    return value % share == 0


def built(step):
    """The step as it stands in a definition."""
    kind, *options = step

    async def on_the_loop(value):
        await wait_a_little()
        return value + 1

    def in_a_thread(value):
        if random.random() < 0.5:
            time.sleep(random.random())
        return value + 1

    async def several(value):
        for copy in range(value % (options[0] + 1)):
            await wait_a_little()
            yield 7 * value + copy

    async def picky(value):
        await wait_a_little()
        if fails(value, options[0]):
            raise BadError(value)
        return value

    async def in_lists(values):
        await wait_a_little()
        return [value + 1 for value in values]

    match kind:
        case "loop":
            return stage(on_the_loop, concurrency=options[0], ordered=options[1])
        case "thread":
            return stage(in_a_thread, concurrency=options[0], ordered=options[1])
        case "several":
            return stage(several)
        case "picky":
            return stage(picky, concurrency=options[1])
        case "filter":
            return filter_(lambda value: not fails(value, options[0]))
        case "lists":
            return map_batches(in_lists, options[0], within=0.3, concurrency=options[1])
    raise AssertionError(kind)


def comes_of(values, steps):
    """What steps make of these; raises where one of them fails."""
    for kind, *options in steps:
        if kind == "several":
            values = [7 * value + copy for value in values for copy in range(value % (options[0] + 1))]
        elif kind == "filter":
            values = [value for value in values if not fails(value, options[0])]
        elif kind == "picky":
            for value in values:
                if fails(value, options[0]):
                    raise BadError(value)
        else:
            values = [value + 1 for value in values]
    return values


def expected(value, head, way, branches):
    """What a call gives, sorted; ``BadError`` where it raises."""
    try:
        values = comes_of([value], head)
        results = []
        failed = False
        for place, branch in enumerate(branches):
            chosen = values
            if way == "route":
                chosen = [each for each in values if each % len(branches) == place]
            elif way == "split":
                chosen = [each + place for each in values]
            try:
                results += comes_of(chosen, branch)
            except BadError:
                failed = True
    except BadError:
        return BadError
    return BadError if failed else sorted(results)


def flow_of(head, way, branches):
    ways = {
        "route": [route(lambda value: f"b{value % len(branches)}")],
        "split": [split(lambda value: tuple(value + place for place in range(len(branches))))],
        "broadcast": [],
    }[way]
    group = {f"b{place}": tuple(map(built, each)) or (same,) for place, each in enumerate(branches)}
    if way == "split":
        group = tuple(group.values())
    # Sorted below: a list is what every one of them gives.
    return DataFlow((same, *map(built, head), *ways, group, merge, filter_(lambda _: True)))


async def same(value):
    return value


one_to_one = [
    st.tuples(st.just("loop"), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("thread"), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("lists"), st.integers(1, 4), st.integers(1, 2)),
    st.tuples(st.just("picky"), st.integers(2, 5), st.integers(1, 2)),
]
some = [st.tuples(st.just("several"), st.integers(1, 3)), st.tuples(st.just("filter"), st.integers(2, 4))]
steps = st.lists(st.one_of(*one_to_one, *some), max_size=3)
ways = st.sampled_from(["broadcast", "route", "split"])


def callers(inner, limit, leave):
    """A flow whose stage calls another one: each item with what its call has come to."""

    async def call(n, *, service):
        task = asyncio.ensure_future(service.call(n))
        try:
            if n in leave:
                await asyncio.wait([task], timeout=random.random())
                task.cancel()
            return n, sorted(await task)
        except BadError:
            return n, BadError
        except asyncio.CancelledError:
            if not task.cancelled() or asyncio.current_task().cancelling():
                task.cancel()
                raise
            return n, "left"

    calling = stage(call, concurrency=ITEMS, ordered=False)
    return DataFlow((range(ITEMS), calling), resources={"service": lambda: inner.open(limit=limit)})


@given(
    steps,
    ways,
    st.lists(steps, min_size=2, max_size=3),
    st.integers(1, 6),
    st.sets(st.integers(0, ITEMS - 1)),
    st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_call_returns_what_the_model_says(head, way, branches, limit, leave, seed):
    model = {n: expected(n, head, way, branches) for n in range(ITEMS)}

    def make():
        return callers(flow_of(head, way, branches), limit, leave)

    simulate(make, seeds=[seed], check=told_to_each(model, leave)).raise_for_failures()


def told_to_each(model, leave):
    """Every caller has heard what the model says, unless it has left before."""

    def check(results):
        assert sorted(n for n, _ in results) == list(range(ITEMS))
        for n, outcome in results:
            assert outcome == model[n] or (n in leave and outcome == "left")

    return check


@given(
    st.lists(st.one_of(*one_to_one), min_size=1, max_size=3),
    st.lists(st.one_of(*one_to_one), min_size=1, max_size=3),
    st.integers(1, 6),
    st.sets(st.integers(0, ITEMS - 1)),
    st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_are_of_one_item_whatever_fails_in_a_branch(one, other, limit, leave, seed):
    def ordered(branch):
        return [
            ("loop", each[1], True) if each[0] == "loop" else each for each in branch if each[0] != "thread"
        ]

    one, other = [*ordered(one), ("loop", 1, True)], [*ordered(other), ("loop", 2, True)]
    inner = (same, (tuple(map(built, one)), tuple(map(built, other))), lambda a, b: [-a, b])

    def of(n):
        try:
            (a,), (b,) = comes_of([n], one), comes_of([n], other)
        except BadError:
            return BadError
        return [-a, b]

    model = {n: of(n) for n in range(ITEMS)}

    def make():
        return callers(DataFlow(inner), limit, leave)

    simulate(make, seeds=[seed], check=told_to_each(model, leave)).raise_for_failures()


# every step


async def slowly(value):
    await asyncio.sleep(0.1)
    return value


def in_a_thread(value):
    time.sleep(0.05)
    return value


def in_lists(values):
    return list(values)


SERVICES = {
    "loop": lambda: DataFlow((stage(slowly, concurrency=2),)),
    "threads": lambda: DataFlow((stage(in_a_thread, concurrency=2), slowly)),
    "lists": lambda: DataFlow((map_batches(in_lists, 3, within=0.05), slowly)),
    "rows": lambda: DataFlow((slowly, (in_a_thread, slowly), lambda a, b: a)),
}


def calling(service):
    async def call(n, *, service):
        try:
            async with asyncio.timeout(0.25 if n % 3 else None):
                return await service.call(n)
        except TimeoutError:
            return None

    def make():
        return DataFlow(
            (range(6), stage(call, concurrency=4)), resources={"service": lambda: service().open(limit=3)}
        )

    return make


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_whatever_goes_wrong_at_whatever_step_nothing_is_left(service):
    sweep(calling(service)).raise_for_failures()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_under_faults_every_call_ends(service):
    faults = Faults(slow=0.05, raises=0.02, cancelled=0.01, dies=0.01, late=0.05, stops=0.1, leaves=0.1)
    simulate(calling(service), seeds=40, faults=faults).raise_for_failures()


def test_a_run_that_stops_at_any_time_tells_every_caller():
    async def scenario():
        async with DataFlow((stage(slowly, concurrency=2), in_a_thread)).open(limit=4) as run:
            waiting = [asyncio.create_task(run.call(n)) for n in range(12)]
            await asyncio.sleep(random.random())
            random.choice([run.stop, run.drain])()
            got = await asyncio.gather(*waiting, return_exceptions=True)
        return all(each == n or isinstance(each, RunEndedError) for n, each in enumerate(got))

    simulate(lambda: DataFlow((scenario,)), seeds=100, check=lambda told: told is True).raise_for_failures()
