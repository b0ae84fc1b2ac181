"""Which items go on: ``filter_ flatten take until``."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, filter_, flatten, stage, take, until
from asyncdataflow.errors import DefinitionError, ResultError
from asyncdataflow.testing.virtual_clock import run_virtual

numbers = st.lists(st.integers(-3, 3), max_size=20)


def source_of(items):
    async def source():
        for item in items:
            yield item

    return source


async def collected(run):
    async with run:
        return [result async for result in run]


def results(*definition):
    return run_virtual(collected(DataFlow(definition).stream()))


def positive(n):
    return n > 0


async def positive_later(n):
    await asyncio.sleep(1)
    return n > 0


FUNCTIONS = {
    "function": positive,
    "coroutine function": positive_later,
    "returns an awaitable": lambda n: positive_later(n + 0),
}
each_function = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())


# filter_


@each_function
@settings(max_examples=30)
@given(items=numbers, concurrency=st.integers(1, 3))
def test_filter_is_the_builtin_filter(f, items, concurrency):
    assert results(source_of(items), filter_(f, concurrency=concurrency)) == list(filter(positive, items))


def test_filter_keeps_the_item_and_not_the_answer():
    items = [None, "", "a", 0, 5]
    assert results(source_of(items), filter_(lambda item: [item] if item != 5 else []), lambda_of()) == [
        (item,) for item in items[:-1]
    ]


def lambda_of():
    async def wrap(item):
        return (item,)

    return wrap


def test_an_error_of_the_function_is_that_items_error():
    sound = filter_(lambda n: 6 % n == 0)
    with pytest.raises(ZeroDivisionError):
        results(source_of([1, 0, 2, 4]), sound)
    assert results(source_of([1, 0, 2, 4]), stage(sound, on_error="skip")) == [1, 2]


async def test_the_function_runs_on_the_loop_unless_it_is_said_otherwise():
    seen = []

    def look(n):
        seen.append(threading.current_thread().name)
        return True

    assert await DataFlow((range(1), filter_(look), filter_(look, executor="thread", name="look"))).run() == [
        0
    ]
    assert seen == [threading.main_thread().name, "look-0"]


async def test_what_was_filtered_out_is_not_counted_as_sent():
    async with DataFlow((range(10), filter_(lambda n: n % 5 == 0))).stream() as run:
        assert [n async for n in run] == [0, 5]
        figures = run.stats().stages["filter_"]
    assert (figures.received, figures.sent) == (10, 2)


# flatten


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(), max_size=4), max_size=8), st.booleans())
def test_flatten_is_chain(lists, bare):
    assert results(source_of(lists), flatten if bare else flatten()) == list(itertools.chain(*lists))


def test_flatten_takes_any_iterable_apart():
    async def later():
        yield 1
        yield None

    items = [(1, 2), {"a": 1, "b": 2}, "xy", range(2), iter([7]), {8}, b"\x01", later(), (n for n in (9,))]
    wrapped = [item for (item,) in results(source_of(items), flatten, lambda_of())]
    assert wrapped == [1, 2, "a", "b", "x", "y", 0, 1, 7, 8, 1, 1, None, 9]


def test_what_cannot_be_taken_apart_is_that_items_error():
    with pytest.raises(ResultError, match="not int"):
        results(source_of([[1], 5]), flatten)
    assert results(source_of([[1], 5, [2]]), flatten(on_error="skip")) == [1, 2]


def test_flatten_waits_between_members():
    async def main():
        made = []

        def endless():
            for n in itertools.count():
                made.append(n)
                yield n

        async with DataFlow((source_of([endless()]), flatten)).stream(buffer=2) as run:
            assert await anext(run) == 0
            await asyncio.sleep(1)
        return len(made)

    # One with the consumer, two in the output edge, one that waits for a slot there.
    assert run_virtual(main()) <= 4


# take


@settings(max_examples=30)
@given(numbers, st.integers(1, 25))
def test_take_is_islice(items, count):
    assert results(source_of(items), take(count)) == list(itertools.islice(items, count))


@pytest.mark.parametrize("count", [1, 3])
def test_take_stops_an_endless_waiting_source_at_once_and_closes_it(count):
    async def main():
        events = []

        async def source():
            try:
                for n in range(count):
                    yield n
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                events.append("closed")

        got = await collected(DataFlow((source, take(count))).stream())
        assert events == ["closed"]
        return got, asyncio.get_running_loop().time()

    assert run_virtual(main()) == (list(range(count)), 0)


async def test_take_stops_an_endless_source_in_a_thread_and_closes_it_there():
    events = []

    def source():
        try:
            yield from itertools.count()
        finally:
            events.append(threading.current_thread().name)

    assert await DataFlow((source, take(3))).run() == [0, 1, 2]
    assert events == ["source-0"]


async def test_take_stops_all_the_stages_before_it():
    closed = []

    def parts(n):
        try:
            yield from itertools.count(n)
        finally:
            closed.append(n)

    async def later(n):
        return n

    flow = DataFlow((itertools.count(), parts, stage(later, concurrency=2), take(4)))
    assert await flow.run() == [0, 1, 2, 3]
    assert closed == [0]


def test_take_in_one_branch_leaves_the_others_alone():
    got = results((source_of("abc"), (source_of("xyz"), take(1))))
    assert sorted(got) == ["a", "b", "c", "x"]


def test_take_behind_a_merge_stops_every_branch():
    closed = []

    def endless(label):
        async def source():
            try:
                for n in itertools.count():
                    yield label, n
                    await asyncio.sleep(1)
            finally:
                closed.append(label)

        return stage(source, name=label)

    assert len(results((endless("a"), endless("b")), take(5))) == 5
    assert sorted(closed) == ["a", "b"]


# until


@each_function
@pytest.mark.parametrize("inclusive", [False, True])
@settings(max_examples=30)
@given(items=numbers)
def test_until_is_takewhile_not(f, inclusive, items):
    expected = list(itertools.takewhile(lambda n: n <= 0, items))
    if inclusive:
        expected = items[: len(expected) + 1]
    assert results(source_of(items), until(f, inclusive=inclusive)) == expected


def test_until_stops_an_endless_waiting_source_at_once():
    async def main():
        async def source():
            yield 1
            await asyncio.Event().wait()

        got = await collected(DataFlow((source, until(positive, inclusive=True))).stream())
        return got, asyncio.get_running_loop().time()

    assert run_virtual(main()) == ([1], 0)


@pytest.mark.parametrize("operator", [until, filter_])
def test_an_error_of_the_function_ends_the_run_with_a_note(operator):
    with pytest.raises(ZeroDivisionError) as caught:
        results(source_of([1, 0]), operator(lambda n: 1 // n < 0))
    assert any(f"in stage {operator.__name__}" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: take(0),
        lambda: take(-1),
        lambda: take(1.5),
        lambda: take(True),
        lambda: until(5),
        lambda: filter_(None),
        lambda: take(3, bufer=2),
    ],
)
def test_a_wrong_option_is_refused_where_it_is_written(wrong):
    with pytest.raises((ValueError, TypeError), match=r"take|until|filter_|bufer"):
        wrong()


@pytest.mark.parametrize(
    "operator", [take(2, concurrency=2), take(2, retry=2), until(positive, on_error="skip")]
)
def test_what_works_on_the_stream_as_a_whole_has_no_policy_per_item(operator):
    with pytest.raises(DefinitionError, match="works on the stream as a whole"):
        DataFlow((range(3), operator))


@pytest.mark.parametrize("operator", [take, until, filter_])
def test_what_is_written_as_a_call_is_refused_bare(operator):
    with pytest.raises(DefinitionError, match="written as a call"):
        DataFlow((range(3), operator))
