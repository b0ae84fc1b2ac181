"""What names a flow, and what is said where it names none."""

from __future__ import annotations

import sys

import pytest

from asyncdataflow.cli.failure import Refused
from asyncdataflow.cli.loading import load
from tests.cli.command import invoke, run_program


@pytest.fixture(autouse=True)
def _clean():
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith("asyncdataflow"):
            del sys.modules[name]


@pytest.mark.parametrize(
    "target", ["squares:flow", "squares.py:flow", "squares", "squares.py", "./squares.py:flow"]
)
def test_a_flow_by_module_or_path(squares, target):
    assert load(target)(limit=3) == [0, 1, 4]


def test_a_flow_within_a_package_and_an_object(write):
    write("outer/__init__.py", "")
    write(
        "outer/inner.py",
        "from asyncdataflow import DataFlow\nclass Flows:\n    one = DataFlow((range(2),))\n",
    )
    assert load("outer.inner:Flows.one")() == [0, 1]
    assert load("outer/inner.py:Flows.one")() == [0, 1]


def test_a_definition_is_a_flow_too(write):
    write("defined.py", "steps = (range(3), str)\n")
    assert load("defined:steps")() == ["0", "1", "2"]


def test_text_with_the_names_of_modules_then_operators_then_builtins(write):
    write("named.py", "def read():\n    yield 3\ndef twice(n): return 2 * n\ndef str(n): return f'own {n}'\n")
    assert load("read | twice, twice | merge | str", ["named"])() == ["own 6", "own 6"]
    assert load("read | twice", ["named.py"])() == [6]
    assert load("read | float", ["named.py"])() == [3.0]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nowhere:flow", "there is no module 'nowhere'"),
        ("nowhere.py:flow", "there is no file"),
        ("squares:flwo", "did you mean 'flow'"),
        ("squares:square", "is a function, and a DataFlow or a definition is needed"),
        ("numbers | square", "-m names the module"),
    ],
)
def test_what_names_no_flow_is_refused(squares, target, says):
    with pytest.raises(Refused, match=says):
        load(target)


def test_a_missing_module_within_the_user_s_is_not_taken_for_theirs(write):
    write("lacking.py", "import nowhere_at_all\n")
    with pytest.raises(Refused, match="lacking cannot be loaded: ModuleNotFoundError") as caught:
        load("lacking:flow")
    assert "lacking.py:1" in caught.value.where


@pytest.mark.parametrize(
    ("code", "line"),
    [("x = 1\nraise ValueError('no')\n", 2), ("x = 1\n\nx = = 2\n", 3), ("\nx = unknown\n", 2)],
)
def test_a_module_that_raises_is_told_with_its_line(write, code, line):
    write("broken.py", code)
    done = invoke("check", "broken.py")
    assert done.exit_code == 2
    assert f"broken.py:{line}: broken.py cannot be loaded" in done.output


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys\n\nsys.exit(0)\n", "ends the program when it is loaded; put that under if __name__"),
        ("import asyncio\n\nraise asyncio.CancelledError\n", "cannot be loaded: CancelledError"),
    ],
)
def test_a_module_that_ends_the_program_is_refused(write, code, says):
    write("ends.py", code)
    done = invoke("check", "ends.py")
    assert done.exit_code == 2
    assert "ends.py:3: ends.py" in done.output
    assert says in done.output


def test_a_wrong_definition_is_told_with_its_line_and_place(write):
    write("wrong.py", "from asyncdataflow import DataFlow\n\nflow = DataFlow(\n    (range(3), 7)\n)\n")
    done = invoke("check", "wrong.py")
    assert done.exit_code == 2
    assert "wrong.py:3: definition[1]" in done.output
    assert "Traceback" not in done.output


def test_a_file_in_the_place_of_another_module_is_refused(write):
    write("json.py", "flow = (range(3),)\n")
    with pytest.raises(Refused, match="Python has another module 'json'"):
        load("json.py:flow")


def test_the_current_folder_is_not_looked_in_where_python_is_told_so(squares):
    """As ``python -P`` does for itself."""
    import subprocess

    from tests.cli.command import environment

    command = [sys.executable, "-P", "-m", "asyncdataflow", "check", "squares:flow"]
    done = subprocess.run(
        command, cwd=squares.parent, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no module 'squares'" in done.stderr


def test_app_dir_is_looked_in(folder, write):
    write("inside/hidden_away.py", "flow = (range(2),)\n")
    assert invoke("check", "hidden_away:flow").exit_code == 2
    assert invoke("check", "hidden_away:flow", "--app-dir", "inside").exit_code == 0


def test_functions_of_a_path_are_found_by_worker_processes(write, folder):
    write(
        "processes.py",
        """
        from asyncdataflow import DataFlow, stage

        def double(n):
            return 2 * n

        flow = DataFlow((range(3), stage(double, executor="process")))
        """,
    )
    code, out, err = run_program("run", "processes.py:flow", cwd=folder)
    assert (code, out, err) == (0, ["0", "2", "4"], "")


@pytest.mark.parametrize("target", ["", ":flow", "a..b", "\0.py", "a\0b", "a" * 5000, "a" * 5000 + ".py"])
def test_what_can_be_no_name_is_refused_in_a_sentence(folder, target):
    done = invoke("check", target)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("text", "line"), [("import json\njson.loads('{')", 2), ("\nbroken(", 2)])
def test_a_module_that_fails_is_told_by_its_own_lines(write, text, line):
    path = write("fails_to_load.py", text)
    done = invoke("check", "fails_to_load.py")
    assert done.exit_code == 2
    assert f'File "{path}", line {line}' in done.stderr
    assert "asyncdataflow/cli" not in done.stderr
    assert "importlib" not in done.stderr
