"""``graph``: pictures of a flow."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import invoke


@pytest.mark.parametrize(
    ("form", "begins"),
    [("text", "numbers [thread]"), ("mermaid", "flowchart LR"), ("dot", "digraph"), ("svg", "<svg ")],
)
def test_every_form(squares, form, begins):
    done = invoke("graph", "squares:flow", "--format", form)
    assert done.exit_code == 0
    assert done.stdout.startswith(begins)


@pytest.mark.parametrize(
    ("name", "begins"), [("a.svg", "<svg "), ("a.mmd", "flowchart"), ("a.gv", "digraph"), ("a", "numbers")]
)
def test_a_file_says_by_its_name_what_it_is(squares, folder, name, begins):
    done = invoke("graph", "squares:flow", "-o", name)
    assert (done.exit_code, done.stdout) == (0, "")
    assert (folder / name).read_text().startswith(begins)


def test_as_json(squares):
    told = json.loads(invoke("graph", "squares", "--json").stdout)
    assert told["edges"] == [{"source": "numbers", "target": "square", "dead_letters": False}]
    assert told["outputs"] == ["square"]


@pytest.mark.parametrize(
    ("name", "says"),
    [("w.png", "nothing is drawn as .png"), ("no/dir/w.svg", "no/dir/w.svg: cannot be written")],
)
def test_a_file_that_cannot_be_is_refused(squares, folder, name, says):
    done = invoke("graph", "squares:flow", "-o", name)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output
    assert not (folder / name).exists()
