"""How a callable is called, row by row of the contract; decided from the signature, never from the data."""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from asyncdataflow import (
    DataFlow,
    DataFlowError,
    DefinitionError,
    Stage,
    batch,
    filter_,
    flatten,
    split,
    stage,
)
from asyncdataflow.errors import ParameterError, ResultError, SignatureError

MAIN = threading.main_thread().name


def plain(n):
    return n + 1


async def coroutine(n):
    await asyncio.sleep(0)
    return n + 1


def generator(n):
    yield from [n] * n


def returning(f):
    """A plain function that returns what ``f`` makes when it is called."""

    def call(n):
        return f(n)

    return call


async def async_generator(n):
    for each in [n] * n:
        yield each


def add(amount, n):
    return n + amount


async def add_later(amount, n):
    await asyncio.sleep(0)
    return n + amount


class Adder:
    def __init__(self, amount=1):
        self.amount = amount

    def __call__(self, n):
        return n + self.amount

    def method(self, n):
        return n + self.amount

    async def async_method(self, n):
        await asyncio.sleep(0)
        return n + self.amount

    def many(self, n):
        yield from [n] * n

    @classmethod
    def of_class(cls, n):
        return n + 1

    @staticmethod
    def of_nobody(n):
        return n + 1


class AsyncAdder:
    async def __call__(self, n):
        await asyncio.sleep(0)
        return n + 1


class Repeater:
    async def __call__(self, n):
        for each in [n] * n:
            yield each


@functools.wraps(plain)
def wrapped(*args):
    return plain(*args)


@functools.lru_cache
def cached(n):
    return n + 1


@functools.singledispatch
def dispatched(n):
    return n + 1


ONE_EACH = {
    "coroutine function": (coroutine, "loop"),
    "plain function": (plain, "thread"),
    "lambda": (lambda n: n + 1, "thread"),
    "callable object": (Adder(), "thread"),
    "callable object, async": (AsyncAdder(), "loop"),
    "bound method": (Adder().method, "thread"),
    "bound method, async": (Adder().async_method, "loop"),
    "class method": (Adder.of_class, "thread"),
    "static method": (Adder.of_nobody, "thread"),
    "partial": (functools.partial(add, 1), "thread"),
    "partial, async": (functools.partial(add_later, 1), "loop"),
    "partial by keyword": (functools.partial(lambda n, amount: n + amount, amount=1), "thread"),
    "partial of a partial": (functools.partial(functools.partial(add), 1), "thread"),
    "partial of a callable object": (functools.partial(AsyncAdder()), "loop"),
    "wraps": (wrapped, "thread"),
    "lru_cache": (cached, "thread"),
    "singledispatch": (dispatched, "thread"),
    "optional second parameter": (lambda n, more=1: n + more, "thread"),
    "only optional parameters": (lambda n=-1, more=1: n + more, "thread"),
    "*args": (lambda *args: args[0] + 1, "thread"),
    "positional only": (lambda n, /: n + 1, "thread"),
    "**kwargs": (lambda n, **rest: n + 1 + len(rest), "thread"),
}


@pytest.mark.parametrize(("form", "world"), ONE_EACH.values(), ids=ONE_EACH.keys())
async def test_every_sort_of_callable_makes_one_item_from_each(form, world):
    flow = DataFlow((range(3), form, lambda n: n))
    assert await flow.run() == [1, 2, 3]
    assert flow.graph.stages[1].executor == world


MANY = {
    "generator function": (generator, "thread"),
    "async generator function": (async_generator, "loop"),
    "bound generator method": (Adder().many, "thread"),
    "callable object, async generator": (Repeater(), "loop"),
    "partial of a generator function": (functools.partial(generator), "thread"),
    "many=True of a function that returns a list": (stage(lambda n: [n] * n, many=True), "thread"),
    "many=True of one that returns an iterator": (stage(lambda n: iter([n] * n), many=True), "thread"),
    "many=True of one that returns a generator": (stage(returning(generator), many=True), "thread"),
    "many=True of one that returns an async generator": (
        stage(returning(async_generator), many=True),
        "thread",
    ),
    "generator function on the loop": (stage(generator, executor="inline"), "inline"),
    "many=True on the loop": (stage(lambda n: [n] * n, many=True, executor="inline"), "inline"),
}


@pytest.mark.parametrize(("form", "world"), MANY.values(), ids=MANY.keys())
async def test_every_sort_of_generator_makes_any_number_of_items_from_each(form, world):
    """Invariant 20: none is a filter."""
    flow = DataFlow((range(4), form))
    assert await flow.run() == [1, 2, 2, 3, 3, 3]
    assert flow.graph.stages[1].executor == world


async def test_many_of_a_coroutine_function_that_returns_a_list():
    async def twice(n):
        return [n, n]

    assert await DataFlow((range(3), stage(twice, many=True))).run() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("world", ["coroutine", "plain"])
async def test_an_awaitable_that_many_returns_is_awaited_first(world):
    async def later(n):
        return [n, n]

    returned = returning(later) if world == "plain" else later
    assert await DataFlow((range(2), stage(returned, many=True))).run() == [0, 0, 1, 1]


BUILTINS = {
    "len": (len, ["a", "bc", ""], [1, 2, 0]),
    "int": (int, ["1", "22"], [1, 22]),
    "str": (str, [1, None], ["1", "None"]),
    "float": (float, ["1.5"], [1.5]),
    "str.upper": (str.upper, ["a", "b"], ["A", "B"]),
    "abs": (abs, [-1, 1], [1, 1]),
    "sorted": (sorted, [[2, 1]], [[1, 2]]),
    "repr": (repr, [""], ["''"]),
    "list": (list, ["ab"], [["a", "b"]]),
    "dict.get of an object": ({"a": 1}.get, ["a", "b"], [1, None]),
    "bool": (bool, [0, 1], [False, True]),
    "tuple": (tuple, ["ab"], [("a", "b")]),
}


@pytest.mark.parametrize(("builtin", "items", "expected"), BUILTINS.values(), ids=BUILTINS.keys())
async def test_builtins_take_the_item(builtin, items, expected):
    """The step behind keeps a ``None`` in sight, which a last step would not make a result of."""
    flow = DataFlow((stage(items), builtin, lambda made: (made,)))
    assert await flow.run() == [(each,) for each in expected]


FED = {
    "builtin": (len, ["a", "bc"], [1, 2]),
    "unbound method": (str.upper, ["a"], ["A"]),
    "operator": (filter_(lambda n: n % 2), [1, 2, 3], [1, 3]),
    "bare operator": (flatten, ["ab", "c"], ["a", "b", "c"]),
    "stream operator": (batch(2), [1, 2, 3], [[1, 2], [3]]),
    "concurrency": (stage(plain, concurrency=2), [1, 2], [2, 3]),
    "error policy of a generator": (stage(generator, on_error="skip"), [1, "a"], [1]),
    "group after an operator": ((split, (str, repr)), [(1, "a")], ["1", "'a'"]),
}


@pytest.mark.parametrize(("first", "items", "expected"), FED.values(), ids=FED.keys())
async def test_what_only_items_can_feed_may_stand_first(first, items, expected):
    """A run given ``items=`` has those for a source, and its first step takes them."""
    flow = DataFlow(first)
    # Between branches in threads there is no order.
    assert sorted(await flow.run(items=items), key=repr) == sorted(expected, key=repr)
    with pytest.raises(DataFlowError):
        await flow.run()


def test_print_prints_each_item_and_makes_no_result(capsys):
    assert DataFlow((range(3), print))() == []
    assert capsys.readouterr().out == "0\n1\n2\n"


async def test_where_each_runs():
    """Coroutines on the loop, plain functions in threads that are called after their stage."""

    def here(n):
        return threading.current_thread().name

    async def on_loop(n):
        return threading.current_thread().name

    def source():
        yield threading.current_thread().name

    assert await DataFlow((range(1), here)).run() == ["here-0"]
    assert await DataFlow((range(1), stage(here, name="parse"))).run() == ["parse-0"]
    assert await DataFlow((range(1), on_loop)).run() == [MAIN]
    assert await DataFlow((range(1), stage(here, executor="inline"))).run() == [MAIN]
    assert await DataFlow((source,)).run() == ["source-0"]
    assert await DataFlow(here).run(items=[1]) == ["here-0"]


async def test_a_stage_has_as_many_threads_as_its_concurrency_and_each_stage_its_own():
    barrier = threading.Barrier(3, timeout=10)

    def meet(n):
        barrier.wait()
        return threading.current_thread().name

    def after(name):
        return name, threading.current_thread().name

    names = await DataFlow((range(3), stage(meet, concurrency=3), after)).run()
    assert {name for name, _ in names} == {"meet-0", "meet-1", "meet-2"}
    assert {name for _, name in names} == {"after-0"}


@pytest.mark.usefixtures("no_default_executor")
async def test_the_default_executor_of_the_loop_is_never_made():
    def source():
        yield from range(3)

    def sink(n):
        return n

    flow = DataFlow(
        ((source, range(3)), stage(plain, concurrency=2), generator, len_of, (sink, print_nothing))
    )
    assert len(await flow.run()) == 2 * (1 + 2 + 3)


def len_of(n):
    return len(str(n))


def print_nothing(n):
    return None


async def test_an_awaitable_that_a_plain_callable_returns_is_awaited_on_the_loop():
    async def where(n):
        return n, threading.current_thread().name

    async def main(form):
        return await DataFlow((range(2), form)).run()

    assert await main(returning(where)) == [(0, MAIN), (1, MAIN)]
    assert await main(stage(returning(where), executor="inline")) == [(0, MAIN), (1, MAIN)]


GENERATOR_OBJECTS = {
    "generator from a plain function": returning(generator),
    "async generator from a plain function": returning(async_generator),
    "generator on the loop": stage(returning(generator), executor="inline"),
    "generator expression": lambda n: (each for each in range(n)),
}


@pytest.mark.parametrize("form", GENERATOR_OBJECTS.values(), ids=GENERATOR_OBJECTS.keys())
async def test_a_returned_generator_object_is_refused_and_says_what_to_write(form):
    with pytest.raises(ResultError, match=r"stage\(f, many=True\)"):
        await DataFlow((range(2), form)).run()


async def test_a_generator_object_that_a_coroutine_function_returns_is_refused():
    async def returns(n):
        return generator(n)

    with pytest.raises(ResultError, match=r"stage\(f, many=True\)"):
        await DataFlow((range(2), returns)).run()


@pytest.mark.parametrize(
    "made", [[1, 2], (1, 2), {1: 2}, "ab", range(2)], ids=lambda made: type(made).__name__
)
async def test_any_other_collection_is_one_item(made):
    assert await DataFlow((range(2), lambda _: made)).run() == [made, made]


async def test_an_iterator_that_is_no_generator_is_one_item():
    made = await DataFlow((range(1), lambda _: iter([1, 2]))).run()
    assert [list(each) for each in made] == [[1, 2]]


# Sources


class Rows:
    """Iterable any number of times."""

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])


class AsyncRows:
    def __aiter__(self) -> AsyncIterator[int]:
        return self.read()

    async def read(self):
        for n in (1, 2, 3):
            yield n


def sync_numbers():
    yield from (1, 2, 3)


async def async_numbers():
    for n in (1, 2, 3):
        yield n


def returns_async_numbers():
    return async_numbers()


SOURCES = {
    "list": [1, 2, 3],
    "range": range(1, 4),
    "own iterable": Rows(),
    "own async iterable": AsyncRows(),
    "generator function": sync_numbers,
    "async generator function": async_numbers,
    "partial of a generator function": functools.partial(sync_numbers),
    "bound async generator method": AsyncRows().read,
    "many=True": stage(lambda: [1, 2, 3], many=True),
    "many=True of an async generator": stage(returns_async_numbers, many=True),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
async def test_every_sort_of_source_twice(source):
    """A list that starts a sequence is one of steps; as a source it stands in a stage."""
    made = stage(source) if isinstance(source, list) else source
    flow = DataFlow((made, plain))
    assert [await flow.run(), await flow.run()] == [[2, 3, 4], [2, 3, 4]]


@pytest.mark.parametrize("source", [functools.partial(coroutine, 41), lambda: 42, lambda: coroutine(41)])
async def test_a_function_as_a_source_is_called_once_and_its_item_comes_bare(source):
    assert await DataFlow((source, plain)).run() == 43


async def test_a_none_that_a_source_returns_is_an_item_for_the_next_step():
    assert await DataFlow((lambda: None, lambda item: [item])).run() == [None]


@pytest.mark.parametrize(
    "iterator", [lambda: iter([1, 2, 3]), sync_numbers, async_numbers], ids=["iterator", "sync", "async"]
)
async def test_an_iterator_serves_one_run_and_a_second_is_refused(iterator):
    flow = DataFlow((iterator(), plain))
    assert await flow.run() == [2, 3, 4]
    with pytest.raises(ParameterError, match="iterator serves one run"):
        await flow.run()


async def test_items_are_the_source_and_the_first_step_takes_them():
    flow = DataFlow((plain, coroutine))
    assert await flow.run(items=[1, 2]) == [3, 4]
    assert await flow.run(items=async_numbers()) == [3, 4, 5]
    assert await flow.run(items=iter([1])) == [3]
    assert await flow.run(items=[]) == []
    assert list(await collected(flow.stream(items=range(3)))) == [2, 3, 4]


async def collected(run):
    async with run:
        return [result async for result in run]


async def test_a_sync_iterable_is_read_in_a_thread_and_never_on_the_loop():
    seen = []

    class Watched:
        def __iter__(self):
            for n in range(2):
                seen.append(threading.current_thread().name)
                yield n

    assert await DataFlow((Watched(), coroutine)).run() == [1, 2]
    assert await DataFlow(coroutine).run(items=Watched()) == [1, 2]
    assert MAIN not in seen
    assert len(set(seen)) == 2


@pytest.mark.parametrize(
    ("definition", "error", "message"),
    [
        ((range(3), lambda: 1), SignatureError, r"definition\[1\].*takes no item"),
        ((range(3), lambda *, a: 1), SignatureError, "takes no item"),
        ((range(3), stage(plain, executor="loop")), DefinitionError, 'executor="inline"'),
        ((range(3), stage(coroutine, executor="thread")), DefinitionError, "runs on the loop"),
        ((range(3), stage(generator, many=False)), DefinitionError, "many=False"),
        ((range(3), stage(generator, timeout=1)), DefinitionError, "timeout"),
        ((stage(sync_numbers, concurrency=2), plain), DefinitionError, "concurrency"),
        ((stage(sync_numbers, retry=2), plain), DefinitionError, "retry"),
        ((range(3), range(3)), DefinitionError, "can only stand first"),
        ((range(3), stage(plain, per_worker={"model": dict})), DefinitionError, "per_worker"),
        (coroutine(1).close() or (5, plain), DefinitionError, "neither callable nor iterable"),
    ],
)
def test_what_makes_no_sense_is_refused(definition, error, message):
    with pytest.raises(error, match=message):
        DataFlow(definition)


# The decorator


@stage
def bare(n: int) -> int:
    """Decorated without options."""
    return n + 1


@stage(concurrency=4, name="four")
async def with_options(n: int) -> int:
    """Decorated with options."""
    return n + 1


@stage(many=True)
def several(n: int) -> list[int]:
    return [n] * n


async def test_a_decorated_function_is_a_stage_and_can_still_be_called():
    assert isinstance(bare, Stage)
    assert isinstance(with_options, Stage)
    assert bare(1) == 2
    assert await with_options(1) == 2
    assert several(2) == [2, 2]
    assert (bare.__doc__, bare.__name__) == ("Decorated without options.", "bare")
    flow = DataFlow((range(3), bare, with_options, several))
    assert await flow.run() == list(itertools.chain.from_iterable([n + 2] * (n + 2) for n in range(3)))
    assert [each.name for each in flow.graph.stages] == ["range", "bare", "four", "several"]
