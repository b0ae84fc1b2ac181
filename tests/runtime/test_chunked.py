"""Stages whose items go to threads several at a time mean the same as if they went one by one."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from asyncdataflow import DataFlow, Retry, dead_letter, stage
from asyncdataflow._runtime.clock import Turn
from asyncdataflow._runtime.lot import Lot
from asyncdataflow._runtime.pace import Pace
from asyncdataflow._threads.chunk import Chunk
from asyncdataflow.errors import ShutdownTimeoutError
from asyncdataflow.testing import CollectSink

DEADLINE = 20
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""

WORKERS = pytest.mark.parametrize(
    "workers",
    [{}, {"concurrency": 3}, {"concurrency": 3, "ordered": False}],
    ids=["one", "ordered", "unordered"],
)


@pytest.fixture(autouse=True)
def all_at_once(monkeypatch):
    """A chunk is all that lies there, whatever is known of the items, and however slow the machine is."""
    monkeypatch.setattr(Turn, "due", lambda turn, items=1: False)
    monkeypatch.setattr(Pace, "length", lambda pace, lying, idle: lying)


class Work:
    """A plain function that waits at one item, and fails at others so many times."""

    def __init__(self, slow=None, bad=(), times=1000):
        self.begun, self.slow, self.left = [], slow, dict.fromkeys(bad, times)
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, item):
        self.begun.append(item)
        if item == self.slow:
            self.entered.set()
            assert self.open.wait(DEADLINE)
        if self.left.get(item):
            self.left[item] -= 1
            raise ValueError(item)
        return None if item == "nothing" else item


async def burst(count=20):
    """All of them before anybody takes one."""
    for number in range(count):
        yield number


async def reached(event):
    while not event.is_set():
        await asyncio.sleep(0)


def consistent(run):
    """Invariant 71, at this moment."""
    for name, each in run.stats().stages.items():
        settled = each.sent + each.filtered + each.skipped + each.dead_lettered + each.failed
        assert each.received == settled + each.in_flight, (name, each)
        assert each.queued >= 0 <= each.in_flight, (name, each)
    return run.stats().stages["work"]


def sorted_unless(workers, results):
    return sorted(results) if not workers.get("ordered", True) else results


class TestPolicies:
    async def test_with_one_worker_nothing_is_begun_behind_what_ends_the_run(self):
        work, seen = Work(bad=[7]), []
        with pytest.raises(ValueError, match="7") as caught:
            async with DataFlow((burst, stage(work, name="work"))).stream() as run:
                async for item in run:
                    seen.append(item)
        assert seen == list(range(7))
        assert work.begun == list(range(8))
        assert "in stage work" in caught.value.__notes__[0]
        figures = run.stats().stages["work"]
        assert (figures.received, figures.sent, figures.failed, figures.in_flight) == (8, 7, 1, 0)

    @WORKERS
    async def test_skipped_items_leave_the_others(self, workers):
        work = Work(bad=[0, 3, 4, 19])
        flow = DataFlow((burst, stage(work, name="work", on_error="skip", **workers)))
        async with flow.stream() as run:
            results = [item async for item in run]
        left = [n for n in range(20) if n not in (0, 3, 4, 19)]
        assert sorted_unless(workers, results) == left
        assert sorted(work.begun) == list(range(20))
        figures = consistent(run)
        assert (figures.received, figures.sent, figures.skipped) == (20, 16, 4)

    @WORKERS
    async def test_dead_letters_leave_the_others(self, workers):
        letters = CollectSink()
        policy = dead_letter(stage(letters, name="letters"))
        work = Work(bad=[0, 3, 4, 19])
        flow = DataFlow((burst, stage(work, name="work", on_error=policy, **workers)))
        async with flow.stream() as run:
            results = [item async for item in run]
        assert sorted_unless(workers, results) == [n for n in range(20) if n not in (0, 3, 4, 19)]
        assert sorted(each.item for each in letters.items) == [0, 3, 4, 19]
        assert consistent(run).dead_lettered == 4

    @WORKERS
    async def test_retries_keep_their_places(self, workers):
        work = Work(bad=[0, 3, 4, 19], times=2)
        retry = Retry(3, backoff=0.0)
        flow = DataFlow((burst, stage(work, name="work", retry=retry, **workers)))
        async with flow.stream() as run:
            results = [item async for item in run]
        assert sorted_unless(workers, results) == list(range(20))
        assert consistent(run).retried == 8
        if not workers:
            # Nothing passes an item that is tried again.
            assert work.begun == sorted(work.begun)

    async def test_the_last_of_its_tries_is_told(self):
        retry = Retry(3, backoff=0.0)
        flow = DataFlow((burst, stage(Work(bad=[5]), name="work", retry=retry)))
        with pytest.raises(ValueError, match="5") as caught:
            await flow.run()
        assert "attempt 3 of 3" in caught.value.__notes__[0]

    async def test_what_is_no_result_takes_no_slot(self):
        async def source():
            for each in (1, "nothing", 2, "nothing"):
                yield each

        async with DataFlow((source, stage(Work(), name="work"))).stream(buffer=2) as run:
            assert [item async for item in run] == [1, 2]
        assert consistent(run).filtered == 2

    @pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt()])
    async def test_what_ends_the_program_passes(self, raised):
        def work(item):
            if item == 4:
                raise raised
            return item

        with pytest.raises(type(raised)):
            await DataFlow((burst, work)).run()

    async def test_a_cancellation_of_its_own_is_an_error(self):
        def work(item):
            if item == 4:
                raise asyncio.CancelledError
            return item

        flow = DataFlow((burst, stage(work, on_error="skip")))
        assert await flow.run() == [n for n in range(20) if n != 4]

    @WORKERS
    async def test_awaitables_are_awaited_on_the_loop(self, workers):
        async def later(item):
            await asyncio.sleep(0)
            if item == 8:
                raise ValueError(item)
            return -item

        flow = DataFlow((burst, stage(lambda n: later(n) if n % 4 == 0 else n, on_error="skip", **workers)))
        expected = [n if n % 4 else -n for n in range(20) if n != 8]
        assert sorted(await flow.run()) == sorted(expected)


class TestMeanwhile:
    @WORKERS
    async def test_what_is_ready_comes_out_while_a_slow_item_runs(self, workers):
        work = Work(slow=5)
        flow = DataFlow((burst, stage(work, name="work", **workers)))
        try:
            async with asyncio.timeout(DEADLINE), flow.stream() as run:
                assert sorted([await anext(run) for _ in range(5)]) == list(range(5))
                await reached(work.entered)
                figures = consistent(run)
                assert figures.in_flight >= 1
                assert figures.received + figures.queued <= 20
                work.open.set()
                rest = [item async for item in run]
                assert sorted_unless(workers, rest) == list(range(5, 20))
                consistent(run)
        finally:
            work.open.set()

    async def test_what_it_holds_up_goes_to_another_thread(self):
        work = Work(slow=5)
        flow = DataFlow((burst, stage(work, name="work", concurrency=2)))
        try:
            async with asyncio.timeout(DEADLINE), flow.stream() as run:
                await anext(run)
                while len(work.begun) < 20:
                    await asyncio.sleep(0)
                work.open.set()
                assert [item async for item in run] == list(range(1, 20))
        finally:
            work.open.set()

    async def test_what_it_holds_up_goes_on_when_another_thread_is_idle_again(self, monkeypatch):
        """Both threads were busy when it was taken back, and one of them stays so."""
        taken_back, real = [], Chunk.take_back
        monkeypatch.setattr(Chunk, "take_back", lambda chunk: taken_back.append(chunk) or real(chunk))
        slow, slower = threading.Event(), threading.Event()
        begun = []

        def work(item):
            begun.append(item)
            gate = {5: slower, 6: slow}.get(item)
            assert gate is None or gate.wait(DEADLINE)
            return item

        try:
            async with (
                asyncio.timeout(DEADLINE),
                DataFlow((burst, stage(work, concurrency=2))).stream() as run,
            ):
                await anext(run)
                while len(taken_back) < 2:
                    await asyncio.sleep(0)
                slow.set()
                while len(begun) < 20:
                    await asyncio.sleep(0)
                slower.set()
                assert [item async for item in run] == list(range(1, 20))
        finally:
            slow.set()
            slower.set()

    @pytest.mark.parametrize("ordered", [True, False])
    async def test_items_that_need_each_other_meet(self, ordered):
        """However many went to one thread: none is left idle for long beside items that wait."""
        barrier = threading.Barrier(4)

        def meet(item):
            barrier.wait(DEADLINE)
            return item

        flow = DataFlow((burst, stage(meet, concurrency=4, ordered=ordered)))
        assert sorted(await flow.run()) == list(range(20))

    async def test_nobody_waits_for_a_slow_item_because_others_are_quick(self, monkeypatch):
        """What is not worth another thread beside a chunk of quick items is, beside one that lasts."""
        monkeypatch.undo()
        monkeypatch.setattr(Pace, "length", lambda pace, lying, idle: 1)
        work, seen = Work(slow=0), []

        async def source():
            for number in range(60):
                yield number
                await reached(work.entered)

        flow = DataFlow((source, stage(work, name="work", concurrency=2, ordered=False)))
        try:
            async with asyncio.timeout(DEADLINE), flow.stream() as run:
                while len(seen) < 59:
                    seen.append(await anext(run))
                assert sorted(seen) == list(range(1, 60))
                work.open.set()
                assert [item async for item in run] == [0]
        finally:
            work.open.set()

    @pytest.mark.parametrize("slow", [20, 30], ids=["amid its chunk", "its last"])
    async def test_everything_behind_a_slow_item_among_quick_ones_is_begun(self, slow, monkeypatch):
        """What lies before the stage, of which nobody took more meanwhile, and what was taken along."""
        monkeypatch.undo()
        monkeypatch.setattr(Pace, "is_worth", lambda pace, items: False)
        work = Work(slow=slow)
        flow = DataFlow((range(60), stage(work, name="work", concurrency=2, ordered=False)))
        try:
            async with asyncio.timeout(DEADLINE), flow.stream() as run:
                first = await anext(run)
                while len(work.begun) < 60:
                    await asyncio.sleep(0)
                work.open.set()
                assert sorted([first] + [item async for item in run]) == list(range(60))
        finally:
            work.open.set()

    async def test_what_is_behind_an_item_that_is_tried_again_waits_for_it(self, monkeypatch):
        """Another thread has done with it long before."""
        gates = {each: threading.Event() for each in ((5, 1), (5, 2), (19, 1))}
        tries, ended, real = Counter(), [], Chunk.deliver

        def deliver(chunk, *news):
            over = real(chunk, *news)
            ended.extend([chunk] * over)
            return over

        def work(item):
            tries[item] += 1
            attempt = (item, tries[item])
            assert attempt not in gates or gates[attempt].wait(DEADLINE)
            if attempt == (5, 1):
                raise ValueError(item)
            return item

        monkeypatch.setattr(Chunk, "deliver", deliver)
        flow = DataFlow((burst, stage(work, concurrency=2, retry=Retry(2, backoff=0.0))))
        try:
            async with asyncio.timeout(DEADLINE), flow.stream() as run:
                results = [await anext(run) for _ in range(5)]
                while not tries[19]:
                    await asyncio.sleep(0)
                gates[5, 1].set()
                while tries[5] < 2:
                    await asyncio.sleep(0)
                gates[19, 1].set()
                while len(ended) < 2:
                    await asyncio.sleep(0)
                gates[5, 2].set()
                assert results + [item async for item in run] == list(range(20))
        finally:
            for gate in gates.values():
                gate.set()

    async def test_with_one_thread_it_waits(self):
        work = Work(slow=5)
        flow = DataFlow((burst, stage(work, name="work")))
        try:
            async with asyncio.timeout(DEADLINE), flow.stream() as run:
                assert [await anext(run) for _ in range(5)] == list(range(5))
                await reached(work.entered)
                assert work.begun == list(range(6))
                figures = consistent(run)
                assert (figures.received, figures.in_flight, figures.queued) == (6, 1, 14)
                work.open.set()
                assert [item async for item in run] == list(range(5, 20))
        finally:
            work.open.set()

    @WORKERS
    async def test_stopped_it_ends_its_item_and_begins_no_other(self, workers):
        work = Work(slow=5)
        flow = DataFlow((burst, stage(work, name="work", **workers)))
        async with asyncio.timeout(DEADLINE), flow.stream() as run:
            await anext(run)
            await reached(work.entered)
            run.stop()
            for _ in range(10):
                await asyncio.sleep(0)
            begun = list(work.begun)
            work.open.set()
            [_ async for _ in run]
        # The other threads may each be about to say what they had begun.
        assert len(work.begun) <= len(begun) + workers.get("concurrency", 0)
        assert workers or begun == list(range(6))

    @WORKERS
    async def test_drained_all_of_it_comes_out(self, workers):
        work = Work(slow=5)
        flow = DataFlow((burst, stage(work, name="work", **workers)))
        async with asyncio.timeout(DEADLINE), flow.stream() as run:
            waiting = asyncio.ensure_future(anext(run))
            await reached(work.entered)
            run.drain()
            work.open.set()
            results = [await waiting] + [item async for item in run]
        assert sorted_unless(workers, results) == list(range(20))
        assert consistent(run).queued == 0

    @WORKERS
    async def test_a_consumer_that_takes_nothing_leaves_no_claim_open(self, workers):
        """A slot is claimed for what is being made only: the edge behind fills up."""
        flow = DataFlow((burst, stage(Work(), name="work", **workers)))
        async with asyncio.timeout(DEADLINE), flow.stream(buffer=4) as run:
            while run.stats().waiting < 4:
                await asyncio.sleep(0)
            consistent(run)
            assert sorted([item async for item in run]) == list(range(20))

    async def test_past_its_deadline_a_drain_says_what_is_left(self):
        """What was taken and not begun is still queued."""
        work = Work(slow=5)
        flow = DataFlow((burst, stage(work, name="work")))
        with pytest.raises(ShutdownTimeoutError, match="unsettled: 1 in work, 14 queued"):
            async with asyncio.timeout(DEADLINE), flow.stream() as run:
                for _ in range(5):
                    await anext(run)
                await reached(work.entered)
                run.drain(0.0)
                while run.stats().state == "draining":
                    await asyncio.sleep(0)
                work.open.set()
                [_ async for _ in run]


@pytest.mark.parametrize("together", [1, 2])
async def test_a_clock_is_set_only_where_an_item_could_hold_up_another(monkeypatch, together):
    """One worker has nobody beside it, and a timer for each item costs as much as the item."""
    set_ = []
    monkeypatch.setattr(Lot, "start_clock", lambda lot, *_: set_.append(lot))
    received = asyncio.Queue()

    async def some_then_wait():
        for number in range(10):
            yield number
            if number % together == together - 1:
                for _ in range(together):
                    await received.get()

    async with DataFlow((some_then_wait, stage(lambda item: item, executor="thread"))).stream() as run:
        async for item in run:
            received.put_nowait(item)
    assert bool(set_) == (together > 1)
