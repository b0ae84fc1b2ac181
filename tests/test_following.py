"""What instruments are told of messages, and that whatever they do harms no flow."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import weakref
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import (
    AckableSource,
    DataFlow,
    Message,
    Retry,
    balance,
    batch,
    combine_latest,
    dead_letter,
    filter_,
    partition,
    route,
    scan,
    split,
    stage,
    take,
    through,
)
from asyncdataflow.following import Entrusted, Passage, Tries
from asyncdataflow.message import outgoing_headers
from asyncdataflow.operators import map_batches
from asyncdataflow.overrides import overridden
from asyncdataflow.testing import QueueSource, simulate
from tests import process_functions
from tests.instruments import CURRENT, Book, Told, double, ran, thrice


def seen(n):
    step = CURRENT.get()
    return n, step.stage if step is not None else None


async def seen_on_the_loop(n):
    await asyncio.sleep(0)
    return seen(n)


async def generated(n):
    for _ in range(2):
        await asyncio.sleep(0)
        yield seen(n)


def generated_in_a_thread(n):
    yield seen(n)
    yield seen(n)


def listed(n):
    return [seen(n), seen(n)]


def test_each_call_for_an_item_and_its_end():
    book, results = ran((double, thrice))
    assert results == [0, 6, 12]
    assert book.told == [(name, 1, [n]) for name in ("double", "thrice") for n in range(3)]
    assert book.begun == [("dataflow", "items", n) for n in range(3)]
    assert book.outcomes == [(0, None), (1, None), (2, None)]


@pytest.mark.parametrize(
    ("step", "each"),
    [
        (seen_on_the_loop, 1),
        (seen, 1),
        (stage(seen, executor="inline"), 1),
        (stage(seen, timeout=30), 1),
        (stage(seen_on_the_loop, timeout=30), 1),
        (stage(seen_on_the_loop, concurrency=3), 1),
        (stage(seen_on_the_loop, concurrency=3, ordered=False), 1),
        (stage(seen_on_the_loop, concurrency=3, key=lambda n: n % 2), 1),
        (stage(seen, concurrency=3), 1),
        (stage(seen, concurrency=3, ordered=False), 1),
        (stage(seen_on_the_loop, rate=1000), 1),
        (generated, 2),
        (generated_in_a_thread, 2),
        (stage(generated_in_a_thread, executor="inline"), 2),
        (stage(listed, many=True), 2),
        (stage(listed, many=True, executor="inline"), 2),
        (stage(generated, concurrency=2), 2),
    ],
)
def test_it_is_current_wherever_the_function_runs(step, each):
    book, results = ran((step,))
    name = book.steps[0].stage
    assert sorted(results) == sorted([(n, name) for n in range(3)] * each)
    assert [told[2] for told in book.told] == [[0], [1], [2]]


def test_what_a_plain_function_leaves_to_the_loop_to_await():
    def later(n):
        return seen_on_the_loop(n)

    book, results = ran((later,))
    assert results == [(n, "later") for n in range(3)]
    assert len(book.steps) == 3


def test_nothing_is_current_between_the_items_of_a_generator():
    found = []

    async def two(n):
        yield n
        yield n

    async def main():
        async with DataFlow((two,), instruments=[Book()]).stream(items=range(1)) as run:
            async for _ in run:
                found.append(CURRENT.get())

    asyncio.run(main())
    assert found == [None, None]


@pytest.mark.parametrize("step", [len, stage(len, executor="inline")])
def test_a_batch_is_made_of_all_its_items(step):
    book, results = ran((batch(2), step))
    assert results == [2, 1]
    assert [each.traces for each in book.steps] == [[0, 1], [2]]


def test_the_lists_of_map_batches_and_the_retry_of_one():
    failing, name = iter([ValueError("once")]), "lengths"

    def lengths(texts):
        for error in failing:
            raise error
        return [len(text) for text in texts]

    step = map_batches(lengths, 2, name=name, retry=Retry(attempts=2, backoff=0))
    book, results = ran((step,), items=["a", "bb", "ccc"])
    assert results == [1, 2, 3]
    assert book.told == [(name, 1, ["a", "bb"]), (name, 1, ["ccc"]), (name, 2, ["a", "bb"])]
    assert isinstance(book.steps[0].error, ValueError)


def test_a_row_of_a_zip_is_of_both_and_a_row_of_branches_of_one():
    book = Book()

    async def added(a, b):
        return a + b

    assert DataFlow(((range(3), range(10, 13)), added), instruments=[book])() == [10, 12, 14]
    assert [each.traces for each in book.steps] == [[0, 10], [1, 11], [2, 12]]
    book.check()
    book, results = ran(((double, thrice), added))
    assert results == [0, 5, 10]
    assert [each.traces for each in book.steps if each.stage == "added"] == [[0], [1], [2]]


def test_a_zip_in_a_thread():
    def both(a, b):
        return seen((a, b))

    _, results = ran(((double, thrice), both))
    assert results == [((n * 2, n * 3), "both") for n in range(3)]


def test_an_operator_that_looks_at_each():
    book, results = ran((scan(lambda total, n: total + n, name="sum"),), items=range(1, 4))
    assert results == [1, 3, 6]
    assert [each.traces for each in book.steps] == [[2], [3]]


def test_operators_without_a_function_are_no_calls():
    definitions = [
        ((double, thrice), combine_latest()),
        (balance(), (double, thrice)),
        (split(), (double, thrice)),
        (double, through(lambda items: items)),
    ]
    for definition in definitions:
        items = [(1, 2), (3, 4)] if isinstance(definition[0], type(split())) else range(3)
        book, _ = ran(definition, items=items)
        assert {each.stage for each in book.steps} <= {"double", "thrice"}


def test_branches_and_what_is_filtered():
    book, _ = ran(
        (
            filter_(lambda n: n % 2, name="odd"),
            route(lambda n: "left", name="way"),
            {"left": double, "right": thrice},
        ),
    )
    assert book.told == [("double", 1, [1]), *[("odd", 1, [n]) for n in range(3)], ("way", 1, [1])]
    assert sorted(book.outcomes) == [(0, None), (1, None), (2, None)]
    book, _ = ran((partition(lambda n: n), (double, double)))
    assert len(book.steps) == 6


def test_a_broadcast_is_settled_behind_its_last_branch():
    at_the_end = []

    async def slow(n):
        await asyncio.sleep(0)
        at_the_end.append(len(book.outcomes))
        return n

    book = Book()
    asyncio.run(DataFlow(((double, slow),), instruments=[book]).run(items=range(1)))
    book.check()
    assert at_the_end == [0]
    assert [each.traces for each in book.steps] == [[0], [0]]


@pytest.mark.parametrize("options", [{}, {"executor": "thread"}, {"executor": "inline"}, {"timeout": 10}])
def test_attempts(options):
    def failing(n):
        if CURRENT.get().attempt < 3:
            raise LookupError(n)
        return n

    book, results = ran(
        (stage(failing, retry=Retry(attempts=3, backoff=0), **options), double), items=range(2)
    )
    assert results == [0, 2]
    assert [each[1:] for each in book.told] == [
        *((1, [n]) for n in range(2)),
        *((1, [n]) for n in range(2)),
        *((2, [n]) for n in range(2)),
        *((3, [n]) for n in range(2)),
    ]
    assert [type(each.error) for each in book.steps if each.attempt < 3 and each.stage == "failing"] == [
        LookupError
    ] * 4


def test_an_item_that_is_skipped_one_that_is_a_letter_and_one_that_ends_the_run():
    async def failing(n):
        raise LookupError(n)

    book, _ = ran((stage(failing, on_error="skip"),))
    assert [error for _, error in book.outcomes] == [None] * 3
    letters = []

    def write(letter):
        letters.append((letter.item, CURRENT.get().traces))

    book, _ = ran((stage(failing, on_error=dead_letter(write)),))
    assert letters == [(n, [n]) for n in range(3)]
    assert [error for _, error in book.outcomes] == [None] * 3
    book = Book()
    with pytest.raises(LookupError) as raised:
        asyncio.run(DataFlow((failing,), instruments=[book]).run(items=range(1)))
    assert book.outcomes == [(0, raised.value)]
    book.check()


def test_a_call_that_is_out_of_time_has_failed_while_it_goes_on():
    from asyncdataflow.errors import StageTimeoutError

    go_on = threading.Event()

    def stuck(n):
        go_on.wait(20)

    book = Book()
    flow = DataFlow((stage(stuck, timeout=0.02, on_error="skip"), double), instruments=[book])

    async def main():
        async with flow.stream(items=range(1)) as run:
            async for _ in run:
                pass
            assert isinstance(book.steps[0].error, StageTimeoutError)
            go_on.set()

    asyncio.run(main())
    book.check()


def test_a_worker_process():
    book, results = ran((stage(process_functions.square, executor="process"), double))
    assert results == [0, 2, 8]
    assert book.told == [(name, 1, [n]) for name in ("double", "square") for n in range(3)]


def test_messages_that_are_not_followed_go_with_the_others():
    in_a_process = stage(process_functions.square, executor="process")
    for definition in [(double, thrice), (stage(thrice, concurrency=2),), (in_a_process,)]:
        book, results = ran(definition, items=range(20), follows=lambda n: n % 7 == 3)
        assert len(results) == 20
        assert {trace for each in book.steps for trace in each.traces} == {3, 10, 17}
    book, results = ran((batch(4), len), items=range(8), follows=lambda n: n in {2, 3})
    assert [each.traces for each in book.steps] == [[2, 3]]


def test_what_nobody_wants_is_told_of_too():
    book = Book()
    assert DataFlow((range(10_000), take(2)), instruments=[book])() == [0, 1]
    book.check()
    assert book.outcomes[:2] == [(0, None), (1, None)]
    assert {type(error).__name__ for _, error in book.outcomes[2:]} <= {"UnsettledError"}


def test_a_consumer_that_leaves_and_one_that_fails():
    async def main(error=None):
        book = Book()
        try:
            async with DataFlow((double,), instruments=[book]).stream(items=range(1000)) as run:
                async for _ in run:
                    if error is not None:
                        raise error
                    break
        except KeyError:
            pass
        book.check()
        return book.outcomes[0]

    assert asyncio.run(main()) == (0, None)
    error = KeyError()
    assert asyncio.run(main(error)) == (0, error)


@pytest.mark.parametrize("executor", ["loop", "thread"])
def test_a_source_that_is_a_function_and_fails(executor):
    """There is no item then."""

    def fails():
        raise KeyError("own")

    async def also():
        fails()

    def flow(**options):
        source = stage(fails if executor == "thread" else also, executor=executor, **options)
        return DataFlow((source, double), instruments=[Book()])

    for options in ({}, {"retry": Retry(attempts=2, backoff=0.001, jitter=0)}):
        with pytest.raises(KeyError, match="own"):
            flow(**options)()
    letters = []
    assert flow(on_error="skip")() == flow(on_error=dead_letter(letters.append))() == []
    assert [each.item for each in letters] == [None]


@pytest.mark.leaks("tasks", "generators", reason="asyncio.run itself ends what the open run has")
@pytest.mark.parametrize("when", ["at work", "with the loop", "after the loop"])
@pytest.mark.filterwarnings("ignore:a run of:ResourceWarning")
def test_a_run_that_is_dropped_ends_what_was_under_way(when):
    book, runs = Book(), []

    async def main():
        run = DataFlow((double,), instruments=[book]).stream(items=endless())
        await anext(run)
        if when == "at work":
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            del run
            gc.collect()
            await asyncio.wait(tasks)
        elif when == "after the loop":
            runs.append(run)

    async def endless():
        for number in itertools.count():
            yield number

    asyncio.run(main())
    runs.clear()
    book.check()


def test_an_item_lives_no_longer_than_without_instruments():
    class Given:
        pass

    class Counts(Book):
        def begin(self, flow, source, message):
            return 1

        def call(self, stage, attempt, traces):
            return None

    async def given():
        for _ in range(300):
            item = Given()
            living.add(item)
            yield item
            del item

    async def small(item):
        return 1

    async def none(items):
        async for _ in items:
            most.append(len(living))
        return
        yield

    living, most = weakref.WeakSet(), []
    count = stage(lambda lot: most.append(len(living)), executor="inline")
    for steps in [(stage(small, buffer=2), batch(100), count), (through(none, buffer=2),)]:
        DataFlow((given, *steps), instruments=[Counts()])()
        assert max(most) < 20
        most.clear()


def test_a_source_that_is_answered():
    queue = QueueSource("abc")
    book = Book()
    flow = DataFlow((queue, stage(str.upper, concurrency=2)), instruments=[book])
    assert flow() == ["A", "B", "C"]
    assert queue.acked == ["a", "b", "c"]
    book.check()
    assert [each[1] for each in book.begun] == ["QueueSource"] * 3


def test_origins_are_those_of_sources_that_are_answered():
    async def main():
        async with DataFlow((range(2), double), instruments=[Book()]).stream() as run:
            return [run.origins() async for _ in run]

    assert asyncio.run(main()) == [[], []]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_what_goes_with_an_item_to_another_program(chunk):
    sink = Told(chunk)
    ran((sink,), items=range(5), follows=lambda n: n != 2)
    assert sink.told == {n: {"trace": str(n)} if n != 2 else {} for n in range(5)}
    assert outgoing_headers() == {}


@pytest.mark.parametrize("chunk", [1, 3])
@pytest.mark.parametrize("instruments", [[], [Book(lambda n: n % 2)]])
def test_what_another_run_writes_within_a_function_does_not_go_with_its_item(chunk, instruments):
    sink = Told(chunk)

    async def writes(lot):
        await DataFlow((thrice, sink), instruments=instruments).run(items=[1, 2, 3])

    ran((batch(3), writes))
    assert sink.told == {n * 3: {"trace": str(n)} if instruments and n % 2 else {} for n in (1, 2, 3)}


def test_what_came_with_a_message():
    class Broker(AckableSource):
        @asynccontextmanager
        async def open(self, after=None):
            yield self

        async def __aiter__(self):
            yield Message("x", headers={"trace": "of somebody"})

        async def answer(self, answers):
            pass

    found = []

    class Reads(Book):
        def begin(self, flow, source, message):
            found.append(message.headers)

    DataFlow((Broker(), double), instruments=[Reads()])()
    assert found == [{"trace": "of somebody"}]


def test_a_call_is_known_to_come_from_its_caller():
    found = []

    class Reads(Book):
        def begin(self, flow, source, message):
            found.append((message.context.get(CURRENT), CURRENT.get()))

    async def main():
        async with DataFlow(double, instruments=[Reads()]).open() as run:
            CURRENT.set("caller")
            return await run.call(2)

    assert asyncio.run(main()) == 4
    assert found == [("caller", None)]


def test_every_way_to_run_has_them():
    book = Book()
    rejects = []
    flow = DataFlow(
        (iter([1]), stage(double, on_error=dead_letter(rejects.append))), instruments=[book], name="it"
    )

    async def main():
        await flow.serve(signals=False)
        async with flow.replay([{"stage": "double", "item": 2}]) as run:
            async for _ in run:
                pass
        async with DataFlow(double, instruments=[book]).open() as run:
            await run.call(3)

    asyncio.run(main())
    with DataFlow((range(4, 5), double), instruments=[book]).iterate() as run:
        list(run)
    overridden(DataFlow((range(5, 6), double), instruments=[book]), {"double": {"rate": 1000}})()
    assert [item for _, _, item in book.begun if not isinstance(item, dict)] == [1, 3, 4, 5]
    assert len(book.begun) == 5
    assert [each.stage for each in book.steps] == ["double"] * 5


def test_two_runs_at_once_share_nothing():
    book = Book()
    flow = DataFlow((stage(seen_on_the_loop, concurrency=4), thrice), instruments=[book])

    async def main():
        return await asyncio.gather(flow.run(items=range(50)), flow.run(items=range(100, 150)))

    asyncio.run(main())
    book.check()
    assert all(len(each.traces) == 1 for each in book.steps)
    assert Counter(each.traces[0] for each in book.steps) == dict.fromkeys((*range(50), *range(100, 150)), 2)


def test_several_instruments():
    first, second = Book(lambda n: n != 1), Book(lambda n: n != 2)
    DataFlow((range(3), double), instruments=[first, second])()
    assert [each.traces for each in first.steps] == [[0], [2]]
    assert [each.traces for each in second.steps] == [[0], [1]]
    for each in (first, second):
        each.check()


def test_what_is_no_instrument_is_refused():
    for wrong in (Book(), [Book], "x", 3):
        with pytest.raises(ValueError, match=r"asyncdataflow\.abc\.Instrument"):
            DataFlow(double, instruments=wrong)


def test_a_run_that_is_observed_has_its_marks():
    async def main():
        async with DataFlow((slowly, double), instruments=[Book(lambda n: False)]).stream() as run:
            async for _ in run:
                pass
            return run.stats()

    async def slowly():
        for n in range(5):
            await asyncio.sleep(0.011)
            yield n

    assert asyncio.run(main()).latency.count


def test_tries_are_counted_anew_in_another_stage():
    tries = Tries()
    assert [tries.next("a"), tries.next("a"), tries.next("b"), tries.next("a")] == [1, 2, 1, 1]
    assert Tries(2).next("a") == 3


def test_a_passage_of_nobody():
    given = Entrusted((1,), {}, [[]], Tries())
    with given.begin("stage") as passage, passage.current():
        assert isinstance(passage, Passage)
        assert outgoing_headers(0) == outgoing_headers(7) == {}


@pytest.mark.parametrize("seed", range(5))
def test_under_the_simulation(seed):
    """Every loop there is keeps its rules with an instrument, and it is told of all."""
    books = []

    def flow():
        books.append(Book(lambda n: n % 3 > 0))
        return DataFlow(
            (
                range(12),
                double,
                stage(thrice, concurrency=2),
                (stage(seen_on_the_loop, concurrency=3), stage(process_functions.same, executor="process")),
                batch(3),
                generated,
            ),
            instruments=[books[-1]],
        )

    simulate(flow, seeds=range(seed * 10, seed * 10 + 10)).raise_for_failures()
    for book in books:
        book.check()
