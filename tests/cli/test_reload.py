"""``run --reload``: drain and start again when files change, and only where they pass their check."""

from __future__ import annotations

import signal

import pytest

from asyncdataflow.cli import reload
from asyncdataflow.cli.reload import _for_check
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


def test_without_watchfiles_it_is_said_what_to_install(squares, monkeypatch):
    def lacking(module, extra, what):
        raise MissingExtraError(f"{what} needs {module}: pip install 'asyncdataflow[{extra}]'")

    monkeypatch.setattr(reload, "need", lacking)
    done = invoke("run", "--reload", "squares.py")
    assert done.exit_code == 2
    assert "pip install 'asyncdataflow[reload]'" in done.output


def test_a_check_is_given_what_it_knows():
    asked = ["f.py", "a=1", "-q", "--json", "--drain-timeout", "3", "--log-level=debug", "--workers", "x=2"]
    assert _for_check(asked) == ["f.py", "a=1", "--workers", "x=2"]
