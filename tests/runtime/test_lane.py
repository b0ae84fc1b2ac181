"""A stage's threads: whatever moment a call ends in, no place is lost and nobody gets what is another's."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import weakref
from contextlib import asynccontextmanager, contextmanager

import janus
import pytest

from asyncdataflow._runtime.lane import Lane
from asyncdataflow._threads.job import CallJob
from asyncdataflow._threads.workshop import Workshop
from asyncdataflow.errors import EndOfChannel, StageTimeoutError
from tests.loops import asyncios_timers
from tests.process_functions import FrozenError

DEADLINE = 20
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


def giving(target):
    @contextmanager
    def setup():
        yield target

    return setup


@asynccontextmanager
async def lane_of(target, size=1, setup=None):
    """A lane, closed at the end; ``lane.broken`` has what broke its threads."""
    lane = Lane("work", size, setup or giving(target), Workshop())
    lane.broken = []
    lane.on_broken = lane.broken.append
    try:
        yield lane
    finally:
        ending = lane.shut()
        if ending:
            await asyncio.wait(ending, timeout=DEADLINE)
        assert await lane.close() == []


async def reached(event):
    """Wait for a thread to reach a point, without the loop's default executor."""
    while not event.is_set():
        await asyncio.sleep(0)


async def steps(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


@contextmanager
def hours_later():
    """The loop's timers are due, whatever a thread is at."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + 10_000
    try:
        yield
    finally:
        loop.time = now


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Gate:
    """A target that waits in each call until it is let go."""

    def __init__(self):
        self.calls, self.entered, self.open = [], threading.Event(), threading.Event()

    def __call__(self, item):
        self.calls.append(item)
        self.entered.set()
        assert self.open.wait(DEADLINE)
        return f"of {item}"


class TestThreads:
    @pytest.mark.usefixtures("no_default_executor")
    async def test_they_are_named_daemons_of_the_lane_and_started_when_needed(self):
        barrier = threading.Barrier(3)

        def who(together):
            if together:
                barrier.wait(DEADLINE)
            return threading.current_thread()

        async with lane_of(who, size=3) as lane:
            first = await lane.call((False,), {}, None)
            again = await lane.call((False,), {}, None)
            assert first is again
            assert first.daemon
            three = await asyncio.gather(*(lane.call((True,), {}, None) for _ in range(3)))
            assert sorted(each.name for each in three) == ["work-0", "work-1", "work-2"]
        assert not any(each.is_alive() for each in three)

    async def test_there_may_be_more_than_the_default_executor_has(self):
        barrier = threading.Barrier(40)
        async with lane_of(barrier.wait, size=40) as lane:
            places = await asyncio.gather(*(lane.call((DEADLINE,), {}, None) for _ in range(40)))
        assert sorted(places) == list(range(40))

    async def test_each_has_a_context_of_its_own(self):
        """Invariant 63: a copy of the run's; what one worker sets, neither another nor the run sees."""
        variable = contextvars.ContextVar("variable", default="unset")
        variable.set("of the run")
        barrier = threading.Barrier(2)

        def look_and_set(mine):
            barrier.wait(DEADLINE)
            seen = variable.get()
            barrier.wait(DEADLINE)
            variable.set(mine)
            return threading.current_thread().name, seen

        async with lane_of(look_and_set, size=2) as lane:
            first = dict(await asyncio.gather(*(lane.call((n,), {}, None) for n in ("a", "b"))))
            then = dict(await asyncio.gather(*(lane.call((n,), {}, None) for n in ("c", "d"))))
        assert set(first.values()) == {"of the run"}
        assert set(then.values()) == {"a", "b"}
        assert variable.get() == "of the run"

    async def test_one_that_the_system_refuses_costs_no_place(self, monkeypatch):
        def refuse(thread):
            raise RuntimeError("can't start new thread")

        async with lane_of(str.upper) as lane:
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", refuse)
                with pytest.raises(RuntimeError, match="new thread"):
                    await lane.call(("a",), {}, None)
            assert await lane.call(("a",), {}, None) == "A"

    @pytest.mark.leaks("threads", reason="the thread is left behind; it ends when it is let go")
    async def test_one_that_does_not_end_is_described_with_its_stack(self):
        gate = Gate()
        lane = Lane("stuck", 1, giving(gate), Workshop())
        calling = asyncio.create_task(lane.call((1,), {}, None))
        await reached(gate.entered)
        await cancelled(calling)
        (ending,) = lane.shut()
        (described,) = await lane.close()
        assert "thread stuck-0 is still in" in described
        assert "self.open.wait(DEADLINE)" in described
        # Late, it finds its queues shut down, and ends without a trace.
        gate.open.set()
        await ending

    async def test_a_pump_cancelled_before_its_first_step_is_replaced(self):
        """``asyncio.run`` may be on its way out just then; the calls still need their answers."""
        async with lane_of(str.upper) as lane:
            calling = asyncio.create_task(lane.call(("a",), {}, None))
            while lane._pump is None:
                await asyncio.sleep(0)
                if lane._pump is not None:
                    lane._pump.cancel()
            assert await calling == "A"

    async def test_closing_survives_cancellation(self):
        lane = Lane("work", 1, giving(str.upper), Workshop())
        assert await lane.call(("a",), {}, None) == "A"
        await asyncio.wait(lane.shut())
        closing = asyncio.create_task(lane.close())
        await asyncio.sleep(0)
        closing.cancel()
        assert await closing == []


class TestSetup:
    @pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
    @pytest.mark.parametrize("entered", [False, True])
    async def test_one_that_raises_breaks_the_lane_and_lets_nobody_wait(self, raised, entered):
        @contextmanager
        def on_entry():
            raise raised
            yield

        def at_once():
            raise raised

        async with lane_of(None, setup=on_entry if entered else at_once) as lane:
            for _ in range(2):
                with pytest.raises(type(raised)) as caught:
                    await lane.call((1,), {}, None)
                assert caught.value is raised
            iterator = await lane.iterate((), {}, lambda: 0)
            with pytest.raises(type(raised)):
                await iterator.aclose()
            assert lane.broken == [raised]

    async def test_its_end_sees_no_error_of_ours(self):
        """A transaction of the worker's own is committed, not rolled back, when the run has ended well."""
        left = []

        class Transaction:
            def __enter__(self):
                return str.upper

            def __exit__(self, *details):
                left.append((details, threading.current_thread().name))

        async with lane_of(None, setup=Transaction) as lane:
            assert await lane.call(("a",), {}, None) == "A"
        assert left == [((None, None, None), "work-0")]

    async def test_an_error_of_its_end_is_told(self):
        @contextmanager
        def setup():
            yield str.upper
            raise OSError("disk full")

        async with lane_of(None, setup=setup) as lane:
            assert await lane.call(("a",), {}, None) == "A"
        assert [str(each) for each in lane.broken] == ["disk full"]

    async def test_one_that_can_be_killed_is_not_waited_for(self):
        """A worker process that is still being started when the run ends has no item to lose."""
        entering, killed = threading.Event(), threading.Event()

        class Slow:
            def __enter__(self):
                entering.set()
                assert killed.wait(DEADLINE)
                raise EOFError("it died while starting")

            def __exit__(self, *_): ...

            def kill(self):
                killed.set()

        async with lane_of(None, setup=Slow) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, None))
            await reached(entering)
            await cancelled(calling)
        assert killed.is_set()
        assert lane.broken == []


class TestCall:
    @pytest.mark.parametrize(
        "raised",
        [
            ValueError("v"),
            KeyboardInterrupt(),
            SystemExit(3),
            asyncio.CancelledError("own"),
            concurrent.futures.CancelledError(),
            janus.SyncQueueShutDown(),
            janus.AsyncQueueShutDown(),
            TimeoutError("own"),
            FrozenError("own"),
        ],
        ids=lambda each: type(each).__qualname__,
    )
    async def test_what_it_raises_is_raised_by_the_call(self, raised):
        def fail():
            raise raised

        async with lane_of(fail) as lane:
            with pytest.raises(type(raised)) as caught:
                await lane.call((), {}, 1000)
            assert caught.value is raised
            assert [entry.name for entry in caught.traceback][-1] == "fail"
            assert lane.broken == []

    @pytest.mark.parametrize("raised", [StopIteration("s"), StopAsyncIteration("s")])
    async def test_what_would_end_coroutines_becomes_a_runtime_error(self, raised):
        """Where ``run_in_executor`` hangs for good on CPython 3.11."""

        def fail():
            raise raised

        async with lane_of(fail) as lane:
            with pytest.raises(RuntimeError, match=r"Stop\w*Iteration was raised in a thread") as caught:
                await lane.call((), {}, None)
            assert caught.value.__cause__ is raised

    @asyncios_timers
    async def test_out_of_time_it_holds_its_place_until_it_returns(self):
        gate = Gate()
        async with lane_of(gate) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, 1000.0))
            await reached(gate.entered)
            await steps()
            with hours_later(), pytest.raises(StageTimeoutError, match=r"timeout=1000.0 s"):
                await calling
            following = asyncio.create_task(lane.call((2,), {}, None))
            await steps()
            assert gate.calls == [1]
            gate.open.set()
            assert await following == "of 2"
        assert gate.calls == [1, 2]

    @asyncios_timers
    async def test_setting_the_thread_up_is_not_the_items_time(self):
        """A model that takes longer to load than an item may take does not fail the first item."""
        may_begin, gate = threading.Event(), Gate()

        @contextmanager
        def slow_setup():
            assert may_begin.wait(DEADLINE)
            yield gate

        async with lane_of(None, setup=slow_setup) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, 1000.0))
            with hours_later():
                await steps()
            may_begin.set()
            await reached(gate.entered)
            await steps()
            assert not calling.done()
            with hours_later(), pytest.raises(StageTimeoutError):
                await calling
            gate.open.set()

    @asyncios_timers
    async def test_nor_is_preparing_the_target(self):
        class Prepared(Gate):
            def prepare(self):
                preparing.set()
                assert may_go_on.wait(DEADLINE)

        preparing, may_go_on, target = threading.Event(), threading.Event(), Prepared()
        target.open.set()
        async with lane_of(target) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, 1000.0))
            await reached(preparing)
            with hours_later():
                await steps()
            may_go_on.set()
            assert await calling == "of 1"

    async def test_cancelled_before_a_thread_took_it_it_is_never_made(self):
        may_begin, gate = threading.Event(), Gate()
        gate.open.set()

        @contextmanager
        def slow_setup():
            assert may_begin.wait(DEADLINE)
            yield gate

        async with lane_of(None, setup=slow_setup) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, None))
            await steps()
            await cancelled(calling)
            may_begin.set()
            assert await lane.call((2,), {}, None) == "of 2"
        assert gate.calls == [2]

    async def test_cancelled_while_it_runs_its_result_goes_to_nobody(self):
        gate = Gate()
        async with lane_of(gate) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, None))
            await reached(gate.entered)
            await cancelled(calling)
            following = asyncio.create_task(lane.call((2,), {}, None))
            await steps()
            assert gate.calls == [1]
            gate.open.set()
            assert await following == "of 2"
        assert gate.calls == [1, 2]

    @pytest.mark.parametrize("ticks", range(6))
    async def test_cancelled_when_it_is_done_but_not_seen(self, ticks):
        """The answer is on its way through the bridge, in each of the steps that takes."""
        gate = Gate()
        gate.open.set()
        async with lane_of(gate) as lane:
            assert await lane.call((0,), {}, None) == "of 0"
            calling = asyncio.create_task(lane.call((1,), {}, None))
            await asyncio.sleep(0)
            # The loop stands still until the thread waits for its next job: the answer is sent.
            while len(gate.calls) < 2 or not lane._inbox._queue._sync_not_empty_waiting:
                threading.Event().wait(0.0001)
            for _ in range(ticks):
                await asyncio.sleep(0)
            calling.cancel()
            await asyncio.wait([calling])
            assert calling.cancelled() or (ticks and calling.result() == "of 1")
            assert await lane.call((2,), {}, None) == "of 2"
        assert gate.calls == [0, 1, 2]

    async def test_those_who_wait_for_a_place_learn_of_the_end(self):
        gate = Gate()
        async with lane_of(gate) as lane:
            first = asyncio.create_task(lane.call((1,), {}, None))
            await reached(gate.entered)
            second = asyncio.create_task(lane.call((2,), {}, None))
            await steps()
            lane.shut()
            with pytest.raises(EndOfChannel):
                await second
            gate.open.set()
            assert await first == "of 1"

    @pytest.mark.parametrize("fails", [False, True])
    async def test_nothing_of_it_is_kept_alive(self, fails):
        """Invariant 32: no circle through the future, the job or the traceback."""

        class Item:
            pass

        def work(item):
            if fails:
                raise ValueError(item)
            return item

        gone = []
        async with lane_of(work) as lane:
            item = Item()
            weakref.finalize(item, gone.append, True)
            gc.disable()
            try:
                try:
                    assert await lane.call((item,), {}, None) is item
                except ValueError:
                    assert fails
                del item
                await steps()
                assert gone == [True]
            finally:
                gc.enable()


class Killable(Gate):
    """As a worker process: killed, its call ends at once, and it is renewed before the next."""

    def __init__(self):
        super().__init__()
        self.killed, self.renewed, self.current = [], [], None

    def __call__(self, item):
        self.current = item
        try:
            return super().__call__(item)
        finally:
            self.current = None

    def kill(self):
        self.killed.append(self.current)
        self.open.set()

    def renew(self):
        self.renewed.append(len(self.killed))


class TestKill:
    @pytest.mark.parametrize("timeout", [None, pytest.param(1000.0, marks=asyncios_timers)])
    async def test_a_call_that_nobody_waits_for_is_killed_and_the_target_renewed(self, timeout):
        target = Killable()
        async with lane_of(target) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, timeout))
            await reached(target.entered)
            await steps()
            if timeout is None:
                await cancelled(calling)
            else:
                with hours_later(), pytest.raises(StageTimeoutError):
                    await calling
            assert target.killed == [1]
            assert await lane.call((2,), {}, None) == "of 2"
            assert target.renewed == [1]

    async def test_a_call_that_is_done_is_not_killed_with_the_next_one_in_its_place(self):
        """The answer is not yet seen by the loop, and its thread is at the next job already."""
        target, loop, sent = Killable(), asyncio.get_running_loop(), []
        first, second = (CallJob((n,), {}, loop.create_future()) for n in (1, 2))

        def both():
            target.open.set()
            first.work(target, sent.append)
            target.open.clear()
            target.entered.clear()
            second.work(target, sent.append)

        thread = threading.Thread(target=both)
        thread.start()
        while target.current != 2:
            threading.Event().wait(0.0001)
        first.abandon()
        assert target.killed == []
        second.abandon()
        assert target.killed == [2]
        thread.join(DEADLINE)
        assert sent == [(first, True, "of 1"), (second, True, "of 2")]
        assert target.renewed == [1]

    async def test_one_that_a_thread_never_took_kills_nothing(self):
        may_begin, target = threading.Event(), Killable()
        target.open.set()

        @contextmanager
        def slow_setup():
            assert may_begin.wait(DEADLINE)
            yield target

        async with lane_of(None, setup=slow_setup) as lane:
            calling = asyncio.create_task(lane.call((1,), {}, None))
            await steps()
            await cancelled(calling)
            may_begin.set()
            assert await lane.call((2,), {}, None) == "of 2"
        assert target.killed == []
