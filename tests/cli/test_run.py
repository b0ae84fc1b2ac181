"""``run``: a flow as a program, its output and its exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment, invoke, program, run_program

ENDLESS = """
import itertools
import threading

from asyncdataflow import DataFlow

def ticks(stuck: bool = False):
    for number in itertools.count():
        yield number
        if stuck:
            threading.Event().wait()
        threading.Event().wait(0.001)

def told(number):
    return f"tick {number}"

flow = DataFlow((ticks, told))
"""
FAILS = """
from asyncdataflow import DataFlow

def numbers():
    yield 1
    yield 0

def inverse(n):
    return 1 / n

flow = DataFlow((numbers, inverse))
"""


def test_results_are_written_one_a_line(squares, folder):
    assert run_program("run", "squares.py:flow", "limit=3", cwd=folder) == (0, ["0", "1", "4"], "")


def test_results_as_json_or_not_at_all(squares):
    assert invoke("run", "squares", "limit=3", "--json").stdout == "0\n1\n4\n"
    assert invoke("run", "squares", "limit=3", "--quiet").output == ""


def test_a_text_from_file_to_file(write, folder):
    """Connectors by their schemes, functions by their names."""
    write("orders.jsonl", '{"n": 1}\n{"n": 2}\n')
    write(
        "mymodule.py",
        "def enrich(order):\n    return {**order, 'seen': True}\ndef save(order):\n    return order['n']\n",
    )
    text = "jsonl:orders.jsonl | enrich | jsonl:out.jsonl, save"
    assert run_program("run", text, "-m", "mymodule", cwd=folder) == (0, ["1", "2"], "")
    assert [json.loads(each) for each in (folder / "out.jsonl").read_text().splitlines()] == [
        {"n": 1, "seen": True},
        {"n": 2, "seen": True},
    ]


def test_a_file_that_is_not_there_is_said_at_once(folder):
    """By name, and once: nobody waits until it may be there."""
    code, out, err = run_program("run", "jsonl:lost.jsonl | str", cwd=folder)
    assert (code, out) == (1, [])
    assert "lost.jsonl: opening failed: No such file or directory" in err
    assert "opened anew in" not in err
    assert not [line for line in err.splitlines() if line.startswith("  File")], "none of them is the user's"


def test_a_failure_ends_with_one_and_the_user_s_own_lines(write, folder):
    path = write("fails.py", FAILS)
    code, out, err = run_program("run", "fails.py", cwd=folder)
    assert (code, out) == (1, ["1.0"])
    lines = err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{path}", line 9, in inverse'
    assert "ZeroDivisionError: division by zero" in lines
    assert lines[-1] == "in stage inverse (definition[1]), attempt 1 of 1, item: int"
    assert "_runtime" not in err


REMOTE = """
import time

from asyncdataflow import DataFlow, stage

def fail(n):
    error = ValueError("no")
    error.add_note("a note of its own")
    raise error

def sleep(n):
    time.sleep(60)

remote = DataFlow((range(1), stage(fail, executor="process")))
late = DataFlow((range(1), stage(sleep, executor="process", timeout=0.01)))
"""


def test_a_failure_in_a_process_is_told_by_the_user_s_lines_and_each_note_once(write, folder):
    path = write("remote.py", REMOTE)
    code, _, err = run_program("run", "remote.py:remote", cwd=folder)
    assert code == 1
    assert "_runtime" not in err
    assert f'File "{path}", line 9, in fail' in err
    assert err.splitlines().count("a note of its own") == 1


def test_a_failure_without_lines_of_the_user_is_told_by_its_notes(write, folder):
    write("remote.py", REMOTE)
    code, _, err = run_program("run", "remote.py:late", cwd=folder)
    assert code == 1
    assert err.splitlines()[0].startswith("asyncdataflow.errors.StageTimeoutError: no result within")
    assert err.splitlines()[1].startswith("in stage sleep (definition[1])")
    _, _, err = run_program("run", "remote.py:late", "--log-level", "debug", cwd=folder)
    assert "_runtime" in err


def test_a_failure_as_json(write):
    write("fails.py", FAILS)
    done = invoke("run", "fails.py", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stderr)
    assert told["error"]["type"] == "ZeroDivisionError"
    assert told["exit_code"] == 1


@pytest.mark.parametrize(
    "arguments", [["squares.py"], ["squares.py", "limit=x"], ["lost.py"], ["squares.py", "--lost"]]
)
def test_what_cannot_be_started_ends_with_two(squares, arguments):
    assert invoke("run", *arguments).exit_code == 2


@pytest.mark.parametrize("step", ["str.upper", "lambda word: word"])
def test_a_flow_that_needs_items_says_how_it_gets_some(write, step):
    write("needs.py", f"from asyncdataflow import DataFlow\nflow = DataFlow(({step},))\n")
    done = invoke("run", "needs.py")
    assert done.exit_code == 2
    assert "run it with --socket PATH, and asyncdataflow send gives some" in done.stderr
    assert "--socket" in json.loads(invoke("run", "needs.py", "--json").stderr)["error"]["notes"][0]


def test_a_flow_with_a_source_says_that_it_needs_no_socket(write):
    write("has.py", "flow = (range(3), str)\n")
    done = invoke("run", "has.py", "--socket", "has.sock")
    assert done.exit_code == 2
    assert "one that has a source runs without it" in done.stderr
    assert "--socket" not in invoke("run", "has.py", "lost=1").stderr


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_first_signal_drains(write, folder, number, expected):
    write("endless.py", ENDLESS)
    with program("run", "endless.py", cwd=folder) as process:
        first = process.stdout.readline()
        process.send_signal(number)
        # Not by communicate, which loses what readline has read ahead.
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == expected, err
    ticks = [first.strip(), *out.splitlines()]
    assert ticks == [f"tick {number}" for number in range(len(ticks))]
    assert "Traceback" not in err


def test_a_deadline_that_passes_ends_with_three(write, folder):
    write("endless.py", ENDLESS)
    timeouts = ["--drain-timeout", "0.2", "--stop-timeout", "0.2"]
    with program("run", "endless.py", "stuck=true", *timeouts, cwd=folder) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=50)
    assert process.returncode == 3, err
    assert "ticks" in err


STUBBORN = """
import asyncio

from asyncdataflow import DataFlow

async def one():
    yield 1

async def stubborn(item):
    print("begun", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def careless(item):
    global kept
    kept = asyncio.create_task(stubborn(item), name="careless")
    await asyncio.sleep(0)

flow = DataFlow((one, stubborn))
leaves = DataFlow((one, careless))
"""


def test_what_swallows_its_cancellation_does_not_hold_up_the_end(write, folder):
    write("stubborn.py", STUBBORN)
    timeouts = ["--drain-timeout", "0.1", "--stop-timeout", "0.1"]
    with program("run", "stubborn.py", *timeouts, cwd=folder) as process:
        try:
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=50)
        finally:
            process.kill()
    assert process.returncode == 3, err
    assert "stubborn (definition[1]) swallows its cancellation" in err
    assert "left behind" not in err, "told once"


def test_a_task_that_a_stage_has_left_does_not_hold_up_the_end_either(write, folder):
    write("stubborn.py", STUBBORN)
    code, out, err = run_program("run", "stubborn.py:leaves", "--stop-timeout", "0.1", cwd=folder)
    assert (code, out) == (0, ["begun"])
    assert err.splitlines()[-1].endswith("left behind, since it swallows its cancellation: careless")


def test_whoever_reads_may_stop_reading(write, folder):
    write("endless.py", ENDLESS)
    with program("run", "endless.py", cwd=folder) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=50) == 1
    assert err == ""


def test_times_come_from_the_configuration(squares, write):
    write(
        "squares.toml",
        "flow = 'squares.py'\n[params]\nlimit = 1\n[service]\ndrain_timeout = 1\nstop_timeout = 1\n",
    )
    assert invoke("run", "-c", "squares.toml").stdout == "0\n"
    assert invoke("run", "squares.py", "limit=1", "--stop-timeout", "-1").exit_code == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    ("to", "says"), [(">&-", "there is no stdout"), (">/dev/full", "No space left on device")]
)
def test_results_that_cannot_be_written_are_said_in_a_line(squares, folder, to, says):
    shell = ["sh", "-c", f'exec "$0" -m asyncdataflow run squares.py limit=3 --log-level error {to}']
    done = subprocess.run(
        [*shell, sys.executable],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
