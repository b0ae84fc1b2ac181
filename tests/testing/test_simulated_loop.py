"""Threads and processes that are drawn step by step, with the runtime's own protocol on top."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import re
import threading
import time
from collections import Counter

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.errors import DeadlockError, LivelockError, StageTimeoutError, WorkerLostError
from asyncdataflow.testing import simulated_threads
from asyncdataflow.testing.faults import Faults
from asyncdataflow.testing.simulate import running
from asyncdataflow.testing.simulated_loop import SimulatedLoop, sleeping_in_virtual_time
from asyncdataflow.testing.simulation import Simulation
from tests.testing.simulated_flows import COUNT, WORLDS, in_a_process, numbers, processes, threads

variable = contextvars.ContextVar("variable", default="none")


def run(main, seed=0):
    with (
        sleeping_in_virtual_time(),
        asyncio.Runner(loop_factory=lambda: SimulatedLoop(seed)) as runner,
    ):
        return runner.run(main)


@pytest.mark.parametrize("make", WORLDS)
def test_a_seed_is_replayed_exactly(make):
    """Steps, virtual time, results and every line of the trace."""
    first, second = (Simulation(5, traced=True).run(running(make, None)) for _ in range(2))
    assert first.broken is None
    assert first == second
    assert len(first.lines) > COUNT


@pytest.mark.parametrize("make", [threads, processes])
def test_seeds_are_different_orders(make):
    assert len({Simulation(seed, traced=True).run(running(make, None)).lines for seed in range(10)}) > 5


def test_nothing_of_the_system_is_started_but_threads_that_end():
    before = threading.active_count()
    run(processes().run())
    run(threads().run())
    assert threading.active_count() == before


def test_sleeping_in_a_thread_passes_virtual_time_only():
    def sleeper(n):
        time.sleep(3600.0)
        return n

    async def main():
        results = await DataFlow((numbers, stage(sleeper, concurrency=2))).run()
        return results, asyncio.get_running_loop().time()

    results, passed = run(main())
    assert results == list(range(COUNT))
    assert passed == pytest.approx(3600.0 * COUNT / 2)


def test_outside_of_threads_and_simulations_sleeping_is_left_alone():
    slept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", slept.append)
        with sleeping_in_virtual_time():
            time.sleep(2)
        time.sleep(3)
    assert slept == [2, 3]


def test_a_thread_has_its_own_local_data_and_a_copy_of_the_context():
    local = threading.local()

    def which(n):
        local.count = getattr(local, "count", 0) + 1
        return local.count, variable.get()

    async def main():
        variable.set("the run's")
        return await DataFlow((numbers, stage(which, concurrency=2))).run()

    results = run(main())
    assert {seen for _, seen in results} == {"the run's"}
    assert Counter(count for count, _ in results)[1] == 2
    assert sum(1 for _ in results) == COUNT


def test_what_a_worker_has_of_its_own_is_made_and_closed_in_its_thread():
    threads_seen = set()

    @contextlib.contextmanager
    def tool():
        made_in = threading.current_thread()
        yield made_in
        assert threading.current_thread() is made_in
        threads_seen.add(made_in.name)

    def use(n, *, own):
        assert own is threading.current_thread()

    run(DataFlow((numbers, stage(use, concurrency=2, per_worker={"own": tool}))).run())
    assert len(threads_seen) == 2


def test_a_timeout_of_a_thread_passes_in_virtual_time():
    def stuck(n):
        time.sleep(10)

    with pytest.raises(StageTimeoutError):
        run(DataFlow((numbers, stage(stuck, timeout=5))).run())


@pytest.mark.parametrize("fails", [False, True])
def test_to_thread_is_simulated_too(fails):
    def work(n):
        time.sleep(100)
        return 1 // n

    async def main():
        with contextlib.nullcontext() if not fails else pytest.raises(ZeroDivisionError):
            assert await asyncio.to_thread(work, 0 if fails else 1) == 1
        return asyncio.get_running_loop().time()

    assert run(main()) == 100


@pytest.mark.leaks("tasks", reason="what stands still is the point")
def test_a_deadlock_names_the_thread_and_the_line():
    def waits_for_good(n):
        simulated_threads.Waiters(simulation.loop).wait()

    simulation = Simulation(0)
    broken = simulation.run(running(lambda: DataFlow((numbers, waits_for_good)), None)).broken
    assert isinstance(broken, DeadlockError)
    assert re.search(r"thread waits_for_good-0 \(waits_for_good, line \d+\)", str(broken))


@pytest.mark.leaks("tasks", reason="what stands still is the point")
def test_a_thread_that_waits_for_what_is_not_simulated_is_named(monkeypatch):
    monkeypatch.setattr(simulated_threads, "_PATIENCE", 0.05)
    gate = threading.Event()

    def waits_for_a_gate(n):
        gate.wait(10)

    simulation = Simulation(0)
    broken = simulation.run(running(lambda: DataFlow((numbers, waits_for_a_gate)), None)).broken
    gate.set()
    assert isinstance(broken, LivelockError)
    assert re.search(r"waits_for_a_gate.*no simulation governs", str(broken))


def test_a_process_gets_copies():
    handed_over = []

    async def lists():
        for n in range(3):
            handed_over.append([n])
            yield handed_over[-1]

    made = run(DataFlow((lists, stage(in_a_process, executor="process"))).run())
    assert made == handed_over
    assert not any(mine is theirs for mine, theirs in zip(made, handed_over, strict=True))


def test_an_item_whose_process_dies_is_sent_again():
    outcomes = [Simulation(seed, Faults(dies=0.02)).run(running(processes, None)) for seed in range(60)]
    assert all(each.broken is None for each in outcomes)
    died = [each for each in outcomes if each.struck.get("dies")]
    assert len(died) > 10
    # But one that kills two of them fails.
    assert {type(each.error) for each in died} <= {type(None), WorkerLostError}
    assert sum(each.value == list(range(COUNT)) for each in died) > len(died) / 2
