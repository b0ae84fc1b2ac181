"""Parameters and options of stages from the command line and from a configuration."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import invoke

KINDS = """
from asyncdataflow import DataFlow

def shown(number: int, text: str, flag: bool = False, free=None, names: list[str] = ()):
    yield [number, text, flag, free, names]

flow = DataFlow((shown,))
"""
TUNED = """
from asyncdataflow import DataFlow

def numbers():
    yield from range(3)

def half(n):
    return 6 / n

flow = DataFlow((numbers, half, str))
"""


def shown(*arguments):
    done = invoke("run", "kinds.py", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def stages(*arguments):
    done = invoke("graph", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return {each["name"]: each for each in json.loads(done.stdout)["stages"]}


@pytest.fixture
def kinds(write):
    write("kinds.py", KINDS)


@pytest.fixture
def tuned(write):
    write("tuned.py", TUNED)


def test_parameters_are_what_their_annotations_say(kinds):
    assert shown("number=7", "text=7", "flag=yes", "free=[1, 2]", "names=a,b") == [
        7,
        "7",
        True,
        [1, 2],
        ["a", "b"],
    ]
    assert shown("number=7", "text=a=b", "free=words and more") == [7, "a=b", False, "words and more", []]


def test_the_command_line_goes_before_the_configuration(kinds, write, monkeypatch):
    monkeypatch.setenv("NUMBER", "5")
    write("kinds.toml", "[params]\nnumber = '${NUMBER}'\ntext = 'file'\nflag = true\n")
    assert shown("-c", "kinds.toml") == [5, "file", True, None, []]
    assert shown("-c", "kinds.toml", "number=6", "text=line") == [6, "line", True, None, []]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["number=x", "text=a"], "the parameter 'number': a whole number is needed"),
        (["number=1"], "it needs the parameter 'text'"),
        (["number=1", "text=a", "numbr=2"], "did you mean 'number'"),
        (["number=1", "number=2"], "given twice"),
        (["number=1", "text"], "'text' is no parameter: write name=value"),
        (["--workers", "shown"], "write STAGE=N"),
        (["--workers", "shwn=2"], "did you mean 'shown'"),
        (["--workers", "shown=0"], "N at least 1"),
    ],
)
def test_what_is_wrong_with_arguments(kinds, arguments, says):
    done = invoke("run", "kinds.py", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_workers_and_options_of_stages(tuned, write, monkeypatch):
    write("tuned.toml", "flow = 'tuned.py'\n[stages.half]\nconcurrency = '${N:3}'\nexecutor = 'inline'\n")
    assert stages("tuned.py")["half"]["concurrency"] == 1
    told = stages("-c", "tuned.toml", "--workers", "str=2")
    assert (told["half"]["concurrency"], told["half"]["executor"], told["str"]["concurrency"]) == (
        3,
        "inline",
        2,
    )
    assert stages("-c", "tuned.toml", "--workers", "half=5")["half"]["concurrency"] == 5


def test_policies_of_a_configuration_work(tuned, write, folder):
    write(
        "tuned.toml",
        """
        flow = "tuned.py"
        [stages.half]
        retry = { attempts = 2, backoff = 0.001 }
        on_error = { dead_letter = "jsonl:rejects.jsonl" }
        buffer = { items = 4 }
        rate = 1000
        timeout = "${TIMEOUT:5}"
        """,
    )
    done = invoke("run", "-c", "tuned.toml")
    assert (done.exit_code, done.stdout) == (0, "6.0\n3.0\n")
    (letter,) = map(json.loads, (folder / "rejects.jsonl").read_text().splitlines())
    assert (letter["item"], letter["stage"], letter["attempts"]) == (0, "half", 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("concurency = 2", "stages.half.concurency: a stage has no such option; did you mean 'concurrency'?"),
        ("concurrency = 0", "a whole number of at least 1"),
        ("concurrency = '${A:many}'", "stages.half.concurrency: a whole number is needed"),
        ("retry = { attempt = 2 }", "stages.half.retry.attempt: no such key; did you mean 'attempts'?"),
        ("retry = { jitter = 2 }", "Retry(jitter=)"),
        ("restart = 3", "Restart(…) is needed"),
        ("restart = { jitter = 2 }", "Restart(jitter=)"),
        ("key = 'x'", "this is said in the definition, stage(…, key=…)"),
        ("on_error = { dead_leter = 'x' }", "dead_letter"),
        ("on_error = { dead_letter = 'jsn:x' }", "did you mean 'jsonl'"),
        ("on_error = 'ignore'", '"fail", "skip" or dead_letter(sink)'),
        ("executor = 'loop'", "definition[1] (half)"),
    ],
)
def test_options_that_cannot_be(tuned, write, options, says):
    write("tuned.toml", f"flow = 'tuned.py'\n[stages.half]\n{options}\n")
    done = invoke("check", "-c", "tuned.toml")
    assert done.exit_code == 2
    assert says in done.output


def test_no_flow_at_all(folder):
    assert "which flow?" in invoke("check").output


@pytest.mark.parametrize(
    ("annotation", "written", "value"),
    [
        ("datetime.date", "2026-11-23", "datetime.date(2026, 11, 23)"),
        ("int", "5", "5"),
        ("int | None", "5", "5"),
        ("Literal[1, 2]", "2", "2"),
        ("str", "5", "'5'"),
        ("int | str", "5", "'5'"),
        ("object", "5", "'5'"),
        ("Annotated[str, 'note']", "5", "'5'"),
    ],
)
def test_text_of_a_configuration_is_what_its_annotation_says(write, annotation, written, value):
    write(
        "shown.py",
        "import datetime\nfrom typing import Annotated, Literal\n"
        f"def shown(given: {annotation}):\n    yield repr(given)\nflow = (shown,)\n",
    )
    write("shown.toml", f'flow = "shown.py"\n[params]\ngiven = "{written}"\n')
    assert invoke("run", "-c", "shown.toml").stdout == f"{value}\n"


def test_text_of_a_configuration_that_cannot_be_it_is_refused(squares, write):
    write("five.toml", 'flow = "squares.py"\n[params]\nlimit = "five"\n')
    done = invoke("check", "-c", "five.toml")
    assert done.exit_code == 2
    assert "the parameter 'limit': a whole number is needed" in done.output
