"""Stop in awkward moments: it ends in time, nothing goes on, nothing is left open (invariants 25, 26)."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import types
from contextlib import asynccontextmanager, suppress

import pytest

from asyncdataflow import DataFlow, stage, take
from asyncdataflow.errors import ShutdownTimeoutError
from asyncdataflow.testing.virtual_clock import run_virtual

pytestmark = pytest.mark.usefixtures("both_ways")

DEADLINE = 20.0
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


async def numbers():
    number = 0
    while True:
        yield number
        number += 1


async def few():
    for number in range(3):
        yield number


async def double(item):
    return item * 2


async def using(item, *, db):
    return item


def now():
    return asyncio.get_running_loop().time()


async def turns(count=50):
    for _ in range(count):
        await asyncio.sleep(0)


async def collected(run):
    return [each async for each in run]


class TestAResourceThatHangs:
    """Behind a good end nobody counts the seconds; whoever stops the run sets a deadline."""

    async def closing_for_ever(self):
        @asynccontextmanager
        async def opened():
            yield "db"
            await asyncio.Event().wait()

        return opened()

    def run(self):
        return DataFlow((few, using), resources={"db": self.closing_for_ever}).stream()

    @pytest.mark.parametrize("how", ["stop", "drain and stop", "drain"])
    def test_stop_and_drain_end_it(self, how):
        async def main():
            run = self.run()
            consumer = asyncio.create_task(collected(run))
            await asyncio.sleep(10)
            assert not consumer.done()
            if "drain" in how:
                run.drain(timeout=1)
            if "stop" in how:
                run.stop(timeout=1)
            with pytest.raises(ShutdownTimeoutError):
                async with asyncio.timeout(1000):
                    await consumer
            return now()

        assert 11 <= run_virtual(main()) <= 20

    def test_leaving_ends_it(self):
        async def main():
            async with asyncio.timeout(1000):
                with pytest.raises(ShutdownTimeoutError, match="resources"):
                    async with self.run() as run:
                        await anext(run)
                        await asyncio.sleep(10)
            return now()

        assert run_virtual(main()) == 15

    def test_a_cancelled_consumer_ends_it(self):
        async def consume(run):
            async with run:
                return await collected(run)

        async def main():
            run = self.run()
            consumer = asyncio.create_task(consume(run))
            await asyncio.sleep(10)
            consumer.cancel()
            await asyncio.wait([consumer], timeout=1000)
            return consumer.cancelled(), run.state, now()

        assert run_virtual(main()) == (True, "failed", 15)

    def test_one_that_swallows_its_cancellation_while_it_opens(self):
        async def opening_for_ever():
            while not release.is_set():
                with suppress(asyncio.CancelledError):
                    await release.wait()

        async def main():
            run = DataFlow((few, using), resources={"db": opening_for_ever}).stream()
            consumer = asyncio.create_task(collected(run))
            await asyncio.sleep(10)
            run.stop(timeout=1)
            await asyncio.wait([consumer], timeout=100)
            ended = consumer.done()
            release.set()
            with pytest.raises(ShutdownTimeoutError):
                await consumer
            return ended

        release = asyncio.Event()
        assert run_virtual(main())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"concurrency": 3},
        {"concurrency": 3, "ordered": False},
        {"concurrency": 3, "key": lambda item: item % 2},
    ],
    ids=["one", "ordered", "unordered", "keyed"],
)
class TestAStageThatSwallowsItsCancellation:
    """It may finish what it has begun; it begins nothing more."""

    def stopped(self, work, options):
        """What was begun before and after the block was left, and how long leaving took."""
        begun = []

        async def counted(item):
            begun.append(item)
            return await work(item)

        async def main():
            async with DataFlow((numbers, stage(counted, **options))).stream() as run:
                await asyncio.sleep(1.25)
                before, since = len(begun), now()
            assert run.state == "ended"
            return len(begun) - before, now() - since

        return run_virtual(main())

    def test_by_hand(self, options):
        async def swallowing(item):
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                await asyncio.sleep(0.5)
            return item

        assert self.stopped(swallowing, options) == (0, 0.5)

    def test_by_a_timeout_that_has_just_cancelled_it(self, options):
        """The task is being cancelled already, but not by us: ours may not be lost in that."""

        async def timed(item):
            try:
                async with asyncio.timeout(1):
                    try:
                        await asyncio.sleep(100)
                    finally:
                        await asyncio.sleep(0.5)
            except TimeoutError:
                return item

        assert self.stopped(timed, options) == (0, 0)

    def test_by_a_task_group_that_has_just_failed(self, options):
        async def slow_to_clean_up():
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(0.5)

        async def fails():
            await asyncio.sleep(1)
            raise LookupError

        async def grouped(item):
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(slow_to_clean_up())
                    group.create_task(fails())
            except* LookupError:
                pass
            return item

        begun, seconds = self.stopped(grouped, options)
        assert begun == 0
        assert seconds <= 0.5


def test_a_source_that_swallows_its_cancellation_is_not_pulled_further():
    made = []

    async def swallowing():
        while True:
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                await asyncio.sleep(0.25)
            made.append(now())
            yield len(made)

    async def main():
        async with DataFlow((swallowing, double)).stream():
            await asyncio.sleep(1.25)
        return now()

    assert run_virtual(main()) == 1.5
    assert made == [0.5, 1.0, 1.5]


async def test_a_resource_that_a_thread_was_entering_is_left():
    """The thread cannot be stopped half-way; what it has entered is left there."""
    log = []
    enters, may_enter = threading.Event(), threading.Event()

    class Connection:
        def __enter__(self):
            enters.set()
            assert may_enter.wait(DEADLINE)
            log.append(("entered", threading.get_ident()))
            return self

        def __exit__(self, *_):
            log.append(("left", threading.get_ident()))

    async with DataFlow((few, using), resources={"db": Connection}).stream() as run:
        assert await asyncio.to_thread(enters.wait, DEADLINE)
        run.stop()
        await turns()
        may_enter.set()
    assert [word for word, _ in log] == ["entered", "left"]
    assert len({thread for _, thread in log}) == 1
    assert (run.state, run.failures) == ("ended", [])


@types.coroutine
def _from_first_wait(coroutine, waits_for):
    """The rest of a coroutine that has been run up to its first wait."""
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:  # noqa: BLE001 - thrown on
            step, value = coroutine.throw, error
        else:
            step, value = coroutine.send, sent
        try:
            waits_for = step(value)
        except StopIteration as end:
            return end.value


async def _ended(value):
    return value


def eager(loop, coroutine, **options):
    """A task factory that runs a task at once up to its first wait, as ``asyncio.eager_task_factory``."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        return asyncio.Task(_ended(end.value), loop=loop, **options)
    return asyncio.Task(_from_first_wait(coroutine, waits_for), loop=loop, **options)


FACTORIES = {"emulated": eager, "asyncio": getattr(asyncio, "eager_task_factory", None)}


@pytest.mark.parametrize("factory", [name for name, each in FACTORIES.items() if each is not None])
def test_a_resource_that_fails_at_once_in_an_eager_task_is_told(factory):
    async def fails():
        raise LookupError("resource")

    async def main():
        asyncio.get_running_loop().set_task_factory(FACTORIES[factory])
        run = DataFlow((few, using), resources={"db": fails}).stream()
        with pytest.raises(LookupError, match="resource"):
            async with asyncio.timeout(100), run:
                await anext(run)
        return run.state

    assert run_virtual(main()) == "failed"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has no eager tasks yet")
def test_eager_tasks_change_no_result():
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await DataFlow((numbers, take(3), (double, stage(double, concurrency=3)))).run()

    assert sorted(run_virtual(main())) == [0, 0, 2, 2, 4, 4]


@pytest.mark.parametrize("how", ["drain", "stop"])
def test_a_stage_that_ends_the_run_before_its_start_has_returned_is_heard(how):
    runs = []

    async def numbers():
        for number in range(1_000_000):
            if number == 3:
                getattr(runs[0], how)()
            yield number

    async def main():
        asyncio.get_running_loop().set_task_factory(FACTORIES["asyncio"] or eager)
        runs.append(DataFlow((numbers, double)).stream())
        async with runs[0] as run:
            return run.state, [each async for each in run]

    state, results = run_virtual(main())
    assert state == ("draining" if how == "drain" else "stopping")
    # What lay there already is delivered, and no more is made than an edge holds.
    assert results == [2 * number for number in range(len(results))]
    assert len(results) < 1_000


def endless(ended):
    async def zeros():
        try:
            while True:
                yield 0
                await asyncio.sleep(0)
        finally:
            ended.set()

    return zeros


@pytest.mark.filterwarnings("error::ResourceWarning")
class TestDroppedWhereWarningsAreErrors:
    """The warning cannot be raised out of a finalizer; the run ends for all that."""

    @pytest.fixture
    def unraisable(self, monkeypatch):
        caught = []
        monkeypatch.setattr(sys, "unraisablehook", lambda told: caught.append(told.exc_type))
        return caught

    async def test_a_run(self, unraisable):
        ended = asyncio.Event()
        run = DataFlow((endless(ended), double)).stream()
        assert await anext(run) == 0
        del run
        gc.collect()
        async with asyncio.timeout(DEADLINE):
            await ended.wait()
        await turns()
        assert unraisable == [ResourceWarning]

    def test_an_iteration(self, unraisable):
        ended = threading.Event()
        results = DataFlow((endless(ended), double)).iterate()
        assert next(results) == 0
        (thread,) = [each for each in threading.enumerate() if each.name == "asyncdataflow iterate"]
        del results
        gc.collect()
        assert ended.wait(DEADLINE)
        thread.join(DEADLINE)
        assert unraisable == [ResourceWarning]


@pytest.mark.leaks("tasks", "generators", reason="asyncio.run itself ends what the open run has")
def test_asyncio_run_on_its_way_out_makes_no_failure():
    """It cancels everything, workers before the runner: that is an end and not a fault of the flow."""
    runs = []

    async def ticking():
        async for number in numbers():
            yield number

    async def slow(item):
        await asyncio.sleep(0.001)
        return item

    async def main():
        run = DataFlow((ticking, slow, double, slow)).stream()
        runs.append(run)
        assert await anext(run) == 0

    for _ in range(10):
        asyncio.run(main())
    assert [(run.state, run.failures) for run in runs] == [("ended", [])] * 10


@pytest.mark.leaks("tasks", reason="the loop is to end around them")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has no eager tasks yet")
def test_a_loop_that_ends_around_a_run_of_eager_tasks_has_cancelled_nothing_that_is_an_error():
    """Which task is the run's own has to be known although it runs before it is known to anybody."""
    runs = []

    async def waits(number):
        await asyncio.Event().wait()

    async def consume():
        async with runs[0] as run:
            await run.wait()

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        runs.append(DataFlow((few, waits)).stream())
        consumer = asyncio.create_task(consume())
        for _ in range(10):
            await asyncio.sleep(0)
        return consumer

    asyncio.run(main())
    assert runs[0].failures == []
