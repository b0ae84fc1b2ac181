"""``check``: what is known of a flow before it runs."""

from __future__ import annotations

import json

from tests.cli.command import invoke

MISFIT = """
from asyncdataflow import DataFlow

def numbers():
    yield 1

def name(n: int) -> str:
    return str(n)

def double(n: int) -> int:
    return 2 * n

flow = DataFlow((numbers, name, double))
"""


def test_a_flow_with_nothing_wrong(squares):
    done = invoke("check", "squares.py", "limit=3", "--workers", "square=4")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "dataflow: 2 stages, 1 edges",
        f"  numbers: thread, {squares}:4",
        f"  square: loop ×4, {squares}:7",
        "memory: at most 265 source items at once",
        "delivery: nothing is promised: no source can be told what became of its items",
        "nothing is wrong",
    ]


def test_nothing_of_it_runs(write, folder):
    write("marks.py", "from pathlib import Path\nflow = (lambda: Path('ran').touch(),)\n")
    assert invoke("check", "marks.py").exit_code == 0
    assert not (folder / "ran").exists()


def test_types_that_cannot_fit_are_told_with_file_and_line(write):
    path = write("misfit.py", MISFIT)
    done = invoke("check", "misfit.py")
    assert done.exit_code == 2
    assert f"wrong: definition[1] (name) at {path}:7 makes str" in done.output
    assert f"definition[2] (double) at {path}:10 takes int" in done.output


def test_parameters_are_checked_where_any_are_given(squares):
    assert invoke("check", "squares.py").exit_code == 0
    done = invoke("check", "squares.py", "limt=3")
    assert done.exit_code == 2
    assert "did you mean 'limit'" in done.output


def test_as_json(squares):
    told = json.loads(invoke("check", "squares.py", "--json").stdout)
    assert told["ok"]
    assert told["problems"] == []
    assert [each["name"] for each in told["stages"]] == ["numbers", "square"]
    assert told["bound"]["source_items"] > 128
    assert told["delivery"] is None


def test_what_is_promised_of_a_source_that_is_answered(folder):
    told = json.loads(invoke("check", "jsonl:x.jsonl | str", "--json").stdout)
    assert told["delivery"] == "at_least_once"


def test_a_definition_that_would_stand_still(write):
    write(
        "stuck.py",
        """
        from asyncdataflow import DataFlow, batch, stage, zip_
        def left(n): return n
        def both(left, batch): return left
        flow = DataFlow((range(9), (stage(left, buffer=1), batch(500)), zip_, both))
        """,
    )
    done = invoke("check", "stuck.py", "--json")
    assert done.exit_code == 2
    told = json.loads(done.stderr)
    assert "nothing would move any more" in told["error"]["text"]
    assert told["error"]["where"].endswith("stuck.py:5")
    assert told["exit_code"] == 2


def test_names_are_written_without_what_a_terminal_obeys(write):
    write(
        "named_badly.py",
        "from asyncdataflow import stage\n"
        "flow = (range(3), stage(str, name='a\\nwrong: b\\x1b[2J\\u202ec'))\n",
    )
    done = invoke("check", "named_badly.py")
    assert done.exit_code == 0, done.output
    assert "  a\\nwrong: b\\x1b[2J\\u202ec: " in done.output
