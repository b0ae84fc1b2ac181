"""Chunks of calls in simulated processes, which die wherever a seed says so."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter

import pytest

from asyncdataflow._threads.process import ProcessTarget
from asyncdataflow.errors import ResultError, WorkerLostError
from asyncdataflow.testing.simulated_loop import SimulatedLoop
from asyncdataflow.testing.simulated_process import SimulatedProcess
from tests.process_functions import Unloadable

SEEDS = 120

calls: Counter[int] = Counter()
"""A simulated process shares this module with its parent."""


def work(number):
    calls[number] += 1
    if number % 11 == 7:
        raise LookupError(number)
    return Unloadable() if number == 5 else 2 * number


class Drawn:
    """One seed: a target whose processes die as drawn, and what it told of each call."""

    def __init__(self, seed, *, redeliver, dying=0.02, killed_at=None):
        self.loop = SimulatedLoop(seed)
        self.dying = dying
        self.deaths = 0
        self.outcomes = {}
        self.not_started = None
        self.target = ProcessTarget("work", self._spawn, redeliver=redeliver, many=False)
        self._killed_at = killed_at
        calls.clear()
        runner = asyncio.Runner(loop_factory=lambda: self.loop)
        try:
            runner.run(self._main())
        finally:
            runner.close()

    async def _main(self):
        thread = self.loop.thread(self._try_all, "owner")
        thread.start()
        while not thread.over:
            if self._killed_at is not None and self.loop.steps >= self._killed_at:
                self.target.kill()
            await asyncio.sleep(0)

    def _try_all(self):
        try:
            self._do_all()
        except WorkerLostError as error:
            self.not_started = error

    def _do_all(self):
        draw = self.loop.draw
        left = list(range(24))
        with self.target:
            while left:
                chunk = left[: draw.randrange(1, 12)]
                told = list(self.target.run_chunk([((each,), {}) for each in chunk]))
                assert told
                assert len(told) <= len(chunk)
                assert all(succeeded for succeeded, _ in told[:-1])
                assert told[-1][0] is False or len(told) == len(chunk)
                self.outcomes.update(zip(chunk, told, strict=False))
                del left[: len(told)]

    def _spawn(self):
        payload = pickle.dumps((work, {}, {}))
        return SimulatedProcess(self.loop, self.loop.thread, "work", payload, lambda made: made, self._dies)

    def _dies(self):
        died = self.loop.draw.random() < self.dying
        self.deaths += died
        return died


def check(drawn, *, redeliver):
    assert list(drawn.outcomes) == list(range(24))
    lost = 0
    for number, (succeeded, value) in drawn.outcomes.items():
        if _lost(value):
            lost += 1
            assert not succeeded
        elif number == 5:
            assert isinstance(value, ResultError)
        elif number % 11 == 7:
            assert isinstance(value, LookupError)
        else:
            assert (succeeded, value) == (True, 2 * number)
    assert lost <= (drawn.deaths // 2 if redeliver else drawn.deaths)
    if not redeliver:
        assert max(calls.values()) == 1


@pytest.mark.parametrize("redeliver", [True, False])
def test_each_call_has_one_outcome_and_only_those_are_lost_that_may_be(redeliver):
    deaths = lost = 0
    for seed in range(SEEDS):
        drawn = Drawn(seed, redeliver=redeliver)
        if drawn.not_started is not None:
            assert "died while starting" in str(drawn.not_started)
            continue
        check(drawn, redeliver=redeliver)
        deaths += drawn.deaths
        lost += sum(_lost(value) for _, value in drawn.outcomes.values())
    # Else nothing was tried.
    assert deaths > SEEDS / 4
    assert lost


def test_without_deaths_each_is_called_once_but_those_behind_the_result_that_is_lost():
    for seed in range(SEEDS):
        drawn = Drawn(seed, redeliver=True, dying=0.0)
        check(drawn, redeliver=True)
        assert all(calls[number] == 1 for number in range(24) if number <= 5 or number > 16)
        assert max(calls.values()) <= 2


def test_killed_at_any_step_it_comes_to_its_end_and_nothing_is_sent_again():
    for seed in range(SEEDS):
        drawn = Drawn(seed, redeliver=True, dying=0.0, killed_at=seed)
        if drawn.not_started is None:
            killed = [number for number, (_, value) in drawn.outcomes.items() if _lost(value)]
            assert killed == list(range(24))[24 - len(killed) :]
        assert max(calls.values(), default=0) <= 2


def _lost(value):
    return isinstance(value, WorkerLostError)
