"""A run that is given items one by one: what a call returns, and what is refused."""

from __future__ import annotations

import asyncio
import collections
import time

import pytest

from asyncdataflow import (
    DataFlow,
    Sink,
    balance,
    batch,
    combine_latest,
    dead_letter,
    filter_,
    flatten,
    merge,
    route,
    scan,
    split,
    stage,
    zip_,
)
from asyncdataflow.connectors.durable import Durable
from asyncdataflow.engine import Engine
from asyncdataflow.errors import (
    DefinitionError,
    ItemError,
    ParameterError,
)
from asyncdataflow.local import LocalEngine
from asyncdataflow.operators import map_batches
from tests.push.flows import (
    all_plus,
    below,
    below_on_the_loop,
    calls,
    odd_fails,
    plus,
    same,
)

WORLDS = {
    "loop": same,
    "several on the loop": stage(same, concurrency=4),
    "unordered": stage(same, concurrency=4, ordered=False),
    "by key": stage(same, concurrency=4, key=lambda n: n % 3),
    "thread": lambda n: n,
    "threads": stage(lambda n: n, concurrency=3),
    "threads unordered": stage(lambda n: n, concurrency=3, ordered=False),
    "inline": stage(lambda n: n, executor="inline"),
    "batches": map_batches(lambda numbers: numbers, 7, within=0.001),
    "batches side by side": map_batches(lambda numbers: numbers, 7, within=0, concurrency=3),
    "short edges": (stage(same, buffer=1), stage(lambda n: n, buffer=1)),
    "a timeout": stage(same, timeout=30),
    "tried again": stage(same, retry=3),
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_each_call_gets_what_came_of_its_own_item(world, limit):
    steps = world if isinstance(world, tuple) else (world,)
    assert calls((*steps, plus), range(60), limit=limit) == list(range(1, 61))


def test_through_processes():
    flow = (
        stage(plus, executor="process", concurrency=2),
        map_batches(all_plus, 8, within=0.01, executor="process"),
    )
    assert calls(flow, range(50)) == list(range(2, 52))


# what a call returns


@pytest.mark.parametrize(
    ("definition", "of_three"),
    [
        ((same,), 3),
        ((same, (plus, str)), (4, "3")),
        ((same, {plus, str}), {"plus": 4, "str": "3"}),
        ((same, {"a": plus, "b": (str, len)}), {"a": 4, "b": (1)}),
        ((same, (plus, (str, (len, repr)))), (4, (1, "'3'"))),
        ((same, (plus, str), lambda a, b: (a, b)), (4, "3")),
        ((same, (plus, same), zip_()), (4, 3)),
        ((split(lambda n: (n, -n)), (plus, same)), (4, -3)),
        ((lambda n: None,), None),
        ((same, (lambda n: None, plus)), (None, 4)),
        ((below,), [0, 1, 2]),
        ((below_on_the_loop,), [0, 1, 2]),
        ((below, stage(below, concurrency=2)), [0, 0, 1]),
        ((lambda n: [n] * n, flatten), [3, 3, 3]),
        ((filter_(lambda n: n > 5),), []),
        ((filter_(lambda n: n < 5),), [3]),
        ((route(lambda n: None), (plus, same)), []),
        ((route(lambda n: ["a", "b"]), {"a": same, "b": same}), [3, 3]),
        ((balance, (same, same)), [3]),
        ((batch(1),), [[3]]),
        ((batch(5, 0.01),), [[3]]),
        ((batch(5, 0.01), flatten, plus), [4]),
        ((scan(lambda a, b: a + b),), 3),
        ((stage(odd_fails, on_error="skip"),), []),
        ((stage(odd_fails, on_error=dead_letter(lambda letter: None)),), []),
        ((lambda n: n, map_batches(all_plus, 9, within=0)), 4),
    ],
    ids=str,
)
def test_a_call_returns_the_one_value_or_a_list(definition, of_three):
    assert calls(definition, [3]) == [of_three]


def test_a_merge_gives_all_of_the_items_results():
    (got,) = calls((same, (plus, same), merge), [3])
    assert sorted(got) == [3, 4]
    results = calls((same, (plus, same), merge, stage(same, concurrency=3)), range(30))
    assert [sorted(each) for each in results] == [[n, n + 1] for n in range(30)]


def test_what_was_made_of_several_items_goes_to_each_caller():
    assert calls((batch(3, 0.05),), "abc") == [[["a", "b", "c"]]] * 3
    got = calls((batch(3, 0.05), flatten), "abcd")
    assert got[:3] == [["a", "b", "c"]] * 3
    assert got[3] == ["d"]


def test_a_sink_that_takes_lists_has_written_before_the_call_returns():
    class Written(Sink):
        chunk = 10

        def __init__(self):
            self.items = []

        def open(self):
            return self

        async def __aenter__(self):
            return self.write

        async def __aexit__(self, *_):
            pass

        async def write(self, items):
            await asyncio.sleep(0)
            if "c" in items:
                raise ItemError("c")
            self.items += items

    written = Written()
    got = calls((same, written), "abcd")
    assert got[:2] == [None, None]
    assert got[3] is None
    assert isinstance(got[2], ItemError)
    assert sorted(written.items) == ["a", "b", "d"]


def test_parameters_and_resources_are_the_runs_own():
    opened = []

    def open_scale():
        opened.append(1)
        return 10

    async def scaled(n, *, scale, offset=0):
        return n * scale + offset

    async def main():
        flow = DataFlow((scaled,), resources={"scale": open_scale})
        async with flow.open({"offset": 1}) as run:
            return [await run.call(n) for n in range(3)]

    assert asyncio.run(main()) == [1, 11, 21]
    assert opened == [1]


# definitions


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        ((same, batch(3)), r"batch.*seconds="),
        ((same, map_batches(all_plus, 3)), r"map_batches.*within="),
        ((same, (plus, same), combine_latest), r"combine_latest"),
        ((range(3), same), r"open\(\) gives it items"),
        ((lambda: 3, same), r"open\(\) gives it items"),
    ],
    ids=str,
)
def test_where_a_lone_caller_would_wait_for_others_it_is_refused(definition, told):
    with pytest.raises(DefinitionError, match=told):
        DataFlow(definition).open()


def test_a_durable_buffer_is_refused(tmp_path):
    flow = DataFlow((same, stage(same, buffer=Durable(tmp_path / "buffer"))))
    with pytest.raises(DefinitionError, match="durable buffer"):
        flow.open()


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_a_limit_is_a_whole_number(limit):
    with pytest.raises(ValueError, match="limit"):
        DataFlow((same,)).open(limit=limit)


def test_parameters_are_checked_before_anything_starts():
    with pytest.raises(ParameterError, match="colour"):
        DataFlow((same,)).open({"colour": 1})


def test_an_engine_has_to_tell_what_was_made_of_what():
    class Wrapped(Engine):
        def begin(self, plan):
            return LocalEngine().begin(plan)

    class Mute(Engine):
        def begin(self, plan):
            return object()

    assert calls((same,), [1], engine=Wrapped()) == [1]
    with pytest.raises(ParameterError, match="which result was made of which item"):
        DataFlow((same,)).open(engine=Mute())


def test_one_flow_has_any_number_of_open_runs_and_others_beside_them():
    flow = DataFlow((same, plus))

    async def main():
        async with flow.open() as one, flow.open() as other:
            assert await asyncio.gather(one.call(1), other.call(2)) == [2, 3]
            assert await flow.run(items=[5]) == [6]

    asyncio.run(main())


def test_figures_count_calls():
    async def main():
        async with DataFlow((stage(odd_fails, name="odd"),)).open() as run:
            await asyncio.gather(*(run.call(n) for n in range(10)), return_exceptions=True)
            figures = run.stats()
            assert figures.stages["items"].sent == 10
            assert (figures.stages["odd"].sent, figures.stages["odd"].failed) == (5, 5)
            assert figures.stages["odd"].in_flight == 0

    asyncio.run(main())


def test_calls_do_not_hold_each_other_up_in_a_batch():
    """As many as come together are called together."""
    sizes = collections.Counter()

    def note(numbers):
        sizes[len(numbers)] += 1
        time.sleep(0.01)
        return numbers

    got = calls((map_batches(note, 100, within=0),), range(200))
    assert got == list(range(200))
    assert sum(sizes.values()) <= 5
