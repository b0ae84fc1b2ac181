"""What the command writes: without what a terminal obeys, as JSON that any parser takes, wherever it goes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from asyncdataflow.cli.output import as_json
from tests.cli.command import environment, invoke, run_program

HOSTILE = "\x1b]0;owned\x07\x1b[31m\x9b31m\r\u202e"
FLOW = f"""
import logging
from asyncdataflow import DataFlow, stage

HOSTILE = {HOSTILE!r}

def one():
    yield HOSTILE

def fail(item):
    error = ValueError(item)
    error.add_note(f"a note, {{item}}")
    raise error

def log(item):
    logging.getLogger("mine").warning("got %s", item)

echo = DataFlow((one, str))
fails = DataFlow((one, fail), name=HOSTILE)
logs = DataFlow((one, log))
names = DataFlow((one, stage(str, name=HOSTILE)), name=HOSTILE)
"""
LACKING = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def hostile(write):
    return write("hostile.py", FLOW)


def run_to(stdout, folder, *arguments, **options):
    command = [sys.executable, "-m", "asyncdataflow", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), stdout=stdout, check=False, **options)


def obeyed(text):
    return [each for each in text if not each.isprintable() and each not in "\n\t"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "hostile.py:fails"],
        ["run", "hostile.py:fails", "--log-level", "debug"],
        ["run", "hostile.py:fails", "--json"],
        ["run", "hostile.py:echo", "--json"],
        ["run", "hostile.py:logs"],
        ["run", "hostile.py:echo", HOSTILE],
        ["check", "hostile.py:names"],
        ["check", "hostile.py:names", "--json"],
        ["graph", "hostile.py:names"],
        ["graph", "hostile.py:names", "--json"],
        ["graph", "hostile.py:names", "--format", "svg"],
        ["list", HOSTILE],
        ["new", HOSTILE],
        ["check", "-c", HOSTILE],
        ["check", f"hostile.py:{HOSTILE}"],
    ],
)
def test_nothing_that_a_terminal_obeys_is_written(hostile, folder, arguments):
    _, out, err = run_program(*arguments, cwd=folder)
    assert obeyed("\n".join(out)) == []
    assert obeyed(err) == []
    assert out or err


def test_a_note_is_told_without_what_a_terminal_obeys(hostile, folder):
    _, _, err = run_program("run", "hostile.py:fails", cwd=folder)
    assert "a note, \\x1b]0;owned\\x07\\x1b[31m\\x9b31m\\r\\u202e" in err.splitlines()


def test_a_result_is_written_as_it_is_but_not_to_a_terminal(hostile, folder):
    piped = run_to(subprocess.PIPE, folder, "run", "hostile.py:echo").stdout
    assert piped == f"{HOSTILE}\n".encode()
    ours, its = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal, os.fdopen(its, "wb") as stdout:
        run_to(stdout, folder, "run", "hostile.py:echo")
        shown = terminal.read(1000)
    assert obeyed(shown.decode().replace("\r\n", "\n")) == []
    assert shown.startswith(b"\\x1b]0;owned")


def test_half_a_character_is_no_reason_to_fail(write, folder):
    write("half.py", "flow = (iter(['\\ud800', 'ä']), str)\n")
    assert run_program("run", "half.py", cwd=folder) == (0, ["\\ud800", "ä"], "")
    assert run_program("run", "half.py", "--json", cwd=folder) == (0, ['"\\ud800"', '"ä"'], "")
    assert run_program("run", "half.py", cwd=folder, PYTHONIOENCODING="ascii") == (
        0,
        ["\\ud800", "\\xe4"],
        "",
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "null"),
        ([float("inf"), {"a": -float("inf")}], '[null, {"a": null}]'),
        ((1.5, "é", None), '[1.5, "é", null]'),
        ({(1, 2): 3, 4: {5.5: float("nan")}}, '{"(1, 2)": 3, "4": {"5.5": null}}'),
        ({float("nan"): 1}, '{"nan": 1}'),
        ({b"x": Path("a")}, """{"b'x'": "a"}"""),
        ("\x1b\x7f\x9b\u2066", '"\\u001b\\u007f\\u009b\\u2066"'),
    ],
)
def test_json_is_what_any_parser_takes(value, written):
    assert as_json(value) == written
    strict(written)


def test_what_cannot_be_json_is_said_so():
    round_about = []
    round_about.append({(1, 2): round_about})
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (round_about, deep):
        with pytest.raises(ValueError, match=r"it holds itself|it nests too deep"):
            as_json(value)


def test_numbers_that_are_none_are_null_in_results(write):
    write("nan.py", "flow = (iter([float('nan'), [float('-inf')]]), lambda n: n)\n")
    done = invoke("run", "nan.py", "--json")
    assert [strict(each) for each in done.stdout.splitlines()] == [None, [None]]


@LACKING
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "squares.py"],
        ["check", "squares.py", "--json"],
        ["graph", "squares.py"],
        ["graph", "squares.py", "--json"],
        ["list"],
        ["list", "--json"],
        ["new", "demo"],
        ["--help"],
        ["run", "--help"],
        ["run", "squares.py", "limit=2", "--json"],
    ],
)
def test_what_cannot_be_written_ends_with_one_and_a_line_at_most(squares, folder, arguments):
    with Path("/dev/full").open("w") as full:
        done = run_to(full, folder, *arguments, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "No space left on device" in done.stderr
    for each in folder.glob("*demo*"):
        each.unlink()
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = run_to(closed, folder, *arguments, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


@LACKING
def test_what_is_wrong_has_its_code_where_it_cannot_be_said(folder):
    with Path("/dev/full").open("w") as full:
        for arguments in (["check", "lost.py"], ["run", "--lost"]):
            done = run_to(subprocess.DEVNULL, folder, *arguments, stderr=full)
            assert done.returncode == 2


def test_wrong_arguments_are_told_as_json_too():
    done = invoke("run", "--lost", "--json")
    assert done.exit_code == 2
    told = strict(done.stderr)
    assert told["exit_code"] == 2
    assert "--lost" in told["error"]["text"]
