"""A stage in its place: where it runs, and which options make no sense there."""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager

import pytest

from asyncdataflow.abc import Sink, Source
from asyncdataflow.errors import DefinitionError, NeedsItemsError, SignatureError
from asyncdataflow.notation import compile_definition
from asyncdataflow.operators import (
    balance,
    batch,
    filter_,
    flatten,
    merge,
    route,
    scan,
    split,
    take,
    through,
    until,
)
from asyncdataflow.policy import dead_letter
from asyncdataflow.stage import stage
from tests.definitions import coroutine, graph_of, plain, stage_called


def read():
    yield 1


async def poll():
    yield 1


def function(item, *, db=None): ...
async def on_loop(item): ...
def expand(item):
    yield item


async def expand_on_loop(item):
    yield item


def fold(state, item): ...
async def fold_on_loop(state, item): ...


@stage(concurrency=2, executor="process")
def decorated(item, *, table="t"): ...


class Reading(Source):
    @asynccontextmanager
    async def open(self):
        yield poll()


class Writing(Sink):
    @asynccontextmanager
    async def open(self):
        yield on_loop


@pytest.mark.parametrize(
    ("source", "executor"),
    [
        (plain("get", ""), "thread"),
        (coroutine("get", ""), "loop"),
        (read, "thread"),
        (poll, "loop"),
        (range(3), "thread"),
        (poll(), "loop"),
        (Reading(), "loop"),
        (stage(read, executor="inline"), "inline"),
        (stage(read, executor="process"), "process"),
        (stage(poll, executor="loop"), "loop"),
    ],
)
def test_where_a_source_runs(source, executor):
    assert graph_of((source, function)).stages[0].executor == executor


@pytest.mark.parametrize(
    ("step", "executor"),
    [
        (function, "thread"),
        (on_loop, "loop"),
        (expand, "thread"),
        (expand_on_loop, "loop"),
        (stage(function, executor="inline"), "inline"),
        (stage(function, executor="process"), "process"),
        (decorated, "process"),
        (int, "thread"),
        (flatten, "loop"),
        (filter_(function), "inline"),
        (filter_(on_loop), "loop"),
        (filter_(function, executor="thread"), "thread"),
        (scan(fold), "inline"),
        (scan(fold_on_loop), "loop"),
        (scan(fold, executor="process"), "process"),
        (until(function, executor="thread"), "thread"),
        (batch(2), "loop"),
        (merge, "loop"),
        (through(expand_on_loop), "loop"),
        (Writing(), "loop"),
    ],
)
def test_where_a_step_runs(step, executor):
    assert graph_of((read, step)).stages[1].executor == executor


def test_where_a_choice_runs():
    for step, executor in (
        (route(function), "inline"),
        (route(on_loop), "loop"),
        (balance, "loop"),
        (split, "loop"),
    ):
        assert graph_of((read, step, (function, on_loop))).stages[1].executor == executor


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        # Where it cannot run.
        (
            (read, stage(on_loop, executor="thread")),
            'leave executor="thread" out, or make it a plain function',
        ),
        ((read, stage(on_loop, executor="process")), "an async def function runs on the loop"),
        ((read, stage(expand_on_loop, executor="inline")), "an async generator function runs on the loop"),
        ((read, stage(function, executor="loop")), 'write executor="inline"'),
        ((read, stage(expand, executor="loop")), 'write executor="inline"'),
        ((read, filter_(on_loop, executor="thread")), "runs on the loop"),
        ((read, scan(fold, executor="loop")), 'write executor="inline"'),
        ((read, scan(fold_on_loop, executor="thread")), "runs on the loop"),
        ((read, batch(2, executor="thread")), "the operator batch runs on the loop"),
        ((read, stage(Writing(), executor="thread")), "a Sink runs on the loop"),
        ((read, stage(lambda item: 1, executor="process")), "this is a lambda; move it to module level"),
        ((read, stage(functools.partial(plain("f")), executor="process")), "cannot be pickled"),
        ((read, stage(function, executor="process", per_worker={"db": lambda: 1})), "this is a lambda"),
        # Items one by one, where there are none.
        (
            (read, batch(2, concurrency=2)),
            "concurrency= makes no sense here: batch works on the stream as a whole",
        ),
        ((read, merge(key=len)), "key= makes no sense"),
        ((read, take(2, retry=3)), "retry= makes no sense"),
        ((read, scan(fold, timeout=1)), "timeout= makes no sense"),
        ((read, until(function, on_error="skip")), "on_error= makes no sense"),
        ((read, through(expand_on_loop, rate=3)), "rate= makes no sense"),
        ((read, scan(fold, per_worker={"db": dict})), "per_worker= makes no sense"),
        ((read, batch(2, many=True)), "many= makes no sense"),
        ((read, balance(retry=2), (function, on_loop)), "retry= makes no sense here: it calls no function"),
        ((read, balance(concurrency=2), (function, on_loop)), "concurrency= makes no sense"),
        ((read, stage(expand, timeout=1)), "timeout= makes no sense"),
        ((read, stage(function, many=True, timeout=1)), "a plain function with many=True"),
        # Many.
        ((read, stage(expand, many=False)), "many=False is senseless on a generator function"),
        ((read, filter_(function, many=True)), "many= belongs to functions"),
        ((read, stage(Writing(), many=True)), "many= belongs to functions"),
        ((read, route(expand), (function, on_loop)), "the function given to route is a generator function"),
        ((read, scan(expand)), "the function given to scan is a generator function"),
        # Made once in each worker.
        ((read, stage(function, per_worker={"pool": dict})), "has no parameter 'pool' to go to"),
        ((read, stage(plain("f", "db, item"), per_worker={"db": dict})), "stands before 'item'"),
        ((read, stage(plain("f", "item, db, /"), per_worker={"db": dict})), "has no parameter 'db'"),
        ((read, stage(function, per_worker={"db": plain("load", "path")})), "load needs path"),
        ((read, stage(function, per_worker={"db": read})), "read is a generator function"),
        ((read, stage(Writing(), per_worker={"db": dict})), "per_worker= is passed to a function"),
    ],
)
def test_a_step_is_refused(definition, says):
    with pytest.raises(DefinitionError) as caught:
        compile_definition(definition)
    assert str(caught.value).startswith("definition[1] (")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (stage(read, concurrency=2), "concurrency= makes no sense here: a source takes no items"),
        (stage(read, buffer=2), "buffer= makes no sense here: no edge leads into a source"),
        (stage(read, overflow="fail"), "overflow= makes no sense here: no edge leads into a source"),
        (stage(plain("get", ""), concurrency=2), "concurrency= makes no sense"),
        (stage(read, key=len), "key= makes no sense"),
        (stage(read, retry=2), "this is a generator function"),
        (stage(poll, timeout=2), "this is an async generator function"),
        (stage(range(3), on_error="skip"), "this is an iterable"),
        (stage(Reading(), on_error=dead_letter(print)), "this is a Source"),
        (stage(plain("get", ""), many=True, retry=2), "a plain function with many=True"),
        (stage(range(3), executor="process"), "an iterable cannot be read in another process"),
        (stage(range(3), executor="loop"), "write executor"),
        (stage(Reading(), executor="thread"), "a Source runs on the loop"),
        (stage(range(3), many=True), "many= belongs to functions"),
        (stage(range(3), per_worker={"db": dict}), "per_worker= is passed to a function"),
    ],
)
def test_a_source_is_refused(source, says):
    with pytest.raises(DefinitionError) as caught:
        compile_definition((source, function))
    assert str(caught.value).startswith("definition[0] (")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("step", "needs_items"),
    [
        (filter_(function), True),
        (stage(function, concurrency=2), True),
        (stage(expand, retry=2), True),
        (len, True),
        (Writing(), True),
        (stage(range(3), concurrency=2), False),
        (stage(Reading(), retry=2), False),
    ],
)
def test_what_only_items_could_mend(step, needs_items):
    """Such a definition is good for runs with ``items=``."""
    with pytest.raises(DefinitionError) as caught:
        compile_definition((step,))
    assert isinstance(caught.value, NeedsItemsError) is needs_items
    if needs_items:
        compile_definition((step,), feed=True)


def test_a_function_source_may_be_tried_again():
    get = stage(plain("get", ""), retry=3, timeout=1, on_error="skip")
    assert graph_of((get, function)).stages[0].retry.attempts == 3


@pytest.mark.parametrize("builtin", [len, [].append, functools.partial(isinstance)])
def test_a_builtin_that_needs_something_is_no_source(builtin):
    with pytest.raises(NeedsItemsError, match="called with nothing"):
        compile_definition((builtin, function))


@pytest.mark.parametrize(
    "step", [plain("f", ""), plain("f", "*, item"), functools.partial(function, 1), input.__self__]
)
def test_a_step_that_takes_no_item(step):
    with pytest.raises(DefinitionError):
        compile_definition((read, step))


@pytest.mark.parametrize(
    ("operator", "parameters"),
    [
        (scan, "state"),
        (scan, "state, item, more"),
        (scan, "*, state, item"),
        (until, ""),
        (until, "item, more"),
    ],
)
def test_a_function_that_cannot_be_called_by_its_operator(operator, parameters):
    with pytest.raises(SignatureError, match="is called with the"):
        compile_definition((read, operator(plain("f", parameters))))


def test_operator_functions_have_run_parameters_too():
    graph = graph_of((read, scan(plain("f", "state, item, *, db")), filter_(plain("g", "item, *, table"))))
    wanted = [[each.name for each in stage.call.run_parameters] for stage in graph.stages]
    assert wanted == [[], ["db"], ["table"]]


@pytest.mark.parametrize(
    ("parameters", "arguments", "spread_over"),
    [
        ("item", "item", ["item"]),
        ("item=None", "item", ["item"]),
        ("item, more=1, *, db", "item", ["item", "more"]),
        ("*items", "item", []),
        ("x, y", "spread", ["x", "y"]),
        ("x, y, z=1, *rest, db", "spread", ["x", "y", "z"]),
    ],
)
def test_where_arguments_come_from(parameters, arguments, spread_over):
    call = graph_of((read, plain("f", parameters))).stages[1].call
    assert call.arguments == arguments
    assert [each.name for each in call.spread_over] == spread_over


def test_what_per_worker_fills_is_no_place_for_items():
    call = graph_of((read, stage(plain("f", "item, model"), per_worker={"model": dict}))).stages[1].call
    assert call.arguments == "item"
    assert [each.name for each in call.spread_over] == ["item"]


def test_many_makes_many():
    graph = graph_of((stage(plain("get", ""), many=True), stage(on_loop, many=True)))
    assert [each.call.many for each in graph.stages] == [True, True]


def test_a_partial_of_a_decorated_function_keeps_its_options():
    made = stage_called(graph_of((read, functools.partial(decorated, table="x"))), "decorated")
    assert (made.concurrency, made.executor, made.fn.keywords) == (2, "process", {"table": "x"})
