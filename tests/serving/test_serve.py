"""``flow.serve()``: how it ends, and what it leaves as it was."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
import threading
import types

import pytest

from asyncdataflow import DataFlow, batch, stage
from asyncdataflow.errors import NeedsItemsError, ParameterError, ShutdownTimeoutError
from asyncdataflow.serving import Served
from asyncdataflow.stats import RunStats
from asyncdataflow.testing.virtual_clock import run_virtual

HANDLED = (signal.SIGTERM, signal.SIGINT)


async def ticks():
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.001)


async def same(item):
    return item


def send(number, *, after=0.05):
    """From the loop, so that the program is at work."""
    asyncio.get_running_loop().call_later(after, os.kill, os.getpid(), number)


class TestItsEnd:
    def test_is_that_of_its_sources(self):
        results = []
        served = asyncio.run(DataFlow((range(3), same)).serve(on_result=results.append))
        assert (served.reason, served.signal, served.exit_code, results) == ("ended", None, 0, [0, 1, 2])
        assert served.stats.stages["same"].sent == 3

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
    def test_is_a_drain_at_the_first_signal(self, number, code):
        results = []

        async def main():
            send(number)
            return await DataFlow((ticks, same)).serve(on_result=results.append)

        served = asyncio.run(main())
        assert (served.reason, served.signal, served.exit_code) == ("drained", number, code)
        assert results == list(range(served.stats.stages["ticks"].sent))
        assert not served.unsettled

    def test_is_a_stop_at_the_second(self):
        async def hold(item):
            await asyncio.Event().wait()

        async def main():
            send(signal.SIGINT)
            send(signal.SIGTERM, after=0.1)
            return await DataFlow((ticks, hold)).serve()

        served = asyncio.run(main())
        assert (served.reason, served.signal, served.exit_code) == ("stopped", signal.SIGTERM, 3)
        assert served.unsettled["hold"] > 1

    def test_is_what_failed(self):
        async def fails(item):
            raise LookupError(item)

        with pytest.raises(LookupError, match="0") as caught:
            asyncio.run(DataFlow((ticks, fails)).serve())
        assert any("in stage" in note for note in caught.value.__notes__)

    def test_is_a_cancellation_of_who_serves(self):
        closed = []

        async def source():
            try:
                while True:
                    yield 0
                    await asyncio.sleep(1)
            finally:
                closed.append(True)

        async def main():
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await DataFlow((source, same)).serve()

        run_virtual(main())
        assert closed == [True]

    def test_may_be_asked_for_by_who_has_the_run(self):
        async def main():
            started = []
            serving = asyncio.create_task(DataFlow((ticks, same)).serve(on_start=started.append))
            await asyncio.sleep(5)
            assert started[0].stats().state == "running"
            started[0].drain()
            return await serving

        assert run_virtual(main()).reason == "ended"

    def test_signals_behind_it_change_nothing(self):
        served = Served("drained", signal.SIGTERM, RunStats("ended", types.MappingProxyType({}), 0, 0, 0.0))
        assert served.exit_code == 0
        with pytest.raises(AttributeError):
            served.reason = "ended"


class TestADeadline:
    def test_of_a_drain_counts_what_is_unsettled_and_cancels_it(self):
        async def hold(item):
            await asyncio.Event().wait()

        async def main():
            send(signal.SIGTERM)
            await DataFlow((ticks, stage(hold, concurrency=3))).serve(drain_timeout=0.1)

        with pytest.raises(ShutdownTimeoutError, match=r"drain took over 0\.1 s; unsettled: 3 in hold"):
            asyncio.run(main())

    @pytest.mark.leaks("threads", reason="a thread that will not end is the point")
    def test_of_a_stop_names_the_thread_that_does_not_end_with_its_stack(self):
        never, begun = threading.Event(), threading.Event()

        def hold(item):
            begun.set()
            never.wait(20)

        async def main():
            loop = asyncio.get_running_loop()

            def stop_when_begun():
                if begun.is_set():
                    os.kill(os.getpid(), signal.SIGTERM)
                    loop.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
                else:
                    loop.call_later(0.01, stop_when_begun)

            stop_when_begun()
            await DataFlow((ticks, hold)).serve(stop_timeout=0.1)

        with pytest.raises(ShutdownTimeoutError, match=r"(?s)thread hold-0 is still in.*never\.wait"):
            asyncio.run(main())
        never.set()

    @pytest.mark.leaks("threads", reason="a thread that will not end is the point")
    def test_of_a_drain_gives_what_is_cancelled_the_time_of_a_stop(self):
        never = threading.Event()

        async def main():
            send(signal.SIGTERM, after=0.2)
            await DataFlow((ticks, lambda item: never.wait(20))).serve(drain_timeout=0.1, stop_timeout=0.1)

        with pytest.raises(ShutdownTimeoutError) as caught:
            asyncio.run(main())
        never.set()
        (note,) = (each for each in caught.value.__notes__ if "did not end within 0.1 s" in each)
        assert any(line.startswith("thread lambda-0 is still in") for line in note.splitlines())

    @pytest.mark.parametrize("signals", [1, 2])
    def test_holds_for_who_takes_the_results(self, signals):
        async def hold(item):
            await asyncio.Event().wait()

        async def main():
            for each in range(signals):
                send(signal.SIGTERM, after=0.05 * (each + 1))
            await DataFlow((ticks, same)).serve(on_result=hold, drain_timeout=0.1, stop_timeout=0.1)

        with pytest.raises(ShutdownTimeoutError, match="on_result= did not come back"):
            asyncio.run(main())

    def test_a_timeout_of_ones_own_stays_one(self):
        async def late(item):
            raise TimeoutError("mine")

        with pytest.raises(TimeoutError, match="mine"):
            asyncio.run(DataFlow((range(3), same)).serve(on_result=late))


class TestHandlers:
    def before_and_after(self, serve):
        before = [signal.getsignal(each) for each in HANDLED]
        serve()
        assert [signal.getsignal(each) for each in HANDLED] == before

    def during(self, **options):
        seen = []

        async def main():
            await DataFlow((range(1), same)).serve(
                on_start=lambda _: seen.extend(signal.getsignal(each) for each in HANDLED), **options
            )

        asyncio.run(main())
        return seen

    def is_ours(self, handler):
        return inspect.ismethod(handler) and handler.__module__ == "asyncdataflow.serving.signals"

    def test_are_set_while_it_serves_and_given_back(self):
        self.before_and_after(lambda: all(map(self.is_ours, self.during())) or pytest.fail("not set"))

    def test_are_given_back_behind_a_failure(self):
        def serve():
            with pytest.raises(ZeroDivisionError):
                asyncio.run(DataFlow((range(1), stage(lambda n: 1 // n))).serve())

        self.before_and_after(serve)

    def test_are_not_set_where_they_are_not_wanted(self):
        assert not any(map(self.is_ours, self.during(signals=False)))

    def test_are_not_set_by_any_other_way_to_run(self):
        seen = []
        DataFlow((range(1), lambda _: seen.extend(signal.getsignal(each) for each in HANDLED)))()
        assert not any(map(self.is_ours, seen))

    def test_are_not_set_in_a_thread(self):
        def serve():
            seen = []
            thread = threading.Thread(target=lambda: seen.extend(self.during()))
            thread.start()
            thread.join()
            assert len(seen) == 2
            assert not any(map(self.is_ours, seen))

        self.before_and_after(serve)

    def test_are_not_set_in_a_notebook(self, monkeypatch):
        kernel = types.ModuleType("ipykernel.kernelapp")
        kernel.IPKernelApp = types.SimpleNamespace(initialized=lambda: True)
        monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", kernel)
        assert not any(map(self.is_ours, self.during()))

    def test_what_is_ignored_stays_ignored(self):
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            assert signal.SIG_IGN in self.during()
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_what_somebody_else_sets_meanwhile_is_theirs(self):
        before = signal.getsignal(signal.SIGTERM)

        def mine(number, frame):
            raise AssertionError

        try:
            asyncio.run(
                DataFlow((range(1), same)).serve(on_start=lambda _: signal.signal(signal.SIGTERM, mine))
            )
            assert signal.getsignal(signal.SIGTERM) is mine
        finally:
            signal.signal(signal.SIGTERM, before)


class TestWhatIsRefused:
    @pytest.mark.parametrize("option", ["drain_timeout", "stop_timeout"])
    def test_a_time_below_nothing(self, option):
        with pytest.raises(ValueError, match=option):
            asyncio.run(DataFlow((range(1), same)).serve(**{option: -1}))

    def test_what_a_stream_refuses(self):
        with pytest.raises(ParameterError):
            asyncio.run(DataFlow((range(1), same)).serve({"limit": 3}))
        with pytest.raises(ParameterError):
            asyncio.run(DataFlow((range(1), same)).serve(engine="cluster"))
        with pytest.raises(NeedsItemsError):
            asyncio.run(DataFlow((batch(3),)).serve())


def test_a_signal_while_resources_open_ends_it():
    started = []

    async def slow():
        started.append("opening")
        await asyncio.sleep(0.2)
        return "db"

    async def use(item, *, db):
        return item

    async def main():
        send(signal.SIGTERM)
        return await DataFlow((ticks, use), resources={"db": slow}).serve(on_start=started.append)

    served = asyncio.run(main())
    assert served.reason == "drained"
    run, opening = started
    assert (run.state, opening) == ("ended", "opening")


def test_results_may_be_taken_by_a_coroutine_function():
    taken = []

    async def take(item):
        await asyncio.sleep(0.1)
        taken.append(item)

    run_virtual(DataFlow((range(3), same)).serve(on_result=take))
    assert taken == [0, 1, 2]
