"""Resources: opened before the first worker, closed after the last, in reverse order (invariant 27)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.errors import DefinitionError, ParameterError


class Ledger(list):
    """What happened, in order, and resources that write there."""

    def plain(self, name, value=None):
        @contextmanager
        def make():
            self.append(f"open {name}")
            try:
                yield value or name
            except BaseException as error:
                self.append(f"{name} saw {type(error).__name__}")
                raise
            finally:
                self.append(f"close {name}")

        return make

    def asynchronous(self, name, value=None):
        @asynccontextmanager
        async def make():
            with self.plain(name, value)() as made:
                await asyncio.sleep(0)
                try:
                    yield made
                finally:
                    await asyncio.sleep(0)

        return make


@pytest.fixture
def ledger():
    return Ledger()


BOTH_KINDS = pytest.mark.parametrize("kind", ["plain", "asynchronous"])


async def numbers():
    for number in range(3):
        yield number


def user(ledger, name="worker"):
    async def use(item, *, first, second):
        ledger.append(f"{name} {item} with {first} and {second}")
        return item

    return use


@BOTH_KINDS
def test_resources_enclose_all_work_and_close_in_reverse_order(ledger, kind):
    make = getattr(ledger, kind)
    flow = DataFlow((numbers, user(ledger)), resources={"first": make("a"), "second": make("b")})
    assert flow() == [0, 1, 2]
    work = [f"worker {n} with a and b" for n in range(3)]
    assert ledger == ["open a", "open b", *work, "close b", "close a"]


@BOTH_KINDS
def test_each_run_has_its_own(ledger, kind):
    made = iter(range(10))
    flow = DataFlow(
        (numbers, user(ledger)),
        resources={"first": lambda: next(made), "second": getattr(ledger, kind)("b")},
    )

    async def main():
        return await asyncio.gather(flow.run(), flow.run())

    asyncio.run(main())
    flow()
    assert ledger.count("open b") == ledger.count("close b") == 3
    assert {f"worker 0 with {n} and b" for n in range(3)} <= set(ledger)


@pytest.mark.parametrize("leave", ["break", "raise", "cancel", "stop", "drain"])
@BOTH_KINDS
def test_they_close_after_the_last_worker_however_the_run_ends(ledger, kind, leave):
    async def endless():
        number = 0
        try:
            while True:
                yield (number := number + 1)
        finally:
            await asyncio.sleep(0)
            ledger.append("source ended")

    async def slow(item, *, db):
        try:
            return item
        finally:
            await asyncio.sleep(0)

    def in_thread(item, *, db):
        return item

    async def main():
        async with DataFlow(
            (endless, slow, in_thread), resources={"db": getattr(ledger, kind)("db")}
        ).stream() as run:
            async for result in run:
                if result == 5:
                    if leave == "break":
                        break
                    if leave == "raise":
                        raise KeyError(result)
                    if leave == "cancel":
                        asyncio.current_task().cancel()
                    getattr(run, leave, lambda: None)()

    expected = {"raise": KeyError, "cancel": asyncio.CancelledError}.get(leave)
    if expected is None:
        asyncio.run(main())
    else:
        with pytest.raises(expected):
            asyncio.run(main())
    assert ledger == ["open db", "source ended", "close db"]


@BOTH_KINDS
def test_a_resource_sees_the_failure_that_ended_the_run(ledger, kind):
    """A transaction's context rolls back on what it sees."""

    async def fails(item, *, db):
        raise LookupError(item)

    flow = DataFlow((numbers, fails), resources={"db": getattr(ledger, kind)("db")})
    with pytest.raises(LookupError):
        flow()
    assert ledger == ["open db", "db saw LookupError", "close db"]


@BOTH_KINDS
def test_a_resource_that_swallows_the_failure_does_not_hide_it(kind):
    async def fails(item, *, db):
        raise LookupError(item)

    @contextmanager
    def plain():
        with contextlib.suppress(LookupError):
            yield

    @asynccontextmanager
    async def asynchronous():
        with plain():
            yield

    flow = DataFlow((numbers, fails), resources={"db": locals()[kind]})
    with pytest.raises(LookupError):
        flow()


@BOTH_KINDS
def test_one_that_fails_to_open_closes_what_is_open_and_starts_no_worker(ledger, kind):
    @contextmanager
    def plain():
        raise ConnectionError("refused")
        yield

    @asynccontextmanager
    async def asynchronous():
        raise ConnectionError("refused")
        yield

    flow = DataFlow((numbers, user(ledger)), resources={"first": ledger.plain("a"), "second": locals()[kind]})
    with pytest.raises(ConnectionError, match="refused") as caught:
        flow()
    assert ledger == ["open a", "a saw ConnectionError", "close a"]
    assert any("second" in note for note in caught.value.__notes__)


@BOTH_KINDS
def test_one_that_fails_to_close_is_the_runs_failure_and_the_others_still_close(ledger, kind):
    @contextmanager
    def plain():
        yield "b"
        raise ConnectionError("lost")

    @asynccontextmanager
    async def asynchronous():
        yield "b"
        raise ConnectionError("lost")

    flow = DataFlow((numbers, user(ledger)), resources={"first": ledger.plain("a"), "second": locals()[kind]})
    with pytest.raises(ConnectionError, match="lost"):
        flow()
    assert ledger[-1] == "close a"


async def test_one_that_fails_to_close_after_a_failure_is_a_note_on_it():
    @asynccontextmanager
    async def breaks():
        try:
            yield
        finally:
            raise ConnectionError("lost")

    async def fails(item, *, db):
        raise LookupError(item)

    run = DataFlow((numbers, fails), resources={"db": breaks}).stream()
    with pytest.raises(LookupError) as caught:
        await anext(run)
    assert [type(each) for each in run.failures] == [LookupError, ConnectionError]
    assert any("lost" in note for note in caught.value.__notes__)


def test_synchronous_ones_are_made_opened_and_closed_in_one_thread_off_the_loop():
    """They may block, and may be bound to their thread."""
    threads = {}

    @contextmanager
    def connection():
        threads["open"] = threading.current_thread()
        try:
            yield
        finally:
            threads["close"] = threading.current_thread()

    def connect():
        threads["make"] = threading.current_thread()
        return connection()

    async def use(item, *, db):
        threads["loop"] = threading.current_thread()

    DataFlow((numbers, use), resources={"db": connect})()
    assert threads["make"] is threads["open"] is threads["close"]
    assert threads["loop"] is not threads["open"]


async def _later():
    await asyncio.sleep(0)
    return "value"


@pytest.mark.parametrize(
    "make",
    [lambda: "value", functools.partial(_later), _later],
    ids=["value", "partial of a coroutine function", "coroutine function"],
)
def test_a_callable_that_makes_no_context_manager_gives_its_value(make):
    async def use(item, *, db):
        return db

    assert DataFlow((numbers, use), resources={"db": make})() == ["value"] * 3


@pytest.mark.parametrize("value", [None, 0, "text", {"a": 1}, [1, 2]], ids=repr)
def test_anything_else_is_passed_as_it_stands(value):
    async def use(item, *, db):
        return db is value

    assert DataFlow((numbers, use), resources={"db": value})() == [True] * 3


def test_a_context_manager_that_is_no_callable_is_not_entered(ledger):
    already_made = threading.Lock()

    async def use(item, *, db):
        return db.locked()

    assert DataFlow((numbers, use), resources={"db": already_made})() == [False] * 3


@pytest.mark.parametrize("maker", ["function", "coroutine"])
def test_a_resource_takes_run_parameters_by_name(maker):
    def function(url, *, table="events"):
        return f"{url}/{table}"

    async def coroutine(url, *, table="events"):
        return f"{url}/{table}"

    async def use(item, *, db):
        return db

    flow = DataFlow((numbers, use), resources={"db": locals()[maker]})
    assert flow(url="a", table="b") == ["a/b"] * 3
    with pytest.raises(ParameterError, match="'url'"):
        flow()


def test_sources_and_threads_take_resources_too():
    def rows(db):
        yield from db

    def tagged(row, *, tag):
        return tag, row

    assert DataFlow((rows, tagged), resources={"db": [1, 2], "tag": "x"})() == [("x", 1), ("x", 2)]


def test_a_run_parameter_stands_before_a_resource():
    async def use(item, *, db):
        return db

    assert DataFlow((range(1), use), resources={"db": "pool"})(db="test double") == ["test double"]


class TestOfSplicedFlows:
    """A ``DataFlow`` is a step too: its graph is spliced in, with its resources."""

    def test_they_are_opened_and_closed_with_the_outer_ones(self, ledger):
        inner = DataFlow(stage(user(ledger, "inner"), name="inner"), resources={"first": ledger.plain("a")})
        outer = DataFlow(
            (numbers, inner, stage(user(ledger, "outer"), name="outer")),
            resources={"second": ledger.plain("b")},
        )
        assert outer() == [0, 1, 2]
        assert ledger.count("open a") == ledger.count("open b") == 1
        assert set(ledger[:2]) == {"open a", "open b"}
        opened = [each.removeprefix("open ") for each in ledger[:2]]
        assert ledger[-2:] == [f"close {name}" for name in reversed(opened)]

    def test_one_object_under_one_name_is_one_resource(self, ledger):
        make = ledger.plain("a")
        inner = DataFlow(stage(user(ledger), name="inner"), resources={"first": make, "second": 2})
        outer = DataFlow((numbers, inner), resources={"first": make})
        outer()
        assert ledger.count("open a") == 1

    def test_one_name_for_two_objects_is_refused(self, ledger):
        inner = DataFlow(stage(user(ledger), name="inner"), resources={"first": "a", "second": 2})
        with pytest.raises((DefinitionError, ParameterError), match="first"):
            DataFlow((numbers, inner), resources={"first": "b"})
        other = DataFlow(stage(user(ledger), name="other"), resources={"first": "b", "second": 2})
        with pytest.raises((DefinitionError, ParameterError), match="first"):
            DataFlow((numbers, inner, other))


@pytest.mark.parametrize("name", ["unused", "frist"])
def test_a_resource_that_nobody_takes_is_still_opened_and_closed(ledger, name):
    """Opening may be what it is for: a lock file, a metrics server."""
    DataFlow((numbers,), resources={name: ledger.plain(name)})()
    assert ledger == [f"open {name}", f"close {name}"]


def test_a_slow_close_is_not_cut_off_by_a_second_cancellation(ledger):
    @asynccontextmanager
    async def pool():
        yield
        for _ in range(10):
            await asyncio.sleep(0)
        ledger.append("closed")

    async def main():
        flow = DataFlow((numbers, user(ledger)), resources={"first": pool, "second": 2})

        async def consume():
            async with flow.stream() as run:
                await anext(run)

        for ticks in range(20):
            ledger.clear()
            task = asyncio.ensure_future(consume())
            for _ in range(5 + ticks):
                await asyncio.sleep(0)
            for _ in range(5):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait([task])
            assert "closed" in ledger or not [each for each in ledger if "worker" in each]

    asyncio.run(main())


async def an_async_generator():
    yield "pool"


def a_generator():
    yield "pool"


@pytest.mark.parametrize(
    ("make", "decorator"), [(an_async_generator, "asynccontextmanager"), (a_generator, "contextmanager")]
)
def test_a_generator_function_that_is_no_context_manager_is_refused(make, decorator):
    told = rf"resources\['db'\] \({make.__name__}\): .*decorate it with contextlib.{decorator}$"
    with pytest.raises(DefinitionError, match=told):
        DataFlow((numbers, str), resources={"db": make})
