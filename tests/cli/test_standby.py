"""Signals that come to ``run`` while no service takes them."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from asyncdataflow.cli import reload
from asyncdataflow.cli.standby import Standby
from tests.cli.command import DEADLINE, invoke, program

SIGNALS = [(signal.SIGTERM, 0), (signal.SIGINT, 130)]

SLOW = """
import os
import time

from asyncdataflow import DataFlow

def load():
    print("loading", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)

def carefully():
    try:
        load()
    except BaseException as error:
        raise ValueError("it did not load") from error

def carelessly():
    while not os.path.exists("go"):
        try:
            load()
        except BaseException:
            print("not now", flush=True)

{loads}()
flow = DataFlow((range(3), str))
"""

ENDS = """
import asyncio
import atexit
import os
import time

from asyncdataflow import DataFlow

def end():
    print("ending", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)

atexit.register(end)

async def one():
    yield 1
    if os.environ.get("DRAINED"):
        await asyncio.Event().wait()

flow = DataFlow((one, str))
"""


@pytest.fixture
def started(folder):
    """Starts the command, and ends it."""
    processes = []

    def start(*arguments, **environment):
        processes.append(program(*arguments, cwd=folder, **environment))
        return processes[-1]

    yield start
    for each in processes:
        each.kill()
        each.communicate()


def told(process):
    return process.stdout.readline().strip()


@pytest.mark.parametrize("loads", ["load", "carefully"])
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_one_while_the_flow_is_loaded_ends_that(write, started, number, code, loads):
    write("slow.py", SLOW.format(loads=loads))
    process = started("run", "slow.py")
    assert told(process) == "loading"
    process.send_signal(number)
    assert process.communicate(timeout=DEADLINE) == ("", "")
    assert process.returncode == code


def test_a_module_that_goes_on_all_the_same_does_not_begin(write, started, folder):
    write("slow.py", SLOW.format(loads="carelessly"))
    process = started("run", "slow.py")
    assert told(process) == "loading"
    process.send_signal(signal.SIGTERM)
    assert told(process) == "not now"
    (folder / "go").touch()
    assert process.communicate(timeout=DEADLINE)[0].split() == []
    assert process.returncode == 0


def test_the_third_ends_a_module_that_never_ends(write, started):
    write("slow.py", SLOW.format(loads="carelessly"))
    process = started("run", "slow.py")
    for _ in range(2):
        assert told(process) == "loading"
        process.send_signal(signal.SIGTERM)
        assert told(process) == "not now"
    assert told(process) == "loading"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 3
    assert "in load" in err


@pytest.mark.parametrize(("drains", "code"), [(None, 0), *SIGNALS])
@pytest.mark.parametrize("late", [signal.SIGTERM, signal.SIGINT])
def test_one_at_the_end_changes_nothing(write, started, folder, drains, code, late):
    write("ends.py", ENDS)
    process = started("run", "ends.py", DRAINED="1" if drains else "")
    assert told(process) == "1"
    if drains:
        process.send_signal(drains)
    assert told(process) == "ending"
    process.send_signal(late)
    (folder / "go").touch()
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == code, err


def test_at_the_end_too_the_third_ends_it_at_once(write, started):
    write("ends.py", ENDS)
    process = started("run", "ends.py", DRAINED="1")
    assert told(process) == "1"
    process.send_signal(signal.SIGTERM)
    assert told(process) == "ending"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)  # two that come at once may be one
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 3
    assert "in end" in err


ENDLESS = """
import itertools

from asyncdataflow import DataFlow

print("loading", flush=True)
flow = DataFlow((itertools.count, iter))
"""


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))]
)
@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("options", [(), ("--socket", "flow.sock")])
def test_one_at_a_random_time_at_the_start(write, started, number, code, seed, options):
    source = "(str,)" if options else "(itertools.count(), str)"
    write("begins.py", ENDLESS.replace("(itertools.count, iter)", source))
    process = started("run", "begins.py", "--quiet", *options)
    assert told(process) == "loading"
    time.sleep(random.Random(seed).random() / 20)
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == code, err
    assert "Traceback" not in err


@pytest.fixture
def handlers():
    """They are given back."""
    before = {each: signal.getsignal(each) for each, _ in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def test_a_program_that_calls_the_command_has_its_own_handlers_back(write):
    write("few.py", "from asyncdataflow import DataFlow\nflow = DataFlow((range(3), str))\n")
    before = {each: signal.getsignal(each) for each, _ in SIGNALS}
    assert invoke("run", "few.py").exit_code == 0
    assert {each: signal.getsignal(each) for each, _ in SIGNALS} == before


@pytest.mark.usefixtures("handlers")
class TestBetween:
    def test_one_between_loading_and_serving_is_passed_on(self):
        standby, passed = Standby(), []
        assert standby.load(lambda: "flow") == "flow"
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda number, _: passed.append(number))
        standby.pass_on()
        standby.pass_on()
        assert passed == [signal.SIGTERM]

    def test_one_before_loading_is_enough(self):
        standby = Standby()
        os.kill(os.getpid(), signal.SIGINT)
        assert standby.load(lambda: "flow") is None
        assert standby.code == 130

    def test_what_fails_by_itself_is_raised(self):
        with pytest.raises(ZeroDivisionError):
            Standby().load(lambda: 1 / 0)

    async def test_who_reloads_gives_them_back_to_it(self, monkeypatch):
        async def watch(self):
            await self._end.wait()

        monkeypatch.setattr(reload.Reloading, "_watch", watch)
        standby = Standby()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await reload.Reloading(["run"], ["check"], [], standby.pass_on).run() == 0
        os.kill(os.getpid(), signal.SIGTERM)

    async def test_what_was_to_be_ignored_stays_ignored_while_files_are_watched(self, monkeypatch):
        async def watch(self):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            await self._end.wait()

        monkeypatch.setattr(reload.Reloading, "_watch", watch)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert await reload.Reloading(["run"], ["check"], []).run() == 0
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
