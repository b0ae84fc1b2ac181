"""The house keeps its shape: sizes, floors, names, and what no file may have."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys

import pytest

from tests.source import PACKAGE, ROOT, Function, functions, module_name, modules, tree

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_RUNTIME = 11_600
MOST_LINES_OF_A_TEST_FILE = 600
MOST_LINES_OF_A_FUNCTION = 50

LONG_FUNCTIONS: dict[str, str] = {
    # "asyncdataflow.module.function": "why it reads better whole",
}

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "core", "base"}

FILES = [pytest.param(path, id=module_name(path)) for path in modules()]


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def code_lines(function: Function) -> int:
    """Lines of a function without its docstring: a contract may be as long as it has to be."""
    body = function.body
    told = ast.get_docstring(function, clean=False) is not None
    docstring = body[0].end_lineno - body[0].lineno + 1 if told else 0
    return function.end_lineno - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", FILES)
def test_a_file_has_one_concept_and_fits_in_the_head(path):
    assert lines(path) <= MOST_LINES_OF_A_FILE, "split it by concept"


def test_most_files_are_small():
    sizes = [lines(path) for path in modules()]
    assert statistics.median(sizes) <= 200
    assert statistics.quantiles(sizes, n=10)[-1] <= 350


def test_most_functions_are_small():
    sizes = [code_lines(node) for path in modules() for _, node in functions(path)]
    assert statistics.median(sizes) <= 8
    assert statistics.quantiles(sizes, n=10)[-1] <= 25


def test_no_function_is_long_but_those_with_a_reason():
    long = {
        f"{module_name(path)}.{name}"
        for path in modules()
        for name, node in functions(path)
        if code_lines(node) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == set(LONG_FUNCTIONS)


def test_the_runtime_stays_what_one_person_can_know():
    """A folder from the first day, because a runtime is what grows into one god file."""
    files = sorted((PACKAGE / "_runtime").glob("*.py"))
    assert len(files) >= 8
    assert sum(lines(path) for path in files) <= MOST_LINES_OF_RUNTIME


def test_no_test_file_grows_into_a_heap():
    too_long = {
        str(path.relative_to(ROOT)): lines(path)
        for path in (ROOT / "tests").rglob("*.py")
        if lines(path) > MOST_LINES_OF_A_TEST_FILE
    }
    assert not too_long


@pytest.mark.parametrize("path", FILES)
def test_a_name_says_what_is_inside(path):
    assert path.stem.strip("_") not in EMPTY_NAMES


@pytest.mark.parametrize("path", FILES)
def test_nothing_is_printed(path):
    """What a library prints, its user cannot stop; the command line writes through click."""
    calls = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls


@pytest.mark.parametrize("path", FILES)
def test_no_import_of_our_own_inside_a_function(path):
    """Such an import hides a circle from the reader, and from the contracts of the floors."""
    inside = {
        f"line {node.lineno}"
        for _, function in functions(path)
        for node in ast.walk(function)
        if (isinstance(node, ast.ImportFrom) and (node.level > 0 or is_ours(node.module)))
        or (isinstance(node, ast.Import) and any(is_ours(each.name) for each in node.names))
    }
    assert not inside


@pytest.mark.parametrize("path", [each for each in FILES if each.id != "asyncdataflow.__main__"])
def test_no_module_imports_the_root(path):
    """The root re-exports everything, so importing it from below is a circle in disguise."""
    depth = len(path.relative_to(PACKAGE).parts)
    below = {each.stem for each in PACKAGE.glob("*.py")} | {
        each.parent.name for each in PACKAGE.glob("*/*.py")
    }
    roots = [
        node.lineno
        for node in ast.walk(tree(path))
        if (
            isinstance(node, ast.ImportFrom)
            and node.level == depth
            and node.module is None
            and not {each.name for each in node.names} <= below
        )
        or (isinstance(node, ast.ImportFrom) and node.level == 0 and is_ours(node.module))
        or (isinstance(node, ast.Import) and any(is_ours(each.name) for each in node.names))
    ]
    assert not roots, "import from the module that has it, relatively"


def is_ours(name):
    return name is not None and name.partition(".")[0] == "asyncdataflow"


def test_only_the_interop_imports_aiostream():
    """It is GPL, and the core has to work where it is not installed."""
    importers = {
        module_name(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.ImportFrom) and node.level == 0 and node.module.startswith("aiostream"))
        or (isinstance(node, ast.Import) and any(each.name.startswith("aiostream") for each in node.names))
    }
    assert importers <= {"asyncdataflow.interop.aiostream"}


def test_imports_go_down_the_floors():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_test_file_mirrors_a_place():
    """``tests/x/test_y.py`` tests ``asyncdataflow/x``; a folder that mirrors nothing is a mistake."""
    lanes = {
        "property",
        "differential",
        "simulation",
        "mutants",
        "chaos",
        "soak",
        "integration",
        "typing",
        "examples",
    }
    folders = {
        path.parent.relative_to(ROOT / "tests").parts[0]
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.parent != ROOT / "tests"
    }
    packages = {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= packages | lanes | {each.lstrip("_") for each in packages}


def committed_files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_machine():
    """A path of the machine where it was written is wrong on every other."""
    # In pieces, so that this file does not find itself.
    places = ["/" + "work/", "/" + "root/", "/" + "home/", "/" + "Users/", "/" + "tmp/"]
    pattern = re.compile("|".join(rf"(?<![\w./-]){place}" for place in places))
    found = []
    for path in committed_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    assert not found, "\n".join(found)
