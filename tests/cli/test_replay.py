"""``replay``: dead letters out of a file, back to where they failed."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import invoke

LETTERS = """
from pathlib import Path
from asyncdataflow import DataFlow, dead_letter, stage
from asyncdataflow.connectors.json_lines import JsonLinesSink

def words(count: int):
    yield from ["1", "x", "2", "yy"][:count]

def number(word):
    return len(word) if Path("mended").exists() else int(word)

rejects = dead_letter(JsonLinesSink("rejects.jsonl"))
flow = DataFlow((words, stage(number, on_error=rejects), lambda n: n * 10))
"""


@pytest.fixture
def rejects(write, folder):
    """A flow that has run once, and two of whose items have failed."""
    write("letters.py", LETTERS)
    assert invoke("run", "letters.py", "count=4").stdout == "10\n20\n"
    return folder / "rejects.jsonl"


def test_letters_are_replayed_once(rejects, folder):
    (folder / "mended").touch()
    done = invoke("replay", "rejects.jsonl", "letters.py", "count=4")
    assert (done.exit_code, done.stdout) == (0, "10\n20\n"), done.output
    assert invoke("replay", "rejects.jsonl", "letters.py").stdout == ""
    assert invoke("replay", "./rejects.jsonl", "letters.py", "--again", "--json").stdout == "10\n20\n"


def test_what_fails_again_is_there_for_the_next_time(rejects, folder):
    """Also in the file that is read, which would never end if it were read on."""
    assert invoke("replay", "rejects.jsonl", "letters.py").exit_code == 0
    assert [json.loads(each)["item"] for each in rejects.read_text().splitlines()] == ["x", "yy", "x", "yy"]
    (folder / "mended").touch()
    assert invoke("replay", "rejects.jsonl", "letters.py").stdout == "10\n20\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lost.jsonl", "letters.py"], "there is no such file"),
        (["rejects.jsonl", "letters.py", "cont=4"], "used by nobody"),
        (["rejects.jsonl", "range | str"], "no stage of this flow sends dead letters"),
    ],
)
def test_what_cannot_be_replayed(rejects, arguments, says):
    done = invoke("replay", *arguments)
    assert done.exit_code == 2
    assert says in done.output


def test_what_is_no_letter_fails(rejects, folder):
    rejects.write_text('{"item": 1}\n')
    done = invoke("replay", "rejects.jsonl", "letters.py")
    assert done.exit_code == 1
    assert "replay() takes DeadLetters" in done.stderr
