"""Each fault comes, in every world where it can, and a run under it breaks no rule."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import DataFlow, Retry, Sink, dead_letter, stage
from asyncdataflow.errors import InjectedFault
from asyncdataflow.testing import Faults, simulate
from tests.testing.simulated_flows import (
    COUNT,
    WORLDS,
    chain,
    diamond,
    generators,
    inline,
    mixed,
    numbers,
    processes,
    slowly,
    threads,
)


class Collected(Sink):
    def __init__(self):
        self.items = []

    @asynccontextmanager
    async def open(self):
        async def write(item):
            await asyncio.sleep(0)
            self.items.append(item)

        yield write


def into_a_sink():
    return DataFlow((numbers, slowly, Collected()))


@pytest.mark.parametrize("make", WORLDS)
def test_a_little_of_everything_breaks_no_rule(make):
    report = simulate(make, seeds=25, faults=Faults.every(0.05)).raise_for_failures()
    assert report.struck["raises"]
    assert set(report.ended) <= {"completed", "failed by a fault"}


@pytest.mark.parametrize("make", WORLDS)
def test_runs_that_are_cut_short_break_no_rule(make):
    faults = Faults(slow=0.2, drains=0.4, stops=0.4, leaves=0.4)
    report = simulate(make, seeds=25, faults=faults).raise_for_failures()
    assert report.ended["cut short"]
    assert {"drains", "stops", "leaves", "slow"} <= set(report.struck) | (
        {"slow"} if make is inline else set()
    )


@pytest.mark.parametrize(
    ("kind", "makes"),
    [
        ("slow", [chain, threads, processes, generators, mixed, diamond]),
        ("raises", WORLDS),
        ("cancelled", [chain, generators, diamond]),
        ("dies", [processes, mixed]),
        ("refuses", [into_a_sink, chain]),
        ("late", [into_a_sink, chain]),
        ("ends_early", WORLDS),
        ("reconnects", [chain, threads, processes]),
        ("redelivers", [chain, threads, processes]),
        ("drains", WORLDS),
        ("stops", WORLDS),
        ("leaves", WORLDS),
    ],
)
def test_a_fault_comes(kind, makes):
    for make in makes:
        report = simulate(make, seeds=8, faults=Faults(**{kind: 0.3})).raise_for_failures()
        assert report.struck[kind], make.__name__


def test_no_fault_comes_unasked():
    report = simulate(mixed, seeds=5).raise_for_failures()
    assert not report.struck
    assert report.ended == {"completed": 5}


def test_without_time_nothing_is_slow():
    quick = simulate(lambda: DataFlow((numbers, stage(int))), seeds=5)
    slow = simulate(lambda: DataFlow((numbers, stage(int))), seeds=5, faults=Faults(slow=0.5, delay=3.0))
    assert quick.seconds == 0
    assert slow.seconds > 1


def test_retries_make_up_for_errors_of_the_kind_that_they_are_for():
    def make():
        again = Retry(attempts=None, on=(ConnectionError,))
        return DataFlow((numbers, stage(slowly, concurrency=3, retry=again), stage(slowly, retry=again)))

    def complete(results):
        assert results == list(range(COUNT))

    def sure(report):
        assert report.struck["raises"] > 20
        assert report.ended["completed"] > 5

    report = simulate(make, check=complete, seeds=20, faults=Faults(raises=0.1, error=ConnectionError))
    sure(report.raise_for_failures())


def test_what_fails_is_in_the_dead_letters_exactly_once():
    made = []

    def make():
        letters = Collected()
        made.append(letters)
        return DataFlow((numbers, stage(slowly, on_error=dead_letter(letters), concurrency=2)))

    def in_one_of_both(results):
        assert sorted(results + [each.item for each in made[-1].items]) == list(range(COUNT))

    report = simulate(make, check=in_one_of_both, seeds=40, faults=Faults(raises=0.1))
    report.raise_for_failures()
    assert report.ended["completed"] > 10


def test_the_error_is_the_one_that_was_asked_for():
    async def fails_only_by_fault(n):
        return n

    def make():
        return DataFlow((numbers, fails_only_by_fault))

    class OurError(Exception):
        pass

    seen = set()

    def noted(words):
        error = OurError(words)
        seen.add(words)
        return error

    simulate(make, seeds=40, faults=Faults(raises=0.3, error=noted)).raise_for_failures()
    assert {"before fails_only_by_fault", "behind fails_only_by_fault"} <= {
        each.removeprefix("a fault of the simulation, ") for each in seen
    }


@pytest.mark.parametrize(
    "words",
    [{"slow": 1.5}, {"raises": -0.1}, {"delay": 0}, {"delay": -1}, {"dies": float("nan")}],
    ids=str,
)
def test_what_is_no_share_is_refused(words):
    (name,) = words
    with pytest.raises(ValueError, match=rf"Faults\({name}="):
        Faults(**words)


def test_its_repr_is_the_code_that_makes_it():
    assert repr(Faults()) == "Faults()"
    faults = Faults(slow=0.25, drains=1.0, error=ConnectionError)
    assert repr(faults) == "Faults(slow=0.25, drains=1.0, error=ConnectionError)"
    assert eval(repr(faults)) == faults


def test_locks_are_not_broken_as_nothing_real_breaks_them():
    """An error out of the middle of ``Lock.acquire`` would leave the lock taken for good."""

    def make():
        lock = asyncio.Lock()

        async def guarded(n):
            async with lock:
                await asyncio.sleep(0.01)
            return n

        return DataFlow((numbers, stage(guarded, concurrency=4, on_error="skip")))

    report = simulate(make, seeds=40, faults=Faults(raises=0.2, cancelled=0.1)).raise_for_failures()
    assert report.ended["completed"] == 40 - report.ended["failed by a fault"]
    assert report.struck["raises"] > 20


def test_an_injected_fault_says_what_it_is():
    report = simulate(lambda: DataFlow((numbers, slowly)), seeds=1, faults=Faults(raises=1.0))
    assert report.ended == {"failed by a fault": 1}
    assert issubclass(InjectedFault, RuntimeError)


def test_they_can_be_kept_to_some_stages():
    def make():
        return DataFlow((numbers, stage(slowly, name="one"), stage(slowly, name="other", on_error="skip")))

    faults = Faults(slow=0.3, raises=0.3, redelivers=0.3, only=("other",))
    report = simulate(make, seeds=20, faults=faults).raise_for_failures()
    assert report.ended == {"completed": 20}
    assert set(report.struck) == {"slow", "raises"}
    with pytest.raises(ValueError, match=r"only=\('other',\)"):
        Faults(only="other")
