"""Chunks of calls in a worker process: each call has its own outcome, whatever happens to the others."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import threading

import pytest

from asyncdataflow._processes import messages, series
from asyncdataflow._processes.spawned import SpawnedProcess
from asyncdataflow._threads.process import ProcessTarget
from asyncdataflow.errors import ArgumentsError, ResultError, WorkerLostError
from tests import process_functions as there

DEADLINE = 30
"""Seconds until something that another process does counts as failed; never waited for in full."""


pytestmark = pytest.mark.usefixtures("light_processes")


def target_of(*, redeliver=True):
    spawn = functools.partial(SpawnedProcess, "work", pickle.dumps((there.perform, {}, {})))
    return ProcessTarget("work", spawn, redeliver=redeliver, many=False)


@pytest.fixture(scope="module")
def shared():
    """One process for the tests that leave it alive."""
    with target_of() as target:
        yield target


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls"


def calls_of(*calls):
    return [(each, {}) for each in calls]


def outcomes_of(target, *calls):
    return list(target.run_chunk(calls_of(*calls)))


def called(path):
    return path.read_text().split() if path.exists() else []


class TestOutcomes:
    @pytest.fixture(autouse=True)
    def _the_process_stays(self, shared):
        pid = shared("pid")
        yield
        assert outcomes_of(shared, ("same", "in"), ("same", "step")) == [(True, "in"), (True, "step")]
        assert shared("pid") == pid

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 3001])
    def test_each_call_has_its_result_in_order(self, shared, count):
        assert outcomes_of(shared, *(("same", each) for each in range(count))) == [
            (True, each) for each in range(count)
        ]

    @pytest.mark.parametrize("place", range(6))
    def test_it_ends_at_the_first_failure_and_those_behind_do_not_begin(self, shared, path, place):
        calls = [("note", path, each) for each in range(6)]
        calls[place] = ("note_and_raise", path, place)
        *before, (succeeded, error) = outcomes_of(shared, *calls)
        assert before == [(True, each) for each in range(place)]
        assert not succeeded
        assert type(error) is ValueError
        assert error.__notes__[0].startswith("in the worker process:\nTraceback")
        assert "child.py" not in error.__notes__[0]
        assert called(path) == [str(each) for each in range(place + 1)]

    @pytest.mark.parametrize("place", range(4))
    def test_a_call_that_cannot_be_pickled_fails_alone(self, shared, path, place):
        calls = [("note", path, each) for each in range(4)]
        calls[place] = ("same", there.Unpicklable())
        *before, (succeeded, error) = outcomes_of(shared, *calls)
        assert before == [(True, each) for each in range(place)]
        assert (succeeded, type(error)) == (False, ArgumentsError)
        assert called(path) == [str(each) for each in range(place)]

    @pytest.mark.parametrize("place", range(4))
    @pytest.mark.parametrize(
        ("bad", "kind"),
        [
            (("same", there.Unloadable()), ArgumentsError),
            (("make", there.Unpicklable), ResultError),
            (("generator",), ResultError),
            (("throw", SystemExit, 3), SystemExit),
            (("throw", StopIteration), StopIteration),
        ],
        ids=["arrives unloadable", "result unpicklable", "generator", "exit", "stop"],
    )
    def test_what_cannot_travel_fails_alone(self, shared, path, place, bad, kind):
        calls = [("note", path, each) for each in range(4)]
        calls[place] = bad
        *before, (succeeded, error) = outcomes_of(shared, *calls)
        assert before == [(True, each) for each in range(place)]
        assert (succeeded, type(error)) == (False, kind)
        assert called(path) == [str(each) for each in range(place)]

    def test_what_items_share_their_copies_do_not(self, shared):
        """However they are put together: else a chunk's length would tell."""
        one = there.Shared()
        assert outcomes_of(shared, *[("grow", one)] * 4) == [(True, 1)] * 4

    def test_what_results_share_their_copies_do_not(self, shared):
        results = [value for _, value in outcomes_of(shared, *[("the_same",)] * 4)]
        assert len({id(each) for each in results}) == 4

    def test_one_that_is_left_in_the_middle_stays_in_step(self, shared, path):
        outcomes = shared.run_chunk(calls_of(*(("note", path, each) for each in range(6))))
        assert next(outcomes) == (True, 0)
        outcomes.close()


class TestResultsThatCannotBeUnpickledHere:
    @pytest.mark.parametrize("redeliver", [True, False])
    @pytest.mark.parametrize("place", range(4))
    def test_one_fails_alone(self, redeliver, place):
        with target_of(redeliver=redeliver) as target:
            calls = [("same", each) for each in range(4)]
            calls[place] = ("make", there.Unloadable)
            *before, (succeeded, error) = outcomes_of(target, *calls)
            assert before == [(True, each) for each in range(place)]
            assert (succeeded, type(error)) == (False, ResultError)
            assert outcomes_of(target, *calls[place + 1 :]) == [(True, each) for each in range(place + 1, 4)]

    def test_what_may_not_be_made_twice_has_not_begun_behind_it(self, path):
        with target_of(redeliver=False) as target:
            outcomes = outcomes_of(target, ("make", there.Unloadable), ("note", path, 1), ("note", path, 2))
            assert len(outcomes) == 1
            assert called(path) == []

    def test_at_most_one_chunk_is_made_twice(self, path):
        with target_of() as target:
            for _ in range(2):
                outcomes_of(target, ("make", there.Unloadable), *(("note", path, each) for each in range(5)))
            assert called(path) == ["0", "1", "2"] or called(path) == [str(each) for each in range(5)]


class TestLoss:
    @pytest.mark.parametrize("place", range(6))
    def test_the_call_that_it_was_at_is_made_again_and_those_behind_only_once(self, path, tmp_path, place):
        calls = [("note", path, each) for each in range(6)]
        calls[place] = ("note_and_die_once", path, place, tmp_path / "mark")
        with target_of() as target:
            outcomes = outcomes_of(target, *calls)
        assert [succeeded for succeeded, _ in outcomes] == [True] * 6
        assert [value for _, value in outcomes][:place] == list(range(place))
        seen = called(path)
        assert [seen.count(str(each)) for each in range(place + 1, 6)] == [1] * (5 - place)
        assert seen.count(str(place)) == 2
        assert max(seen.count(str(each)) for each in range(6)) == 2

    @pytest.mark.parametrize("place", range(6))
    def test_one_that_kills_two_fails_and_no_other_does(self, path, place):
        calls = [("note", path, each) for each in range(6)]
        calls[place] = ("note_and_die_always", path, place)
        with target_of() as target:
            *before, (succeeded, error) = outcomes_of(target, *calls)
            assert before == [(True, each) for each in range(place)]
            assert not succeeded
            assert isinstance(error, WorkerLostError)
            assert "by SIGKILL), the second with the same item" in str(error)
            assert not any(str(each) in called(path) for each in range(place + 1, 6))
            assert outcomes_of(target, *calls[place + 1 :]) == [(True, each) for each in range(place + 1, 6)]

    @pytest.mark.parametrize("place", range(6))
    def test_without_redelivery_it_fails_and_nothing_is_made_twice(self, path, place):
        calls = [("note", path, each) for each in range(6)]
        calls[place] = ("note_and_die_always", path, place)
        with target_of(redeliver=False) as target:
            *before, (succeeded, error) = outcomes_of(target, *calls)
            assert before == [(True, each) for each in range(place)]
            assert not succeeded
            assert "the item is not sent again" in str(error)
            assert outcomes_of(target, *calls[place + 1 :]) == [(True, each) for each in range(place + 1, 6)]
        assert called(path) == [str(each) for each in range(6)]

    @pytest.mark.parametrize("redeliver", [True, False])
    def test_one_that_died_between_chunks_is_held_against_nobody(self, redeliver):
        with target_of(redeliver=redeliver) as target:
            pid = target("pid")
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            assert outcomes_of(target, ("same", 1), ("same", 2)) == [(True, 1), (True, 2)]

    def test_a_killed_chunk_is_not_made_again(self, path, tmp_path):
        told = []
        with target_of() as target:
            pid = target("pid")

            def work():
                told.extend(
                    outcomes_of(
                        target,
                        ("note", path, "first"),
                        ("say_and_wait", tmp_path / "begun"),
                        ("note", path, "behind"),
                    )
                )

            thread = threading.Thread(target=work)
            thread.start()
            there.wait_for(tmp_path / "begun")
            target.kill()
            thread.join(DEADLINE)
            succeeded, error = told[-1]
            assert (succeeded, type(error)) == (False, WorkerLostError)
            assert "SIGKILL), and the item is not sent again" in str(error)
            ((succeeded, error),) = outcomes_of(target, ("same", 1), ("same", 2))
            assert "nobody waits for it" in str(error)
            target.renew()
            assert target("pid") != pid
        assert called(path) == ["first"]


class TestTime:
    def test_a_slow_call_hides_none_that_is_done(self, shared, tmp_path):
        """The slow one ends only when the results before it are here, all of one message."""
        gate = tmp_path / "gate"
        calls = [("same", each) for each in range(10)] + [("wait_for", gate)] + [("same", None)] * 20
        outcomes = shared.run_chunk(calls_of(*calls))
        assert [next(outcomes) for _ in range(10)] == [(True, each) for each in range(10)]
        gate.touch()
        assert [succeeded for succeeded, _ in outcomes] == [True] * 21


class TestBytes:
    def test_eight_mebibytes_both_ways_stand_in_nobodys_way(self, shared):
        """Neither side reads while it writes, if it has to: two that both wrote would wait for ever."""
        data = [os.urandom(8 << 20) for _ in range(4)]
        assert [value for _, value in outcomes_of(shared, *(("same", each) for each in data))] == data

    def test_many_that_fill_both_ways(self, shared):
        data = [os.urandom(100_000) for _ in range(60)]
        assert [value for _, value in outcomes_of(shared, *(("same", each) for each in data))] == data

    def test_a_message_carries_about_a_mebibyte(self, monkeypatch):
        sizes = []
        joined = messages.joined

        def watched(kind, pickles):
            sizes.append((len(pickles), sum(map(len, pickles))))
            return joined(kind, pickles)

        monkeypatch.setattr("asyncdataflow._processes.series.joined", watched)
        with target_of() as target:
            data = [bytes(each) for each in (*[400_000] * 7, 3 << 20, *[10] * 20)]
            outcomes = outcomes_of(target, *(("same", each) for each in data))
        assert [value for _, value in outcomes] == data
        assert sum(count for count, _ in sizes) == len(data)
        assert all(count == 1 or size <= messages.MOST_BYTES for count, size in sizes)

    def test_results_are_not_kept_until_the_last(self, shared):
        """Small calls with large results: the process does not hold them all."""
        before = shared("peak_memory")
        outcomes = shared.run_chunk(calls_of(*[("make", bytes, 4 << 20)] * 40))
        assert all(succeeded and len(value) == 4 << 20 for succeeded, value in outcomes)
        assert shared("peak_memory") - before < 60 << 20


def test_what_a_process_sent_before_it_died_still_arrives(path, monkeypatch):
    monkeypatch.setattr(series, "MOST_BYTES", 1000)
    data = bytes(600)
    with target_of(redeliver=True) as target:
        outcomes = target.run_chunk(
            calls_of(("note_size", path, data), ("note_size", path, data), ("die_of", data))
        )
        assert next(outcomes) == (True, 600)
        os.waitid(os.P_PID, target._process._process.pid, os.WEXITED | os.WNOWAIT)
        assert next(outcomes) == (True, 600)
        assert called(path) == ["600", "600"]
        ((succeeded, error),) = outcomes
        assert not succeeded
        assert "the second with the same item" in str(error)
