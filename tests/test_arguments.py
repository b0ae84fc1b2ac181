"""What a callable is given: items taken apart, run parameters, resources, what each worker has of its own."""

from __future__ import annotations

import asyncio
import functools
import threading
from types import SimpleNamespace

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.errors import ArgumentsError, ParameterError

MAIN = threading.main_thread().name


def plain(n):
    return n + 1


def add(amount, n):
    return n + amount


# Several required parameters


def spread(left, right, extra=0):
    return left, right, extra


async def spread_on_loop(left, right, extra=0):
    return left, right, extra


def by_place_only(left, right, /, extra=0):
    return left, right, extra


@pytest.mark.parametrize("form", [spread, spread_on_loop, by_place_only], ids=lambda form: form.__name__)
async def test_an_item_is_spread_over_several_required_parameters(form):
    items = [(1, 2), (1, 2, 3), {"left": 1, "right": 2}, {"right": 2, "left": 1, "extra": 3, "other": 9}]
    assert await DataFlow(form).run(items=items) == [(1, 2, 0), (1, 2, 3), (1, 2, 0), (1, 2, 3)]


@pytest.mark.parametrize(
    "item",
    [(1,), (1, 2, 3, 4), {"left": 1}, 5, "ab", [1, 2], None],
    ids=["short tuple", "long tuple", "mapping without a name", "number", "text", "list", "None"],
)
@pytest.mark.parametrize("form", [spread, spread_on_loop], ids=lambda form: form.__name__)
async def test_anything_else_is_that_items_error(form, item):
    with pytest.raises(ArgumentsError):
        await DataFlow(form).run(items=[item])
    kept = DataFlow(stage(form, on_error="skip"))
    assert await kept.run(items=[(1, 2), item, (3, 4)]) == [(1, 2, 0), (3, 4, 0)]


async def test_one_required_parameter_takes_a_tuple_whole():
    assert await DataFlow(lambda pair, more=0: (pair, more)).run(items=[(1, 2), {"a": 1}]) == [
        ((1, 2), 0),
        ({"a": 1}, 0),
    ]


# Run parameters, resources, per_worker


async def test_run_parameters_go_into_sources_by_name_and_elsewhere_by_keyword():
    def source(limit, start=0, *, step=1):
        yield from range(start, limit, step)

    def scaled(n, *, factor, offset=0):
        return n * factor + offset

    async def scaled_on_loop(n, *, factor, offset=0):
        return n * factor + offset

    for form in (scaled, scaled_on_loop, stage(scaled, executor="inline")):
        flow = DataFlow((source, form))
        assert await flow.run({"limit": 3, "factor": 10}) == [0, 10, 20]
        assert await flow.run({"limit": 5, "start": 1, "step": 2, "factor": 1, "offset": 100}) == [101, 103]
        assert await flow(limit=2, factor=1) == [0, 1]
        assert await flow({"limit": 2}, factor=1) == [0, 1]


async def test_params_win_over_resources_of_the_same_name():
    def scaled(n, *, factor):
        return n * factor

    flow = DataFlow((range(3), scaled), resources={"factor": 10})
    assert await flow.run() == [0, 10, 20]
    assert await flow.run({"factor": 2}) == [0, 2, 4]


async def test_a_resource_reaches_sources_and_stages_opened():
    class Pool:
        async def __aenter__(self):
            events.append("open")
            return SimpleNamespace(rows=[1, 2])

        async def __aexit__(self, *_):
            events.append("closed")

    events: list[str] = []

    def source(db):
        yield from db.rows

    async def count(n, *, db, table="events"):
        events.append(table)
        return n, len(db.rows)

    flow = DataFlow((source, count), resources={"db": Pool})
    assert await flow.run() == [(1, 2), (2, 2)]
    assert events == ["open", "events", "events", "closed"]


@pytest.mark.parametrize(
    ("definition", "params", "message"),
    [
        ((lambda limit: [limit], plain), {}, "limit"),
        ((lambda limit: [limit], plain), {"limit": 1, "limt": 2}, "limt.*did you mean 'limit'"),
        ((range(1), add), {"amount": 1}, "make it keyword-only"),
        ((range(1), functools.partial(add, 1)), {"amount": 1}, "used by nobody"),
        ((range(1), functools.partial(lambda n, *, a: n, a=1)), {"a": 2}, "used by nobody"),
        ((range(1), lambda n, **rest: rest), {"a": 2}, "used by nobody"),
        ((range(1), lambda *args: args), {"args": 2}, "used by nobody"),
        ((range(1), print), {"sep": "-"}, "used by nobody"),
        ((range(1), sorted), {"key": len}, "used by nobody"),
    ],
)
async def test_a_parameter_that_is_missing_or_of_nobody_is_refused_before_anything_starts(
    definition, params, message
):
    with pytest.raises(ParameterError, match=message):
        DataFlow(definition).stream(params)


@pytest.mark.parametrize("world", ["loop", "thread"])
async def test_per_worker_is_made_once_in_each_worker_and_closed_there(world):
    events = []
    barrier = threading.Barrier(3, timeout=10)
    together = asyncio.Barrier(3)

    class Model:
        def __enter__(self):
            self.home = threading.current_thread().name
            events.append(("made", self.home))
            return self

        def __exit__(self, *_):
            events.append(("closed", threading.current_thread().name))

    def use(n, *, model):
        barrier.wait()
        return model, model.home == threading.current_thread().name

    async def use_on_loop(n, *, model):
        await together.wait()
        return model, model.home == threading.current_thread().name

    form = use if world == "thread" else use_on_loop
    results = await DataFlow((range(6), stage(form, concurrency=3, per_worker={"model": Model}))).run()
    assert len({id(model) for model, _ in results}) == 3
    assert all(at_home for _, at_home in results)
    names = {MAIN} if world == "loop" else {"use-0", "use-1", "use-2"}
    for event in ("made", "closed"):
        homes = [home for what, home in events if what == event]
        assert len(homes) == 3
        assert set(homes) == names


# What is no iterable of items


@pytest.mark.parametrize("items", [5, "text", b"bytes", object()], ids=repr)
def test_items_that_are_none_are_refused_before_anything_starts(items):
    """Text is one item, which a user who writes it means."""
    with pytest.raises(ParameterError, match=r"one item is items=\[item\]"):
        DataFlow((plain,)).stream(items=items)


def test_params_that_are_no_mapping_are_refused_with_where_items_go():
    with pytest.raises(ParameterError, match=r"items are given as run\(items=…\)"):
        DataFlow((plain,))(3)
