"""One definition, called, awaited, streamed and iterated: the same values each time (invariants 29, 69)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import threading
from array import array

import pytest

from asyncdataflow import DataFlow, DataFlowError, batch, filter_, flatten, merge, route, stage, take
from asyncdataflow.errors import ParameterError

DEADLINE = 20.0
"""Seconds for a thread that has been told to end; never waited for in full."""


async def get(start=1):
    return start


def get_in_thread(start=1):
    return start


async def numbers(limit=5):
    for number in range(limit):
        yield number


def numbers_in_thread(limit=5):
    yield from range(limit)


def endless():
    yield from itertools.count()


async def double(item):
    return item * 2


def negate(item):
    return -item


async def nothing(item):
    return None


async def fails(item):
    raise LookupError("mine")


def called(flow, params):
    return flow(params)


def called_with_keywords(flow, params):
    return flow(**params)


def called_inside_a_loop(flow, params):
    async def main():
        return await flow(params)

    return asyncio.run(main())


def awaited(flow, params):
    async def main():
        return await flow.run(params)

    return asyncio.run(main())


def streamed(flow, params):
    async def main():
        return [result async for result in flow.stream(params)]

    return asyncio.run(main())


def streamed_in_a_block(flow, params):
    async def main():
        async with flow.stream(params) as run:
            return [result async for result in run]

    return asyncio.run(main())


def streamed_with_one_slot(flow, params):
    async def main():
        async with flow.stream(params, buffer=1) as run:
            return [result async for result in run]

    return asyncio.run(main())


def iterated(flow, params):
    return list(flow.iterate(params))


def iterated_in_a_block(flow, params):
    with flow.iterate(params) as results:
        return list(results)


def iterated_inside_a_loop(flow, params):
    async def main():
        return list(flow.iterate(params))

    return asyncio.run(main())


ONE_SHOT = (called, called_with_keywords, called_inside_a_loop, awaited)
STREAMS = (
    streamed,
    streamed_in_a_block,
    streamed_with_one_slot,
    iterated,
    iterated_in_a_block,
    iterated_inside_a_loop,
)
EVERY_WAY = pytest.mark.parametrize("way", ONE_SHOT + STREAMS)


@EVERY_WAY
@pytest.mark.parametrize("source", [numbers, numbers_in_thread])
def test_every_way_gives_the_same_results_in_the_same_order(way, source):
    """Invariant 69: a call has the values of the stream."""
    assert way(DataFlow((source, double, negate)), {"limit": 300}) == [-2 * n for n in range(300)]


@EVERY_WAY
def test_every_way_raises_what_a_stage_raised(way):
    with pytest.raises(LookupError, match="mine"):
        way(DataFlow((numbers, fails)), {"limit": 3})


@EVERY_WAY
@pytest.mark.parametrize(
    ("given", "told"),
    [({}, "'limit'"), ({"limit": 1, "other": 2}, "'other'"), ({"limits": 1}, "limit")],
)
def test_every_way_refuses_wrong_parameters_before_anything_starts(way, given, told):
    opened = []

    def needs(limit):
        opened.append("source")
        yield limit

    flow = DataFlow((needs,), resources={"db": lambda: opened.append("resource")})
    with pytest.raises(ParameterError, match=told):
        way(flow, given)
    assert not opened


@pytest.mark.parametrize("start", ["stream", "iterate", "run", "__call__"])
async def test_wrong_parameters_are_refused_where_they_are_given(start):
    """Not at the first result, nor when the awaitable is awaited."""
    with pytest.raises(ParameterError):
        getattr(DataFlow((get,)), start)({"strat": 1})


@pytest.mark.parametrize("way", STREAMS)
def test_a_stream_of_a_flow_with_one_value_has_that_one_result(way):
    assert way(DataFlow((get, double)), {"start": 4}) == [8]


class TestShapes:
    """What a call returns: section 5 of the design."""

    BARE = pytest.mark.parametrize("first", [get, get_in_thread])

    @pytest.mark.parametrize("way", ONE_SHOT)
    @BARE
    @pytest.mark.parametrize(
        ("rest", "result"),
        [
            ((), 3),
            ((double,), 6),
            ((double, negate), -6),
            (((double, negate),), (6, -3)),
            (({double, negate},), {"double": 6, "negate": -3}),
            (({"twice": double, "minus": negate},), {"twice": 6, "minus": -3}),
            (((double, (double, (double, negate))),), (6, (12, -6))),
            (((double, {"a": negate, "b": (double, double)}),), (6, {"a": -3, "b": 12})),
            (({"a": double, "b": [double, (negate, double)]},), {"a": 6, "b": (-6, 12)}),
            (((double, negate), lambda a, b: a + b), 3),
            ((nothing,), None),
            (((double, nothing),), (6, None)),
        ],
    )
    def test_where_only_one_value_can_be_made_it_stands_bare(self, way, first, rest, result):
        assert way(DataFlow((first, *rest)), {"start": 3}) == result

    @pytest.mark.parametrize("way", ONE_SHOT)
    @pytest.mark.parametrize(
        ("definition", "result"),
        [
            (((get, get_in_thread), lambda a, b: (a, b)), (1, 1)),
            ([((get, double), get_in_thread)], (2, 1)),
            ([{"x": get, "y": (get, negate)}], {"x": 1, "y": -1}),
        ],
    )
    def test_function_sources_side_by_side(self, way, definition, result):
        assert way(DataFlow(definition), {}) == result

    @pytest.mark.parametrize("way", ONE_SHOT)
    @pytest.mark.parametrize(
        ("definition", "result"),
        [
            ((numbers, double), [0, 2, 4, 6, 8]),
            ((numbers_in_thread, take(1)), [0]),
            ((range(1), double), [0]),
            ((get, filter_(bool)), [1]),
            ((get, filter_(lambda n: n > 5)), []),
            ((get, lambda n: [n, n], flatten), [1, 1]),
            ((get, batch(3)), [[1]]),
            ((get, stage(fails, on_error="skip")), []),
            ((get, stage(double, overflow="drop_oldest")), [2]),
            ((get, route(lambda n: "double"), (double, negate)), [2]),
            (((get, get_in_thread), merge, double), [2, 2]),
            ((numbers, nothing), []),
        ],
    )
    def test_elsewhere_a_list_holds_the_results(self, way, definition, result):
        assert way(DataFlow(definition), {}) == result

    def test_items_of_the_run_give_a_list(self):
        assert asyncio.run(_run(DataFlow((double,)), items=[3])) == [6]
        assert list(DataFlow((double, negate)).iterate(items=iter((1, 2)))) == [-2, -4]
        assert asyncio.run(_run(DataFlow((double,)), items=numbers(3))) == [0, 2, 4]

    def test_parameters_may_be_given_in_a_mapping_and_by_keyword_but_not_twice(self):
        async def both(a, *, b):
            return a + b

        assert DataFlow(both)({"a": 1}, b=2) == 3
        with pytest.raises(ParameterError, match="twice"):
            DataFlow(both)({"a": 1, "b": 1}, b=2)

    def test_a_parameter_may_be_called_like_those_of_the_call_itself(self):
        async def source(params, self, items):
            return params, self, items

        assert DataFlow(source)(params=1, self=2, items=3) == (1, 2, 3)


async def _run(flow, **options):
    return await flow.run(**options)


class TestIndependentRuns:
    """Invariant 29."""

    FLOW = DataFlow((numbers, stage(double, concurrency=3), negate))

    async def test_many_at_once_share_nothing(self):
        limits = range(0, 60, 3)
        results = await asyncio.gather(*(self.FLOW.run({"limit": n}) for n in limits))
        assert results == [[-2 * i for i in range(n)] for n in limits]

    async def test_runs_that_are_consumed_in_turns_do_not_mix(self):
        runs = [self.FLOW.stream({"limit": 10 * (n + 1)}, buffer=1) for n in range(3)]
        seen = [[] for _ in runs]
        for _ in range(11):
            for run, into in zip(runs, seen, strict=True):
                into += [each async for each in _few(run, 3)]
        assert seen == [[-2 * i for i in range(10 * (n + 1))] for n in range(3)]

    def test_one_flow_in_two_successive_loops_and_in_several_threads(self):
        expected = [0, -2, -4]
        assert asyncio.run(_run(self.FLOW, params={"limit": 3})) == expected
        assert asyncio.run(_run(self.FLOW, params={"limit": 3})) == expected
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.FLOW(limit=3))) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert found == [expected] * 4

    async def test_a_flow_runs_again_after_a_failure_and_beside_one(self):
        async def picky(item, *, forbidden=-1):
            if item == forbidden:
                raise LookupError(item)
            return item

        flow = DataFlow((numbers, picky))
        with pytest.raises(LookupError):
            await flow.run({"forbidden": 2})
        assert await flow.run() == [0, 1, 2, 3, 4]
        good, bad = await asyncio.gather(flow.run(), flow.run({"forbidden": 0}), return_exceptions=True)
        assert good == [0, 1, 2, 3, 4]
        assert isinstance(bad, LookupError)

    async def test_a_flow_runs_inside_a_stage_of_itself(self):
        inner = DataFlow((numbers, double))

        async def sums(item):
            return sum(await inner.run({"limit": item}))

        assert await DataFlow((numbers, sums)).run({"limit": 4}) == [0, 0, 2, 6]

    @pytest.mark.parametrize(
        "make", [lambda: iter(range(3)), lambda: numbers(3), lambda: (n for n in range(3))]
    )
    def test_an_iterator_as_source_serves_one_run(self, make):
        flow = DataFlow((make(), double))
        assert flow() == [0, 2, 4]
        for again in (flow, flow.stream, flow.iterate):
            with pytest.raises(ParameterError, match=r"definition\[0\].*one run"):
                again()

    def test_a_refused_run_has_not_used_the_iterator_up(self):
        flow = DataFlow((iter(range(3)), double))
        with pytest.raises(ParameterError):
            flow(nobody=1)
        with pytest.raises(ValueError, match="buffer"):
            flow.stream(buffer=0)
        assert flow() == [0, 2, 4]

    @pytest.mark.parametrize(
        "source",
        [range(2), array("b", (0, 1)), numbers, {0: "a", 1: "b"}.keys()],
        ids=["range", "array", "generator function", "keys"],
    )
    def test_what_can_be_read_again_serves_any_number_of_runs(self, source):
        flow = DataFlow((source, take(2), double))
        assert flow() == flow() == [0, 2]


async def _few(run, count):
    for _ in range(count):
        try:
            yield await anext(run)
        except StopAsyncIteration:
            return


class TestIterate:
    """Synchronous code on a loop in a thread of its own."""

    ENDLESS = DataFlow((endless, double))

    def threads(self):
        return [each for each in threading.enumerate() if "iterate" in each.name or "endless" in each.name]

    def test_nothing_starts_before_the_first_result_is_asked_for(self):
        results = self.ENDLESS.iterate()
        assert not self.threads()
        results.close()
        assert list(results) == []

    def test_leaving_the_block_ends_the_thread(self):
        with self.ENDLESS.iterate() as results:
            for result in results:
                if result == 6:
                    break
            assert self.threads()
        assert not self.threads()
        assert next(results, "closed") == "closed"

    def test_closing_ends_the_thread_and_may_be_repeated(self):
        results = self.ENDLESS.iterate()
        assert next(results) == 0
        results.close()
        results.close()
        assert not self.threads()

    def test_an_exhausted_one_has_ended_its_thread(self):
        results = DataFlow((numbers,)).iterate()
        assert list(results) == [0, 1, 2, 3, 4]
        assert not self.threads()
        assert list(results) == []

    def test_an_error_of_the_block_wins(self):
        with pytest.raises(KeyError, match="body"), self.ENDLESS.iterate() as results:
            next(results)
            raise KeyError("body")
        assert not self.threads()

    def test_an_error_of_the_block_gets_the_runs_failure_as_a_note(self):
        failing = threading.Event()

        def source():
            try:
                yield 0
                yield 1
            finally:
                failing.set()
                raise LookupError("on closing")

        with pytest.raises(KeyError) as caught, DataFlow((source,)).iterate() as results:
            next(results)
            raise KeyError("body")
        assert failing.is_set()
        assert "on closing" in "".join(caught.value.__notes__)

    def test_a_failure_ends_the_thread_and_the_iteration(self):
        results = DataFlow((numbers, fails)).iterate()
        with pytest.raises(LookupError, match="mine"):
            next(results)
        assert not self.threads()
        assert list(results) == []

    def test_dropped_while_it_works_it_warns_and_ends(self):
        results = self.ENDLESS.iterate()
        next(results)
        threads = self.threads()
        with pytest.warns(ResourceWarning, match="iterate"):
            del results
            gc.collect()
        for each in threads:
            each.join(DEADLINE)
        assert threads
        assert not self.threads()

    def test_context_variables_of_whoever_iterates_are_seen(self):
        user = contextvars.ContextVar("user", default="nobody")

        def in_thread(item):
            return user.get()

        async def on_loop(item):
            return item, user.get()

        flow = DataFlow((get, in_thread, on_loop))
        token = user.set("me")
        try:
            assert list(flow.iterate()) == [("me", "me")]
            assert flow() == ("me", "me")
        finally:
            user.reset(token)

    def test_the_consumers_pace_is_the_backpressure(self):
        pulled = []

        async def source():
            for number in itertools.count():
                pulled.append(number)
                yield number

        flow = DataFlow((stage(source, name="source"), stage(double, buffer=1)), fuse=False)
        with flow.iterate(buffer=1) as results:
            for _ in range(50):
                result = next(results)
                assert len(pulled) - result // 2 <= flow.bound(buffer=1)


def test_the_library_has_one_base_for_its_own_errors():
    with pytest.raises(DataFlowError):
        DataFlow((get,)).stream({"nobody": 1})


async def test_parameters_are_refused_in_a_later_run_as_in_the_first():
    """The flow remembers which names were right, for runs of its own source and for those of given items."""

    async def scaled(item, *, by):
        return item * by

    flow = DataFlow((get, scaled))
    for _ in range(2):
        assert await flow.run({"start": 2, "by": 3}) == 6
        assert await flow.run({"by": 3}) == 3
        with pytest.raises(ParameterError, match="by"):
            await flow.run({"start": 2})
        with pytest.raises(ParameterError, match="used by nobody"):
            await flow.run({"start": 2, "by": 3, "at": 4})
    flow = DataFlow((scaled,))
    assert await flow.run({"by": 3}, items=[1]) == [3]
    with pytest.raises(ParameterError, match="by"):
        await flow.run({}, items=[1])
    flow = DataFlow((lambda start: start, scaled))
    assert await flow.run({"start": 2, "by": 3}) == 6
    with pytest.raises(ParameterError, match="used by nobody"):
        await flow.run({"start": 2, "by": 3}, items=[1])
