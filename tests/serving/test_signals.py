"""Signals to a service under load, at random times: what was taken is acked or comes again (58-60)."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.programs import DEADLINE
from tests.source import ROOT

SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))]


@pytest.fixture
def start():
    """Start a service, and wait until it works."""
    started = []

    def begin(kind="all", stop_timeout=5.0, word="started"):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.serving.children", kind, str(stop_timeout)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # Signals to its group are none to ours.
            start_new_session=True,
        )
        started.append(child)
        for line in child.stdout:
            if line.strip() == word:
                return child
        raise AssertionError(f"it ended before it said {word!r}: {child.stderr.read()}")

    yield begin
    for each in started:
        if each.poll() is None:
            os.killpg(each.pid, signal.SIGKILL)
        each.communicate()


def ended(child):
    """Its exit status, what it told, and what it said on the way."""
    out, err = child.communicate(timeout=DEADLINE)
    told = next((json.loads(line) for line in out.splitlines() if line.startswith("{")), None)
    return child.returncode, told, err


def check(told):
    """Each message was answered once, and nothing was acked that was not stored."""
    assert sorted(told["acked"] + told["nacked"]) == told["taken"] == list(range(len(told["taken"])))
    assert set(told["acked"]) <= set(told["stored"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_first_lets_everything_settle(start, seed, number, code):
    child = start()
    time.sleep(random.Random(seed).random())
    child.send_signal(number)
    status, told, err = ended(child)
    assert status == code, err
    check(told)
    assert told["nacked"] == [], err
    assert told["stored"] == told["acked"] == told["taken"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_second_stops_it_and_what_is_not_done_comes_again(start, seed):
    child, draw = start(), random.Random(seed)
    time.sleep(draw.random())
    child.send_signal(signal.SIGTERM)
    time.sleep(draw.random() / 20)
    child.send_signal(signal.SIGINT)
    status, told, err = ended(child)
    # It may have been through with its drain. Of two that come at once, either may be taken for the first.
    assert (status == 3 and "stopping; unsettled: " in err) or (status == 0 and not told["nacked"]), err
    check(told)


@pytest.mark.parametrize("seed", SEEDS)
def test_ctrl_c_reaches_the_whole_group_and_is_for_the_service_alone(start, seed):
    child = start()
    time.sleep(random.Random(seed).random())
    os.killpg(child.pid, signal.SIGINT)
    status, told, err = ended(child)
    assert status == 130, err
    check(told)
    assert told["nacked"] == []
    assert "KeyboardInterrupt" not in err


def test_a_manager_that_ends_the_whole_group_loses_nothing(start):
    child = start()
    os.killpg(child.pid, signal.SIGTERM)
    status, told, err = ended(child)
    check(told)
    assert status == 0, err


class TestTheThird:
    def test_ends_the_program_while_a_thread_hangs_and_shows_where(self, start):
        child = start("hangs", stop_timeout=1000, word="hanging")
        for _ in range(3):
            child.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        status, told, err = ended(child)
        assert (status, told) == (3, None)
        assert "in hangs" in err

    def test_ends_the_program_while_the_loop_is_blocked(self, start):
        child = start("blocks", word="hanging")
        for _ in range(3):
            child.send_signal(signal.SIGINT)
            time.sleep(0.2)
        status, told, err = ended(child)
        assert (status, told) == (3, None)
        assert "in hangs" in err


def test_the_deadline_of_a_stop_names_the_thread_and_the_program_ends(start):
    child = start("hangs", stop_timeout=0.2, word="hanging")
    child.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    child.send_signal(signal.SIGTERM)
    status, told, err = ended(child)
    assert status == 3
    check(told)
    assert "thread hangs-0 is still in" in err
    assert "in hangs" in err
