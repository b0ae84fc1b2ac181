"""Functions of whole streams as stages, and aiostream on both sides."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from asyncdataflow import DataFlow, merge, stage, through
from asyncdataflow.errors import DefinitionError, ResultError
from asyncdataflow.testing.virtual_clock import run_virtual


def source_of(items, closed=None):
    async def source():
        try:
            for item in items:
                yield item
        finally:
            await asyncio.sleep(0)
            if closed is not None:
                closed.append("source")

    return source


async def collected(run):
    async with run:
        return [result async for result in run]


def results(*definition):
    return run_virtual(collected(DataFlow(definition).stream()))


async def pairwise(numbers):
    previous = None
    async for number in numbers:
        if previous is not None:
            yield previous, number
        previous = number


# Functions of one's own


def test_an_async_generator_function_of_the_stream():
    assert results(source_of(range(4)), through(pairwise)) == [(0, 1), (1, 2), (2, 3)]


def test_the_stage_is_named_after_the_function():
    flow = DataFlow((range(3), through(pairwise), through(pairwise, name="again")))
    assert [each.name for each in flow.graph.stages] == ["range", "pairwise", "again"]


def test_any_function_that_returns_an_async_iterable():
    class Doubled:
        def __init__(self, numbers):
            self.numbers = numbers

        def __aiter__(self):
            return self

        async def __anext__(self):
            return await anext(self.numbers) * 2

    async def made_later(numbers):
        await asyncio.sleep(1)
        return Doubled(numbers)

    for f in (Doubled, made_later, lambda numbers: numbers):
        expected = [0, 1, 2] if f not in (Doubled, made_later) else [0, 2, 4]
        assert results(source_of(range(3)), through(f)) == expected


def test_it_may_make_more_fewer_or_none():
    async def three_of_each(numbers):
        async for number in numbers:
            for _ in range(3):
                yield number

    async def nothing(numbers):
        async for _ in numbers:
            pass
        return
        yield

    assert results(source_of(range(2)), through(three_of_each)) == [0, 0, 0, 1, 1, 1]
    assert results(source_of(range(2)), through(nothing)) == []


def test_when_it_ends_what_made_its_items_is_stopped_and_closed():
    async def first_two(numbers):
        try:
            yield await anext(numbers)
            yield await anext(numbers)
        finally:
            closed.append("function")

    closed: list[str] = []
    assert results(source_of(itertools.count(), closed), through(first_two)) == [0, 1]
    assert sorted(closed) == ["function", "source"]


def test_leaving_early_closes_it():
    async def main():
        closed: list[str] = []

        async def watched(numbers):
            try:
                async for number in numbers:
                    yield number
            finally:
                await asyncio.sleep(0)
                closed.append("function")

        async with DataFlow((source_of(itertools.count(), closed), through(watched))).stream() as run:
            assert await anext(run) == 0
        assert sorted(closed) == ["function", "source"]

    run_virtual(main())


def test_it_is_called_once_a_run():
    calls = []

    async def watched(numbers):
        calls.append("call")
        async for number in numbers:
            yield number

    async def main():
        flow = DataFlow((source_of(range(2)), through(watched)))
        return await flow.run(), await flow.run()

    assert run_virtual(main()) == ([0, 1], [0, 1])
    assert calls == ["call", "call"]


def test_its_error_ends_the_run_with_a_note():
    async def fails(numbers):
        async for number in numbers:
            yield 1 // number

    with pytest.raises(ZeroDivisionError) as caught:
        results(source_of([1, 0]), through(fails))
    assert any("in stage fails" in note for note in caught.value.__notes__)


def test_what_returns_no_stream_is_an_error():
    with pytest.raises(ResultError, match="async iterable"):
        results(source_of(range(2)), through(lambda numbers: [1, 2]))


@pytest.mark.parametrize("option", [{"concurrency": 2}, {"retry": 2}, {"on_error": "skip"}, {"timeout": 1}])
def test_it_has_no_policies_per_item(option):
    with pytest.raises(DefinitionError, match=next(iter(option))):
        DataFlow((range(3), through(pairwise, **option)))


def test_no_function_is_refused():
    with pytest.raises(ValueError, match="through"):
        through(5)


def test_it_is_pulled_only_as_far_as_there_is_room():
    async def main():
        made = []

        async def endless():
            for n in itertools.count():
                made.append(n)
                yield n

        async def same(numbers):
            async for number in numbers:
                yield number

        async with DataFlow((endless, through(same, buffer=2))).stream(buffer=1) as run:
            assert await anext(run) == 0
            await asyncio.sleep(1)
        return len(made)

    # The consumer's, whose slot is held, one in the function's hand, two in the edge, one before it.
    assert run_virtual(main()) <= 1 + 1 + 2 + 1


# aiostream


@pytest.fixture
def aiostream():
    return pytest.importorskip("aiostream")


def pipes(aiostream):
    pipe = aiostream.pipe
    return {
        "take": (pipe.take(5), lambda items: items[:5]),
        "skip": (pipe.skip(5), lambda items: items[5:]),
        "slice": (pipe.getitem(slice(2, 8, 2)), lambda items: items[2:8:2]),
        "filter": (pipe.filter(lambda n: n % 2), lambda items: [n for n in items if n % 2]),
        "map": (pipe.map(lambda n: n * 10), lambda items: [n * 10 for n in items]),
        "chunks": (pipe.chunks(4), lambda items: [items[at : at + 4] for at in range(0, len(items), 4)]),
        "accumulate": (pipe.accumulate(), lambda items: list(itertools.accumulate(items))),
        "enumerate": (pipe.enumerate(), lambda items: list(enumerate(items))),
        "takelast": (pipe.takelast(2), lambda items: items[-2:]),
        "flatmap": (
            pipe.flatmap(aiostream.stream.just, task_limit=1),
            lambda items: items,
        ),
    }


@pytest.mark.parametrize(
    "name",
    ["take", "skip", "slice", "filter", "map", "chunks", "accumulate", "enumerate", "takelast", "flatmap"],
)
def test_every_pipable_operator_is_a_stage(aiostream, name):
    """Against itertools and the builtins."""
    operator, model = pipes(aiostream)[name]
    got = results(source_of(range(10)), through(operator))
    assert got == model(list(range(10)))


def test_an_operator_that_sends_its_states_sends_them_all(aiostream):
    """``pipe.list`` sends the one growing list at the start and after each item."""
    got = results(source_of(range(3)), through(aiostream.pipe.list()))
    assert got == [[0, 1, 2]] * 4
    assert len({id(each) for each in got}) == 1


def test_take_of_aiostream_stops_an_endless_source(aiostream):
    closed: list[str] = []
    assert results(source_of(itertools.count(), closed), through(aiostream.pipe.take(5))) == [0, 1, 2, 3, 4]
    assert closed == ["source"]


def test_a_stream_of_aiostream_is_a_source(aiostream):
    numbers = aiostream.stream.range(5)

    async def main():
        flow = DataFlow((numbers, through(pairwise)))
        return await flow.run(), await flow.run()

    assert run_virtual(main()) == ([(n, n + 1) for n in range(4)],) * 2


def test_a_stream_of_aiostream_is_closed_when_the_run_is_left(aiostream):
    async def main():
        closed: list[str] = []
        endless = aiostream.stream.iterate(source_of(itertools.count(), closed)()) | aiostream.pipe.map(abs)
        async with DataFlow((endless, through(pairwise))).stream() as run:
            assert await anext(run) == (0, 1)
        assert closed == ["source"]

    run_virtual(main())


def test_streams_of_aiostream_in_a_group_and_as_items(aiostream):
    group = (aiostream.stream.range(3), aiostream.stream.range(10, 13))
    assert sorted(results(group, merge)) == [0, 1, 2, 10, 11, 12]

    async def main():
        async def double(n):
            return n * 2

        return await DataFlow(double).run(items=aiostream.stream.range(3))

    assert run_virtual(main()) == [0, 2, 4]


def test_a_function_may_return_a_stream_of_aiostream_to_be_taken_apart(aiostream):
    async def up_to(n):
        return aiostream.stream.range(n)

    def up_to_from_a_thread(n):
        return aiostream.stream.range(n)

    expected = [0, 0, 1, 0, 1, 2]
    assert results(source_of(range(4)), stage(up_to, many=True)) == expected
    plainly = stage(up_to_from_a_thread, many=True, executor="inline")
    assert results(source_of(range(4)), plainly) == expected
    assert DataFlow((source_of(range(4)), stage(up_to_from_a_thread, many=True)))() == expected


def test_a_run_is_piped_into_operators(aiostream):
    pipe = aiostream.pipe

    async def main():
        closed: list[str] = []
        flow = DataFlow((source_of(range(10**9), closed), through(pairwise)))
        first = await (flow.stream() | pipe.take(3) | pipe.list())
        assert closed == ["source"]
        second = await (flow.stream() | pipe.map(sum) | pipe.take(4) | pipe.accumulate())
        assert closed == ["source"] * 2
        return first, second

    assert run_virtual(main()) == ([(0, 1), (1, 2), (2, 3)], 1 + 3 + 5 + 7)


def test_an_error_of_the_run_comes_out_of_the_operators(aiostream):
    async def main():
        async def fails(n):
            return 1 // n

        run = DataFlow((source_of([1, 0]), fails)).stream()
        with pytest.raises(ZeroDivisionError):
            await (run | aiostream.pipe.list())
        assert run.state == "failed"

    run_virtual(main())


async def test_with_threads_too(aiostream):
    flow = DataFlow((range(100), lambda n: n * 2, through(aiostream.pipe.chunks(7)), len))
    assert await flow.run() == [7] * 14 + [2]
    assert await (flow.stream() | aiostream.pipe.take(2) | aiostream.pipe.list()) == [7, 7]
