"""What simulate() says of a flow: what is checked without being asked, and how it is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import DataFlow, Source, batch, dead_letter, merge, stage
from asyncdataflow._runtime.worker import Work
from asyncdataflow._threads.job import LaneIterator
from asyncdataflow.connectors.durable import Durable
from asyncdataflow.connectors.json_lines import JsonLinesSink, JsonLinesSource
from asyncdataflow.connectors.own_thread import OwnThread
from asyncdataflow.connectors.sqlite import SqliteTransactionalSink
from asyncdataflow.errors import BrokenRuleError, DeadlockError, EndOfChannel, LivelockError
from asyncdataflow.operators.accumulate import Batch
from asyncdataflow.operators.combine import Merge
from asyncdataflow.testing import CollectSink, Faults, simulate
from tests.testing.simulated_flows import COUNT, chain, generators, mixed, numbers, slowly, threads


def racy():
    """Two workers look, wait, and then write what they saw."""
    total = {"sum": 0}

    async def add(n):
        before = total["sum"]
        if n:
            await asyncio.sleep(0)
        total["sum"] = before + n
        return total["sum"]

    return DataFlow((numbers, stage(add, concurrency=2)))


def the_sum_is_right(results):
    assert max(results) == sum(range(COUNT))


def test_a_race_that_a_test_never_sees_is_found():
    async def patient(n):
        await asyncio.sleep(0)
        return n

    def make():
        """Safe in the one order that asyncio takes, and in no other."""
        order = []

        async def first(n):
            await asyncio.sleep(0)
            order.append(("first", n))

        async def second(n):
            await asyncio.sleep(0)
            order.append(("second", n))
            return order

        return DataFlow((numbers, patient, (first, second)))

    def alternating(results):
        assert [name for name, _ in results[-1]] == ["first", "second"] * COUNT

    results = asyncio.run(make().run())
    alternating(results)
    report = simulate(make, check=alternating, seeds=50)
    assert not report.passed


def test_the_report_names_the_line_that_reruns_the_seed_and_tells_the_steps():
    report = simulate(racy, check=the_sum_is_right, seeds=50)
    first = report.failures[0]
    assert first.rerun == f"simulate(racy, check=the_sum_is_right, seeds=[{first.where.split()[1]}])"
    assert f"{first.where} failed; run it again with {first.rerun}" in str(report)
    again = eval(first.rerun)
    assert str(again.failures[0]) == str(first)
    assert any("add begins 3" in line for line in first.trace)
    assert any("of 128" in line for line in first.trace)
    with pytest.raises(BrokenRuleError, match="run it again with") as raised:
        report.raise_for_failures()
    assert isinstance(raised.value.__cause__, AssertionError)
    assert isinstance(raised.value, AssertionError)


def test_faults_are_part_of_that_line():
    report = simulate(racy, check=the_sum_is_right, seeds=[3], faults=Faults(slow=0.5))
    assert report.failures[0].rerun == (
        "simulate(racy, check=the_sum_is_right, seeds=[3], faults=Faults(slow=0.5))"
    )


def test_the_same_call_gives_the_same_report():
    assert simulate(mixed, seeds=10, faults=Faults.every()) == simulate(
        mixed, seeds=10, faults=Faults.every()
    )


@pytest.mark.parametrize(
    ("verdict", "passed"), [(None, True), (True, True), (0, True), (False, False)], ids=repr
)
def test_a_claim_may_return_false(verdict, passed):
    assert simulate(chain, check=lambda _: verdict, seeds=2).passed is passed


def test_a_claim_sees_what_run_gives():
    seen = []
    simulate(lambda: DataFlow((lambda: 3, {"a": slowly, "b": slowly})), check=seen.append, seeds=1)
    assert seen == [{"a": 3, "b": 3}]


def test_parameters_are_passed_on():
    async def up_to(limit):
        for n in range(limit):
            yield n

    seen = []
    simulate(lambda: DataFlow((up_to, slowly)), {"limit": 2}, check=seen.append, seeds=1).raise_for_failures()
    assert seen == [[0, 1]]


def test_an_error_of_the_flow_itself_is_a_failure():
    async def fails(n):
        raise LookupError(n)

    report = simulate(lambda: DataFlow((numbers, fails)), seeds=3)
    assert [type(each.error) for each in report.failures] == [LookupError] * 3
    assert "in stage fails (definition[1])" in str(report)


def test_it_stops_when_there_is_nothing_more_to_learn():
    async def fails(n):
        raise LookupError(n)

    assert simulate(lambda: DataFlow((numbers, fails)), seeds=500).runs == 10


@pytest.mark.leaks("tasks", reason="tasks that never end are the point")
class TestWhatIsChecked:
    def test_nothing_can_ever_run(self):
        async def stuck(n):
            await asyncio.Event().wait()

        report = simulate(lambda: DataFlow((numbers, stuck)), seeds=1)
        (failure,) = report.failures
        assert isinstance(failure.error, DeadlockError)
        assert "stuck (test_simulate.py:" in str(failure.error)
        assert not any("CancelledError" in line for line in failure.trace)

    def test_it_comes_to_no_end(self):
        async def circles(n):
            while True:
                await asyncio.sleep(1)

        (failure,) = simulate(lambda: DataFlow((numbers, circles)), seeds=1, most_turns=2000).failures
        assert isinstance(failure.error, LivelockError)
        assert "most_turns=" in str(failure.error)

    def test_a_task_is_left(self):
        async def leaves(n):
            self.task = asyncio.create_task(asyncio.sleep(10))

        (failure,) = simulate(lambda: DataFlow((numbers, leaves)), seeds=1).failures
        assert isinstance(failure.error, BrokenRuleError)
        assert "a task is left" in str(failure.error)


@pytest.mark.leaks("generators", reason="a generator that nobody closes is the point")
def test_a_generator_that_is_left_is_found():
    kept = []

    async def endless():
        while True:
            yield 1

    async def leaves(n):
        kept.append(endless())
        await anext(kept[-1])

    (failure,) = simulate(lambda: DataFlow((numbers, leaves)), seeds=1).failures
    assert "endless" in str(failure.error)
    kept.clear()
    gc.collect()


@pytest.mark.leaks("tasks", reason="nobody waits for the end of a run that is dropped")
def test_a_run_that_is_dropped_is_found():
    async def drops(n):
        inner = chain().stream()
        await anext(inner)

    (failure,) = simulate(lambda: DataFlow((numbers, drops)), seeds=1).failures
    assert "was dropped while it worked" in str(failure.error)


@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_coroutine_that_is_never_awaited_is_found():
    async def forgets(n):
        slowly(n)

    (failure,) = simulate(lambda: DataFlow((numbers, forgets)), seeds=1).failures
    assert "never awaited" in str(failure.error)


def test_an_exception_that_nobody_retrieves_is_found():
    async def fails():
        raise LookupError

    async def forgets(n):
        task = asyncio.create_task(fails())
        await asyncio.wait([task])

    (failure,) = simulate(lambda: DataFlow((numbers, forgets)), seeds=1).failures
    assert "never retrieved" in str(failure.error)


def test_other_warnings_still_come_out():
    async def warns(n):
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with pytest.warns(DeprecationWarning, match="old"):
        simulate(lambda: DataFlow((numbers, warns)), seeds=1)


def test_what_the_library_logs_meanwhile_is_in_the_trace_only(caplog):
    async def fails(n):
        raise LookupError(n)

    async def fails_to_clean_up():
        try:
            yield 1
            await asyncio.sleep(10)
        finally:
            raise OSError("not closed")

    with caplog.at_level(logging.DEBUG):
        report = simulate(lambda: DataFlow((fails_to_clean_up, fails)), seeds=1)
    assert not [each for each in caplog.records if each.name == "asyncdataflow"]
    assert any("logged: " in line for line in report.failures[0].trace)


def test_draws_of_the_flow_come_from_the_seed_and_leave_others_alone():
    async def draws(n):
        return random.random()

    seen = []
    random.seed(1)
    state = random.getstate()
    for _ in range(2):
        simulate(lambda: DataFlow((numbers, draws)), check=seen.append, seeds=[1, 2])
    assert random.getstate() == state
    assert seen[0] == seen[2] != seen[1] == seen[3]


def test_what_the_seed_does_not_govern_is_said():
    runs = []

    def make():
        runs.append(1)
        return chain()

    def holds_from_the_second_time(results):
        assert len(runs) > 1

    report = simulate(make, check=holds_from_the_second_time, seeds=1)
    assert "not governed by the seed" in str(report)


def test_nested_flows_are_simulated_too():
    async def runs_another(n):
        results = await mixed().run()
        return len(results)

    report = simulate(lambda: DataFlow((numbers, stage(runs_another, concurrency=3))), seeds=3)
    assert report.raise_for_failures().runs == 3


@pytest.mark.parametrize("make", [chain(), 3, lambda: 3], ids=["a flow", "no function", "returns no flow"])
def test_what_builds_no_flow_is_refused(make):
    with pytest.raises(TypeError, match=r"simulate\(lambda: DataFlow|not a DataFlow"):
        simulate(make)


async def test_on_a_running_loop_it_is_refused():
    with pytest.raises(RuntimeError, match="call it from a plain function"):
        simulate(chain)


@pytest.mark.leaks("tasks", reason="Ctrl-C comes in the middle")
def test_ctrl_c_comes_out():
    async def interrupted(n):
        if n == 3:
            os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        simulate(lambda: DataFlow((numbers, interrupted)), seeds=3)


@pytest.mark.parametrize(
    "lose",
    ["lost", "doubled"],
)
def test_what_the_runtime_loses_or_doubles_is_found_without_a_claim(lose, monkeypatch):
    """Of an ordinary run, that came to its end."""
    monkeypatch.setattr(Work, "watched_source", lambda self, lay: MISTAKES[lose](lay))
    (failure, *_) = simulate(lambda: DataFlow((numbers, slowly)), seeds=1).failures
    assert isinstance(failure.error, BrokenRuleError)


def drops_an_item_of_the_source(lay):
    return lambda item: None if item == 5 else lay(item)


def sends_an_item_twice(lay):
    return lambda item: [lay(item) for _ in range(1 + (item == 5))]


MISTAKES = {"lost": drops_an_item_of_the_source, "doubled": sends_an_item_twice}


def test_a_merge_that_loses_an_item_is_found(monkeypatch):
    async def run(self, inlets, emit, apply):
        with contextlib.suppress(EndOfChannel):
            while True:
                item = await inlets[0].receive()
                if item != 5:
                    await emit(item)

    monkeypatch.setattr(Merge, "run", run)
    report = simulate(lambda: DataFlow(((numbers, numbers), merge(), slowly)), seeds=1)
    assert isinstance(report.failures[0].error, BrokenRuleError)


class TestNoFalseAlarm:
    """Correct code, of which asyncio's own guarantees are relied on."""

    def passes(self, *steps, faults=None, seeds=20):
        simulate(lambda: DataFlow((numbers, *steps)), seeds=seeds, faults=faults).raise_for_failures()

    def test_a_callback_of_a_task_comes_before_whoever_awaits_it(self):
        async def waits(n):
            live = set()
            task = asyncio.create_task(asyncio.sleep(0.1))
            live.add(task)
            task.add_done_callback(live.discard)
            await task
            assert not live

        self.passes(stage(waits, concurrency=3))

    @pytest.mark.parametrize(
        "faults", [Faults(leaves=1.0), Faults(stops=1.0), Faults(drains=1.0), Faults.every(0.1)], ids=repr
    )
    def test_a_thread_of_to_thread_may_run_to_its_end(self, faults):
        async def sleeps(n):
            await asyncio.to_thread(time.sleep, 0.3)

        self.passes(stage(sleeps, concurrency=3), faults=faults)

    def test_an_executor_of_one_is_always_the_same_thread(self):
        executor = ThreadPoolExecutor(1)
        seen = set()

        async def asks(n):
            seen.add(await asyncio.get_running_loop().run_in_executor(executor, threading.current_thread))

        self.passes(stage(asks, concurrency=3), seeds=1)
        assert len(seen) == 1

    def test_a_run_inside_a_stage_is_not_drained(self):
        async def runs_another(n):
            (result,) = await DataFlow((slowly,)).run(items=[n])
            return result

        self.passes(runs_another, faults=Faults(drains=1.0), seeds=40)

    def test_wait_for_is_not_broken_as_nothing_real_breaks_it(self):
        async def waits(n):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(slowly(n), 0.015)

        self.passes(stage(waits, on_error="skip"), faults=Faults(raises=0.1, only=("waits",)), seeds=40)

    def test_names_may_have_braces(self):
        report = simulate(lambda: DataFlow((numbers, stage(slowly, name="{a} {0}"))), check=any, seeds=1)
        assert report.passed
        told = simulate(
            lambda: DataFlow((numbers, stage(slowly, name="{a} {0}"))), check=lambda _: False, seeds=1
        )
        assert any("{a} {0} begins 3" in line for line in told.failures[0].trace)


def test_a_claim_that_is_async_is_refused():
    async def claim(results):
        raise AssertionError

    with pytest.raises(TypeError, match="claim: a plain function is needed"):
        simulate(chain, check=claim)


def test_all_that_was_given_is_in_the_line_that_reruns():
    async def up_to(limit):
        for n in range(limit):
            yield n

    def make():
        return DataFlow((up_to, slowly))

    report = simulate(make, {"limit": 2}, check=lambda _: False, seeds=1, most_turns=5000)
    assert report.failures[0].rerun == (
        "simulate(make, {'limit': 2}, check=lambda, seeds=[0], most_turns=5000)"
    )


@pytest.mark.parametrize("seeds", ["12", [1.5], True, None, 0, []], ids=repr)
def test_seeds_that_are_none_are_refused(seeds):
    with pytest.raises((TypeError, ValueError), match=r"simulate\(seeds="):
        simulate(chain, seeds=seeds)


def test_pytest_fail_is_a_verdict_on_a_seed_and_skip_is_not():
    (failure,) = simulate(chain, check=lambda _: pytest.fail("not so"), seeds=1).failures
    assert "not so" in str(failure)
    with pytest.raises(pytest.skip.Exception):
        simulate(chain, check=lambda _: pytest.skip("later"), seeds=1)


@pytest.mark.leaks("tasks", "threads", reason="what stands still is the point")
def test_a_deadlock_tells_which_edge_is_full_and_what_no_seed_governs():
    end = threading.Event()

    async def waits_for_a_thread(n):
        loop = asyncio.get_running_loop()
        threading.Thread(target=end.wait, name="the poller", daemon=True).start()
        await loop.create_future()

    (failure,) = simulate(lambda: DataFlow((numbers, stage(waits_for_a_thread, buffer=1))), seeds=1).failures
    end.set()
    told = str(failure.error)
    assert "the edge into waits_for_a_thread is full (1 of 1): 1 wait to send" in told
    assert "the poller: a thread that no simulation governs" in told
    assert "Simulation" not in told


class Remote(Source):
    """As a connector whose server says nothing."""

    __module__ = "asyncdataflow.connectors.remote"

    @asynccontextmanager
    async def open(self):
        await asyncio.get_running_loop().create_future()
        yield


@pytest.mark.leaks("tasks", "threads", reason="what stands still is the point")
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda path: DataFlow((numbers, JsonLinesSink(path))),
            "definition[1] (JsonLinesSink) has a thread or socket of its own, which no simulation governs: "
            "put asyncdataflow.testing.CollectSink() in place of the connector",
        ),
        (
            lambda path: DataFlow((numbers, stage(slowly, on_error=dead_letter(JsonLinesSink(path))))),
            "definition[1].on_error (JsonLinesSink) has a thread",
        ),
        (
            lambda path: DataFlow((JsonLinesSource(path), SqliteTransactionalSink(path, "numbers"))),
            "definition[1] (SqliteTransactionalSink) has a thread",
        ),
        (
            lambda path: DataFlow((JsonLinesSource(path), slowly)),
            "put asyncdataflow.testing.QueueSource(items) in place of",
        ),
        (lambda _: DataFlow((Remote(), slowly)), "put asyncdataflow.testing.FeedSource(items) in place of"),
        (
            lambda path: DataFlow((numbers, stage(slowly, buffer=Durable(path)))),
            "give the stage a buffer= that is no Durable",
        ),
    ],
)
def test_a_deadlock_names_the_connectors_and_what_to_put_in_their_place(make, told, tmp_path, monkeypatch):
    # How soon a real thread answers is nobody's to say: this one never does.
    monkeypatch.setattr(OwnThread, "begin", lambda *_, **__: asyncio.get_running_loop().create_future())
    (failure,) = simulate(lambda: make(tmp_path / "file"), seeds=1).failures
    assert isinstance(failure.error, DeadlockError)
    assert told in str(failure.error)


@pytest.mark.leaks("tasks", reason="what stands still is the point")
def test_a_deadlock_without_a_connector_names_none():
    async def waits(n):
        await asyncio.get_running_loop().create_future()

    (failure,) = simulate(lambda: DataFlow((numbers, waits, CollectSink())), seeds=1).failures
    assert "in place of the connector" not in str(failure.error)


def test_a_source_that_always_gives_items_again_comes_to_its_end():
    for faults in (Faults(redelivers=1.0), Faults(reconnects=1.0)):
        simulate(chain, seeds=2, faults=faults).raise_for_failures()


def test_a_key_is_asked_for_once():
    asked = []

    def make():
        return DataFlow((numbers, stage(slowly, concurrency=3, key=lambda n: asked.append(n) or n % 2)))

    simulate(make, seeds=1).raise_for_failures()
    assert sorted(asked) == list(range(COUNT))


def test_a_batch_that_drops_its_last_items_is_found(monkeypatch):
    real = Batch._collect

    async def collect(self, inlet, lot):
        ended = await real(self, inlet, lot)
        if ended:
            lot.clear()
        return ended

    monkeypatch.setattr(Batch, "_collect", collect)
    assert not simulate(lambda: DataFlow((numbers, batch(3))), seeds=1).passed


@pytest.mark.parametrize(
    ("make", "mistake"),
    # What the stage's generator makes are equal items: turned round they are the same.
    [
        (threads, "loses"),
        (threads, "doubles"),
        (threads, "turns round"),
        (generators, "loses"),
        (generators, "doubles"),
    ],
)
def test_an_item_between_a_thread_and_the_loop_is_watched(make, mistake, monkeypatch):
    real = LaneIterator.deliver

    def deliver(self, flag, value):
        done = real(self, flag, value)
        if flag and len(self.ready) and mistake == "doubles":
            self.ready.append(value)
        if flag and mistake == "loses" and value == 3:
            self.ready.remove(value)
        if mistake == "turns round":
            self.ready.reverse()
        return done

    monkeypatch.setattr(LaneIterator, "deliver", deliver)
    report = simulate(make, seeds=10)
    assert any("in a thread" in str(each.error) for each in report.failures)
