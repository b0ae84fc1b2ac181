"""Flows with stages in worker processes: what they are given, what they lose, what is left of them."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading

import psutil
import pytest

from asyncdataflow import DataFlow, Retry, stage
from asyncdataflow.errors import (
    ArgumentsError,
    DefinitionError,
    ItemError,
    StageTimeoutError,
    WorkerLostError,
)
from tests import process_functions as there

pytestmark = pytest.mark.usefixtures("light_processes")


def in_process(function, **options):
    return stage(function, executor="process", **options)


async def appeared(path):
    """What another process does can only be looked for."""
    while not path.exists():
        await asyncio.sleep(0.001)


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def scale(self, item):
        return item * self.factor


def times(item, *, factor, offset=0):
    return item * factor + offset


@pytest.mark.parametrize("executor", ["thread", "process"])
@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_users_exception_is_retried_and_caught_wherever_it_was_raised(
    executor, concurrency, tmp_path
):
    path = tmp_path / "attempts"
    options = {"executor": executor, "concurrency": concurrency}
    again = Retry(3, backoff=0.001, on=there.TwoArgumentsError)
    failing = stage(functools.partial(there.throw_code, path), name="ask", retry=again, **options)
    with pytest.raises(there.TwoArgumentsError) as caught:
        await DataFlow((failing,)).run(items=[7])
    assert caught.value.code == 7
    assert path.read_text() == "7\n" * 3
    assert any("attempt 3 of 3" in note for note in caught.value.__notes__)


class TestWhatRuns:
    @pytest.mark.parametrize("concurrency", [1, 3])
    @pytest.mark.parametrize("ordered", [True, False])
    async def test_results_are_those_of_the_function(self, concurrency, ordered):
        flow = DataFlow((range(30), in_process(there.with_pid, concurrency=concurrency, ordered=ordered)))
        results = await flow.run()
        assert sorted(item for item, _ in results) == list(range(30))
        if ordered:
            assert [item for item, _ in results] == list(range(30))
        pids = {pid for _, pid in results}
        assert os.getpid() not in pids
        assert len(pids) <= concurrency

    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            (there.decorated, [1, 2, 3]),
            (there.decorated.fn, [1, 2, 3]),
            (Scaled(3).scale, [0, 3, 6]),
            (functools.partial(pow, 2), [1, 2, 4]),
            (abs, [0, 1, 2]),
        ],
        ids=["@stage", "the function under @stage", "method", "partial", "builtin"],
    )
    async def test_whatever_can_be_imported(self, function, expected):
        assert await DataFlow((range(3), in_process(function))).run() == expected

    async def test_parameters_resources_and_what_each_process_has_of_its_own(self):
        flow = DataFlow(
            (range(3), in_process(times), in_process(there.with_own, per_worker={"own": there.Own})),
            resources={"offset": 100},
        )
        results = await flow.run({"factor": 2})
        assert [item for item, _, _ in results] == [100, 102, 104]
        assert all(own == pid for _, own, pid in results)

    async def test_generators_as_source_and_as_stage(self):
        flow = DataFlow((in_process(there.decorated_source.fn), in_process(there.count_to)))
        assert await flow.run({"limit": 4}) == [0, 0, 1, 0, 1, 2]

    async def test_a_resource_that_cannot_travel_is_refused_when_the_run_starts(self):
        flow = DataFlow((range(3), in_process(times)), resources={"factor": threading.Lock()})
        with pytest.raises(ArgumentsError, match=r"definition\[1\] \(times\).*per_worker="):
            await flow.run()

    @pytest.mark.parametrize(
        ("function", "why"),
        [
            (lambda item: item, "this is a lambda"),
            (functools.partial(max, key=lambda item: item), "cannot be pickled"),
            (functools.partial(lambda item, by: item, by=1), "this is a lambda"),
        ],
    )
    def test_what_cannot_be_imported_is_refused_at_construction(self, function, why):
        """Invariant 66: with the element's place and name, before anything is started."""

        def closure(item):
            return function(item)

        with pytest.raises(DefinitionError, match=rf"definition\[1\] \(bad\).*{why}.*module level"):
            DataFlow((range(3), in_process(function, name="bad")))
        with pytest.raises(DefinitionError, match=r"definition\[1\] \(closure\).*inside another function"):
            DataFlow((range(3), in_process(closure)))
        with pytest.raises(DefinitionError, match=r"definition\[1\] \(with_own\).*this is a lambda"):
            DataFlow((range(3), in_process(there.with_own, per_worker={"own": lambda: function})))


class TestErrors:
    @pytest.mark.parametrize("executor", ["thread", "process"])
    async def test_the_consumer_gets_that_exception_itself(self, executor):
        """Invariants 34 and 38, whatever the stage runs in."""
        for error in (ValueError, ConnectionError, SystemExit):
            source = [("same", 1), ("throw", error, "text")]
            with pytest.raises(error, match="text") as caught:
                await DataFlow((iter(source), stage(_perform, executor=executor))).run()
            if issubclass(error, Exception):
                assert any("definition[1]" in note for note in caught.value.__notes__)

    async def test_an_item_that_cannot_travel_is_alone_in_failing(self):
        """Invariant 43."""
        bad = [
            ("make", there.Unpicklable),
            ("make", there.Unloadable),
            ("same", there.Unpicklable()),
            ("same", there.Unloadable()),
            ("throw", there.TwoArgumentsError, 1, "x"),
            ("throw", there.UnpicklableError),
            ("generator",),
        ]
        items = [entry for each in bad for entry in (("pid",), each)] + [("pid",)]
        flow = DataFlow((iter(items), in_process(_perform, on_error="skip")))
        async with flow.stream() as run:
            pids = [result async for result in run]
            stats = run.stats().stages["_perform"]
        assert len(pids) == len(bad) + 1
        assert len(set(pids)) == 1
        assert stats.skipped == len(bad)


def _perform(command):
    return there.perform(*command)


class TestLoss:
    """Invariant 65."""

    async def test_an_item_whose_process_dies_is_sent_again_and_no_other(self, tmp_path):
        items = [("same", n) for n in range(20)]
        items[7] = ("die_once", tmp_path / "mark")
        expected = [n if n != 7 else "alive" for n in range(20)]
        assert await DataFlow((iter(items), in_process(_perform, concurrency=2))).run() == expected

    async def test_an_item_that_kills_two_fails_alone(self):
        items = [("same", 0), ("die", signal.SIGSEGV), ("same", 2)]
        assert await DataFlow((iter(items), in_process(_perform, on_error="skip"))).run() == [0, 2]
        with pytest.raises(WorkerLostError, match="by SIGSEGV") as caught:
            await DataFlow((iter(items), in_process(_perform))).run()
        assert isinstance(caught.value, ItemError)
        assert any("definition[1]" in note for note in caught.value.__notes__)

    async def test_without_redelivery_a_retry_may_still_be_asked_for(self, tmp_path):
        items = [("die_once", tmp_path / "a")]
        with pytest.raises(WorkerLostError, match="not sent again"):
            await DataFlow((iter(items), in_process(_perform, redeliver=False))).run()
        items = [("die_once", tmp_path / "b")]
        retrying = in_process(_perform, redeliver=False, retry=Retry(attempts=2, backoff=0))
        assert await DataFlow((iter(items), retrying)).run() == ["alive"]

    @pytest.mark.parametrize("make", [there.die, there.raise_value_error])
    async def test_a_process_that_cannot_be_set_up_ends_the_run(self, make):
        flow = DataFlow((range(5), in_process(there.with_own, per_worker={"own": make}, on_error="skip")))
        with pytest.raises(WorkerLostError if make is there.die else ValueError) as caught:
            await flow.run()
        assert any("definition[1]" in note for note in caught.value.__notes__)

    async def test_a_clean_up_that_fails_there_is_told(self):
        """Invariant 37."""
        flow = DataFlow((range(2), in_process(there.with_own, per_worker={"own": there.FailsOnLeaving})))
        with pytest.raises(OSError, match="disk full"):
            await flow.run()


class TestEnding:
    async def test_out_of_time_the_process_is_replaced(self):
        flow = DataFlow(
            (
                iter([("pid",), ("wait_for_ever",), ("pid",)]),
                in_process(_perform, timeout=1.0, on_error="skip"),
            )
        )
        first, second = await flow.run()
        assert first != second
        assert not psutil.pid_exists(first)
        with pytest.raises(StageTimeoutError):
            await DataFlow((iter([("wait_for_ever",)]), in_process(_perform, timeout=0.01))).run()

    @pytest.mark.parametrize("way", ["leave", "cancel", "fail"])
    async def test_left_in_the_middle_of_a_call_the_process_is_ended(self, way, tmp_path):
        path = tmp_path / "begun"
        items = [("pid",), ("say_and_wait", path), ("pid",)]

        async def consume():
            async with DataFlow((iter(items), in_process(_perform))).stream() as run:
                pids.append(await anext(run))
                await appeared(path)
                if way == "cancel":
                    asyncio.current_task().cancel()
                    await asyncio.sleep(0)
                if way == "fail":
                    raise ValueError("of the consumer")

        pids = []
        consuming = asyncio.create_task(consume())
        await asyncio.wait([consuming])
        assert consuming.cancelled() == (way == "cancel")
        assert consuming.cancelled() or (consuming.exception() is None) == (way == "leave")
        assert not psutil.pid_exists(pids[0])

    async def test_left_early_a_generator_is_closed_there(self, tmp_path):
        path = tmp_path / "closed"
        flow = DataFlow((in_process(there.count_to),))
        async with flow.stream({"last": 1_000_000, "closed": path}) as run:
            assert [await anext(run), await anext(run)] == [0, 1]
            assert not path.exists()
        assert path.exists()

    async def test_left_while_it_is_being_started(self):
        """Nobody waits for a process that has no item yet."""
        flow = DataFlow((range(5), in_process(there.same, concurrency=2)))
        for ticks in range(0, 200, 20):
            async with flow.stream() as run:
                for _ in range(ticks):
                    await asyncio.sleep(0)
            assert run.failures == []

    async def test_drained_nothing_that_was_taken_is_lost(self):
        taken = []

        def source():
            for number in range(10_000):
                taken.append(number)
                yield number

        results = []
        async with DataFlow((source, in_process(there.same, concurrency=2))).stream() as run:
            async for result in run:
                results.append(result)
                if len(results) == 20:
                    run.drain()
        assert results == taken
        assert len(taken) < 10_000

    async def test_runs_side_by_side_have_processes_of_their_own(self):
        flow = DataFlow((range(3), in_process(there.with_pid)))
        pids = [{pid for _, pid in results} for results in await asyncio.gather(flow.run(), flow.run())]
        assert not pids[0] & pids[1]
