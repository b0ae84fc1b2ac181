"""``run --reload``: drain and start again when files change, and only where they pass their check."""

from __future__ import annotations

import signal

import pytest

from asyncdataflow.cli import check, reload, run
from asyncdataflow.errors import MissingExtraError
from tests.cli.command import DEADLINE, invoke, program

SAYS = """
import itertools
import threading
from asyncdataflow import DataFlow

def ticks():
    for number in itertools.count():
        yield "{says}"
        threading.Event().wait(0.01)

flow = DataFlow((ticks, {function}))
"""


def lines_until(stream, wanted):
    for line in stream:
        if wanted in line:
            return line
    raise AssertionError(f"{wanted!r} was never written")


@pytest.mark.timeout(2 * DEADLINE)
def test_a_change_is_taken_up_and_a_broken_one_is_not(write, folder):
    pytest.importorskip("watchfiles")
    write("says.py", SAYS.format(says="first", function="str"))
    with program("run", "--reload", "says.py", cwd=folder) as process:
        try:
            lines_until(process.stdout, "first")
            write("says.py", SAYS.format(says="broken", function="unknown"))
            refusal = lines_until(process.stderr, "does not pass its check")
            assert "says.py: changed" in refusal
            lines_until(process.stdout, "first")
            write("says.py", SAYS.format(says="second", function="str"))
            lines_until(process.stdout, "second")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 130


@pytest.mark.timeout(2 * DEADLINE)
def test_what_runs_is_drained_when_the_program_that_watches_is_killed(write, folder):
    pytest.importorskip("watchfiles")
    write("says.py", SAYS.format(says="first", function="str"))
    with program("run", "--reload", "says.py", cwd=folder) as process:
        lines_until(process.stdout, "first")
        process.kill()
        assert process.wait(DEADLINE) == -signal.SIGKILL
        # Whoever runs the flow holds stderr too, which ends with the last of them.
        assert "SIGTERM" in process.stderr.read()


def test_without_watchfiles_it_is_said_what_to_install(squares, monkeypatch):
    def lacking(module, extra, what):
        raise MissingExtraError(f"{what} needs {module}: pip install 'asyncdataflow[{extra}]'")

    monkeypatch.setattr(reload, "need", lacking)
    done = invoke("run", "--reload", "squares.py")
    assert done.exit_code == 2
    assert "pip install 'asyncdataflow[reload]'" in done.output


@pytest.mark.parametrize(
    "more",
    [
        ["--socket", "b.sock", "--drain-timeout", "3", "--log-level=debug", "a=1", "--workers", "square=2"],
        ["-qc", "t.toml", "-m", "squares.py", "--json", "--app-dir", "."],
        ["--socket=b.sock", "a=--socket"],
        ["-q", "--", "a=1"],
    ],
)
def test_a_check_is_given_the_flow_and_nothing_else_of_a_run(squares, monkeypatch, more):
    checked = []

    async def noted(self):
        checked.append(self._checked)
        return 0

    monkeypatch.setattr(reload, "need", lambda *_: None)
    monkeypatch.setattr(reload.Reloading, "run", noted)
    assert invoke("run", "--reload", "squares.py", *more).exit_code == 0
    seen = []
    monkeypatch.setattr(check, "prepare", lambda asked: seen.append(asked) or 1 / 0)
    monkeypatch.setattr(run, "prepare", lambda asked: seen.append(asked) or 1 / 0)
    invoke("run", "squares.py", *more)
    invoke(*checked[0])
    assert len(seen) == 2
    assert seen[0] == seen[1]
