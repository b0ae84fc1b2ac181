"""``new``, and the first ten minutes of somebody who has just installed this."""

from __future__ import annotations

import importlib.util
import json

import pytest

from tests.cli.command import invoke, run_program


def test_the_first_ten_minutes(folder):
    """In an empty folder: three commands, and every one does what it says."""
    code, out, err = run_program("new", "demo", cwd=folder)
    assert (code, err) == (0, "")
    commands = [line.split() for line in out if line.startswith("asyncdataflow ")]
    assert [line.split() for line in out if line.startswith("wrote ")] == [
        ["wrote", "demo.py"],
        ["wrote", "test_demo.py"],
        ["wrote", "demo.toml"],
    ]
    bills = [f"order {number}: {(number % 5 + 1) * 10}" for number in range(1, 6)]
    run, configured, test = (run_program(*each[1:], cwd=folder) for each in commands)
    assert run == (0, bills, "")
    assert configured == (0, bills, "")
    assert test[0] == 0
    assert any("2 passed" in line for line in test[1])


def test_what_its_test_needs_is_said_where_it_is_not_there(folder, monkeypatch):
    hint = "pip install pytest"
    assert hint not in invoke("new", "first").output
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pytest" else find(name))
    assert hint in invoke("new", "second").output
    assert hint in (folder / "test_second.py").read_text()


def test_what_is_written_passes_its_own_check(folder):
    assert invoke("new", "written").exit_code == 0
    done = invoke("check", "-c", "written.toml")
    assert done.exit_code == 0, done.output


def test_nothing_is_written_over(folder, write):
    write("mine.toml", "kept\n")
    done = invoke("new", "mine")
    assert done.exit_code == 2
    assert "mine.toml: already there" in done.output
    assert [each.name for each in folder.iterdir()] == ["mine.toml"]
    assert (folder / "mine.toml").read_text() == "kept\n"


@pytest.mark.parametrize("name", ["json", "two words", "class", "test_x", "a-b", "../x"])
def test_names_that_no_module_can_have(folder, name):
    assert invoke("new", name).exit_code == 2
    assert not list(folder.iterdir())


def test_elsewhere_and_as_json(folder):
    told = json.loads(invoke("new", "placed", "--dir", "deep/er", "--json").stdout)
    assert told["written"] == ["deep/er/placed.py", "deep/er/test_placed.py", "deep/er/placed.toml"]
    assert all((folder / each).exists() for each in told["written"])
    assert told["commands"][1] == "asyncdataflow run -c deep/er/placed.toml"


def test_a_folder_that_cannot_be_made_is_said(write):
    write("file", "")
    done = invoke("new", "placed", "--dir", "file/below")
    assert done.exit_code == 2
    assert "file/below: cannot be written: Not a directory" in done.output
