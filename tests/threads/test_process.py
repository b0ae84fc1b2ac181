"""A worker process and the thread that owns it: whatever an item does, the two stay in step."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import threading

import psutil
import pytest

from asyncdataflow._processes.spawned import SpawnedProcess
from asyncdataflow._threads import process
from asyncdataflow._threads.process import ProcessTarget
from asyncdataflow.errors import (
    ArgumentsError,
    RemoteError,
    ResultError,
    ShutdownTimeoutError,
    WorkerLostError,
)
from tests import process_functions as there

DEADLINE = 30
"""Seconds until something that another process does counts as failed; never waited for in full."""


pytestmark = pytest.mark.usefixtures("light_processes")


def target_of(function, *, many=False, redeliver=True, **per_worker):
    spawn = functools.partial(SpawnedProcess, "work", pickle.dumps((function, {}, per_worker)))
    return ProcessTarget("work", spawn, redeliver=redeliver, many=many)


@pytest.fixture(scope="module")
def shared():
    """One process for the tests that leave it alive."""
    with target_of(there.perform) as target:
        yield target


@pytest.fixture(scope="module")
def shared_many():
    with target_of(there.iterate, many=True) as target:
        yield target


def wait_until(condition):
    """Another process cannot set an event of ours."""
    pause = threading.Event()
    for _ in range(DEADLINE * 1000):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("in vain")


class TestCall:
    def test_calls_are_made_in_one_process_which_is_gone_in_the_end(self):
        with target_of(there.perform) as target:
            pid = target("pid")
            assert pid != os.getpid()
            assert target("pid") == pid
            assert target("same", None) is None
        assert not psutil.pid_exists(pid)

    def test_it_ignores_sigint_and_blocks_nothing(self, shared):
        """Ctrl-C reaches the whole foreground group; what it means is for the parent to decide."""
        assert shared("sigint_mask") == (False, signal.SIG_IGN)

    def test_sigint_while_it_is_being_started_does_not_end_it(self):
        target, pids = target_of(there.perform), []

        def start():
            with target:
                pids.append(target("pid"))

        before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        thread = threading.Thread(target=start)
        thread.start()
        wait_until(lambda: target._process is not None)
        os.kill(target._process._process.pid, signal.SIGINT)
        thread.join(DEADLINE)
        assert len(pids) == 1
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before

    def test_a_mebibyte_goes_both_ways(self, shared):
        data = os.urandom(1 << 20)
        assert shared("same", data) == data


class TestErrors:
    """Invariant 43: an item's trouble is its own."""

    @pytest.fixture(autouse=True)
    def _the_process_stays(self, shared):
        pid = shared("pid")
        yield
        assert shared("same", "in step") == "in step"
        assert shared("pid") == pid

    @pytest.mark.parametrize(
        "error", [ValueError, EOFError, ConnectionResetError, BrokenPipeError, OSError, KeyError, SystemExit]
    )
    def test_what_the_function_raises_is_raised_here(self, shared, error):
        """Also where it is what a broken pipe would raise: that says nothing about ours."""
        with pytest.raises(error) as caught:
            shared("throw", error, "text")
        assert caught.value.args == ("text",)
        (note,) = caught.value.__notes__
        assert note.startswith("in the worker process:\nTraceback")
        assert "in throw" in note
        assert "child.py" not in note

    @pytest.mark.parametrize(
        ("error", "args", "kept"),
        [
            (there.TwoArgumentsError, (1, "x"), {"args": ("1: x",), "code": 1}),
            (there.FrozenError, ("x",), {"args": ("x",), "text": "x"}),
            (there.TextlessError, (), {"args": ()}),
        ],
    )
    def test_one_that_is_not_made_of_its_arguments_is_itself_too(self, shared, error, args, kept):
        with pytest.raises(error) as caught:
            shared("throw", error, *args)
        assert {name: getattr(caught.value, name) for name in kept} == kept
        (note,) = caught.value.__notes__
        assert note.startswith("in the worker process:\nTraceback")
        assert "in throw" in note

    @pytest.mark.parametrize(
        ("call", "told"),
        [
            (("throw", there.UnpicklableError, "x"), "UnpicklableError: x"),
            (("throw", there.HomeboundError, "x"), "HomeboundError: x"),
            (("throw", there.HoldsALockError, "x"), "HoldsALockError: x"),
            (("throw_local",), "LocalError: mine"),
        ],
    )
    def test_what_cannot_be_rebuilt_here_is_described(self, shared, call, told):
        with pytest.raises(RemoteError) as caught:
            shared(*call)
        assert told in str(caught.value)
        assert f"in {call[0]}" in str(caught.value)

    def test_a_result_that_cannot_be_pickled(self, shared):
        with pytest.raises(
            ResultError, match=r"cannot be sent from the worker process \(TypeError: has a lock\)"
        ):
            shared("make", there.Unpicklable)

    def test_a_result_that_cannot_be_unpickled(self, shared):
        with pytest.raises(ResultError, match=r"cannot be unpickled here \(ValueError: cannot be loaded\)"):
            shared("make", there.Unloadable)

    def test_a_generator_object(self, shared):
        with pytest.raises(ResultError, match="many=True"):
            shared("generator")

    def test_an_item_that_cannot_be_pickled(self, shared):
        with pytest.raises(
            ArgumentsError, match=r"cannot be sent to a worker process \(TypeError: has a lock\)"
        ):
            shared("same", there.Unpicklable())

    def test_an_item_that_cannot_be_unpickled_there(self, shared):
        with pytest.raises(ArgumentsError, match=r"cannot be unpickled in the worker process \(ValueError"):
            shared("same", there.Unloadable())


class TestLoss:
    def test_an_item_whose_process_dies_is_sent_to_a_fresh_one(self, tmp_path):
        with target_of(there.perform) as target:
            pid = target("pid")
            assert target("die_once", tmp_path / "mark") == "alive"
            assert target("pid") != pid

    @pytest.mark.parametrize(
        ("how", "told"),
        [(None, "exit code 7"), (signal.SIGKILL, "by SIGKILL"), (signal.SIGSEGV, "by SIGSEGV")],
    )
    def test_an_item_that_kills_two_fails_alone(self, how, told):
        with target_of(there.perform) as target:
            with pytest.raises(
                WorkerLostError, match=f"of work died \\({told}\\), the second with the same item"
            ):
                target("die", how)
            assert target("same", 1) == 1

    def test_an_exception_that_kills_who_loads_it_never_reaches_this_process(self):
        with target_of(there.perform) as target:
            with pytest.raises(WorkerLostError, match="the second with the same item"):
                target("throw_deadly")
            assert target("same", 1) == 1

    def test_without_redelivery_it_is_called_once(self, tmp_path):
        path = tmp_path / "calls"
        with target_of(there.perform, redeliver=False) as target:
            with pytest.raises(WorkerLostError, match="the item is not sent again"):
                target("note_and_die", path)
            assert target("same", 1) == 1
        assert path.read_text() == "called\n"

    @pytest.mark.parametrize("redeliver", [True, False])
    def test_one_that_died_between_items_is_not_held_against_the_next(self, redeliver, tmp_path):
        with target_of(there.perform, redeliver=redeliver) as target:
            psutil.Process(target("pid")).kill()
            wait_until(target._process.has_died)
            assert target("same", 1) == 1
            if redeliver:
                psutil.Process(target("pid")).kill()
                wait_until(target._process.has_died)
                assert target("die_once", tmp_path / "mark") == "alive"

    def test_one_that_died_before_the_end_is_logged(self, caplog):
        with target_of(there.perform) as target:
            psutil.Process(target("pid")).kill()
            wait_until(target._process.has_died)
        assert "died before it could clean up" in caplog.text

    def test_one_that_is_lost_while_starting_is_replaced(self, tmp_path):
        own = functools.partial(there.die_once, tmp_path / "mark")
        with target_of(there.with_own, own=own) as target:
            assert target(1)[1] == "alive"

    def test_two_that_die_while_starting_say_what_may_be_wrong(self):
        with (
            pytest.raises(WorkerLostError, match=r"died while starting \(exit code 7\).*__main__") as caught,
            target_of(there.with_own, own=there.die),
        ):
            pass
        assert "work" in str(caught.value)


class TestOwn:
    def test_what_a_process_has_of_its_own_is_made_and_left_there(self, tmp_path):
        path = tmp_path / "left"
        with target_of(there.with_own, own=functools.partial(there.own_in, path)) as target:
            item, own, pid = target(5)
            assert (item, own) == (5, pid)
        assert path.read_text() == "(None, None, None)"

    def test_what_cannot_be_made_is_raised_on_starting(self):
        with (
            pytest.raises(ValueError, match="cannot be made"),
            target_of(there.with_own, own=there.raise_value_error),
        ):
            pass

    def test_what_raises_on_leaving_is_raised_on_ending(self):
        with pytest.raises(OSError, match="disk full"), target_of(there.with_own, own=there.FailsOnLeaving):
            pass

    def test_what_is_never_left_is_killed_and_told(self, monkeypatch):
        monkeypatch.setattr(process, "_PATIENCE", 0.05)
        with (
            pytest.raises(ShutdownTimeoutError, match="of work did not clean up"),
            target_of(there.with_own, own=there.NeverLeft) as target,
        ):
            pid = target(1)[2]
        assert not psutil.pid_exists(pid)


class TestKill:
    def test_a_killed_call_is_not_made_again(self, tmp_path):
        path, told = tmp_path / "begun", []
        with target_of(there.perform) as target:
            pid = target("pid")

            def call():
                try:
                    target("say_and_wait", path)
                except WorkerLostError as error:
                    told.append(str(error))

            thread = threading.Thread(target=call)
            thread.start()
            wait_until(path.exists)
            target.kill()
            thread.join(DEADLINE)
            assert told == ["a worker process of work died (by SIGKILL), and the item is not sent again"]
            with pytest.raises(WorkerLostError, match="nobody waits for it"):
                target("same", 1)
            target.renew()
            assert target("pid") != pid

    def test_one_that_is_being_started_dies(self):
        target, told = target_of(there.perform), []

        def start():
            try:
                with target:
                    pass
            except WorkerLostError as error:
                told.append(str(error))

        thread = threading.Thread(target=start)
        thread.start()
        wait_until(lambda: target._process is not None)
        target.kill()
        thread.join(DEADLINE)
        assert len(told) == 1

    def test_before_it_was_started_too(self):
        target = target_of(there.perform)
        target.kill()
        with pytest.raises(WorkerLostError), target:
            pass


class TestIteration:
    @pytest.fixture(autouse=True)
    def _the_process_stays(self, shared_many):
        yield
        assert list(shared_many("items_of", ["in", "step"])) == ["in", "step"]

    @pytest.mark.parametrize("count", [0, 1, 5])
    def test_all_items_come(self, shared_many, count):
        assert list(shared_many("count_to", count)) == list(range(count))

    @pytest.mark.parametrize("taken", [0, 1, 3])
    def test_closed_early_the_generator_is_closed_there(self, shared_many, taken, tmp_path):
        path = tmp_path / "closed"
        items = shared_many("count_to", 10, path)
        assert [next(items) for _ in range(taken)] == list(range(taken))
        items.close()
        assert path.exists() == (taken > 0)

    def test_an_error_comes_behind_the_items(self, shared_many):
        items = shared_many("items_of", [1, 2, there.raise_value_error])
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(ValueError, match="cannot be made"):
            next(items)

    def test_an_error_of_the_call_itself(self, shared_many):
        with pytest.raises(EOFError):
            list(shared_many("throw", EOFError))

    def test_an_error_on_closing(self, shared_many):
        items = shared_many("fail_on_closing")
        assert next(items) == 1
        with pytest.raises(OSError, match="disk full"):
            items.close()

    @pytest.mark.parametrize(
        ("kind", "told"),
        [(there.Unpicklable, "cannot be sent"), (there.Unloadable, "cannot be unpickled here")],
    )
    def test_an_item_that_cannot_travel(self, shared_many, kind, told):
        items = shared_many("items_of", [1, kind, 3])
        assert next(items) == 1
        with pytest.raises(ResultError, match=told):
            next(items)

    def test_a_file_is_not_ours_to_close(self, shared_many):
        assert list(shared_many("make", list, (1, 2))) == [1, 2]


class TestIterationLoss:
    def test_before_the_first_item_it_is_done_again(self, tmp_path):
        with target_of(there.iterate, many=True) as target:
            assert list(target("dying_iterator", 0, tmp_path / "mark")) == ["alive"]

    def test_later_it_fails(self):
        """The first items may be on their way: again, they would come twice."""
        with target_of(there.iterate, many=True) as target:
            items = target("dying_iterator", 2)
            assert [next(items), next(items)] == [0, 1]
            with pytest.raises(WorkerLostError, match="in the middle of what it makes of an item"):
                next(items)
            items = target("count_to", 10)
            next(items)
            target._process.kill()
            with pytest.raises(WorkerLostError):
                items.close()
            assert list(target("count_to", 2)) == [0, 1]
