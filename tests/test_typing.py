"""Types are tested like behaviour: ``tests/typing`` says what mypy must know, and must refuse."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.source import ROOT

pytest.importorskip("mypy")


def mypy(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mypy", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_mypy_knows_what_is_asserted_and_refuses_what_is_wrong():
    done = mypy("tests/typing")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_can_fail(tmp_path):
    """A wrong assertion and an unused ignore are errors, or the test above would prove nothing."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from typing import assert_type\n"
        "from asyncdataflow.stage import Stage, stage\n"
        "def double(number: int) -> int: return number * 2\n"
        "assert_type(stage(double), Stage[int, str])\n"
        "stage(double)  # type: ignore[call-overload]\n"
    )
    done = mypy(str(wrong))
    assert "[assert-type]" in done.stdout
    assert "[unused-ignore]" in done.stdout
