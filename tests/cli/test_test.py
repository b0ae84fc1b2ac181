"""``test``: the tests of a flow, and the flow simulated."""

from __future__ import annotations

import json

from tests.cli.command import invoke, run_program

TESTS = """
from squares import flow

def test_right():
    assert flow(limit=2) == [0, 1]

def test_wrong():
    assert flow(limit=2) == []
"""


def test_tests_that_fail_end_with_one(squares, write, folder):
    write("test_squares.py", TESTS)
    code, out, _ = run_program("test", "squares.py:flow", cwd=folder)
    assert code == 1
    assert any("1 failed, 1 passed" in line for line in out)


def test_as_json_below_tests(squares, write, folder):
    write("tests/test_squares.py", TESTS)
    code, out, err = run_program("test", "squares:flow", "--json", "--pytest", "-k right", cwd=folder)
    assert code == 0, err
    assert [json.loads(each) for each in out] == [{"tests": 1, "failed": [], "skipped": 0}]
    code, out, _ = run_program("test", "squares:flow", "--json", cwd=folder)
    assert code == 1
    assert json.loads(out[0])["failed"] == ["tests.test_squares::test_wrong"]


def test_without_tests_nothing_has_passed(squares, folder):
    done = invoke("test", "squares.py")
    assert done.exit_code == 2
    assert "there are no tests of squares.py" in done.output
    assert run_program("test", cwd=folder)[0] == 2


def test_a_flow_is_simulated(squares):
    done = invoke("test", "squares.py", "limit=3", "--simulate", 20)
    assert done.exit_code == 0, done.output
    assert "20 runs, 0 failed" in done.output


def test_a_simulation_that_fails(write):
    write("fails.py", "def f(n): return 1 / n\nflow = ([1, 0], f)\n")
    write(
        "fails.py",
        "from asyncdataflow import DataFlow\ndef f(n): return 1 / n\nflow = DataFlow((range(2), f))\n",
    )
    done = invoke("test", "fails.py", "--simulate", 3, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert not told["passed"]
    assert "division by zero" in told["failures"][0]["error"]
