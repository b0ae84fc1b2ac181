"""The demo: what lies in its database and its rejects is what a plain loop counts."""

from __future__ import annotations

import ast
import json
import re
import runpy
import sqlite3
import subprocess
import sys
import sysconfig
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from tests.source import ROOT

NAME = "01_stdlib_census.py"
STDLIB = Path(sysconfig.get_path("stdlib"))

FILES = {
    "plain.py": 'def f():\n    "says"\n\nclass A:\n    async def g(self): ...\n    def h(self): ...\n',
    "pack/empty.py": "",
    "pack/deep/latin.py": "# -*- coding: latin-1 -*-\n'\u00e9'\nlambda: 1\n",
    "pack/no_end.py": '"module"',
    "pack/old.py": "print 'no'\n",
    "pack/zero.py": "x = 1\0\n",
    "pack/notes.txt": "def not_python(): ...\n",
    "site-packages/theirs.py": "class Theirs: ...\n",
    "pack/__pycache__/cached.py": "class Cached: ...\n",
}


@pytest.fixture
def small(tmp_path):
    root = tmp_path / "a tree"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    return root


def counted_plainly(root):
    """Rows and rejects by another way: recursion over the tree instead of a walk and a counter."""
    rows, rejects = {}, set()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if {"site-packages", "dist-packages", "__pycache__"} & set(relative.parts) or not path.is_file():
            continue
        source = path.read_bytes()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            rejects.add(relative.as_posix())
        else:
            counter = Definitions()
            counter.visit(tree)
            lines = source.count(b"\n") + source.count(b"\r") - source.count(b"\r\n")
            unended = bool(source) and not source.endswith((b"\n", b"\r"))
            rows[relative.as_posix()] = (lines + unended, *counter.counts)
    return rows, rejects


class Definitions(ast.NodeVisitor):
    def __init__(self):
        self.counts = [0, 0, 0, 0]

    def generic_visit(self, node):
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        for place, kind in enumerate(kinds):
            self.counts[place] += type(node) is kind
        if isinstance(node, (*kinds, ast.Module)):
            first = node.body[0] if node.body else None
            value = first.value if isinstance(first, ast.Expr) else None
            self.counts[3] += (
                isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value != ""
            )
        super().generic_visit(node)


def stored(out):
    with closing(sqlite3.connect(out / "census.db")) as database:
        rows = database.execute("SELECT * FROM files").fetchall()
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    return rows, rejects


def assert_same(out, printed, root):
    expected, unparsable = counted_plainly(root)
    rows, rejects = stored(out)
    assert len(rows) == len(expected)
    assert {path: tuple(counts) for path, *counts in rows} == expected
    assert sorted(each["path"] for each in rejects) == sorted(unparsable)
    assert all(re.match(r"\w+Error: .", each["error"]) for each in rejects)
    sums = [sum(column) for column in zip(*expected.values(), strict=True)]
    names = ("files", "lines", "functions", "coroutines", "classes", "docstrings")
    told = ", ".join(f"{count:,} {of}" for count, of in zip((len(expected), *sums), names, strict=True))
    assert told in printed.splitlines()
    assert f"{len(unparsable)} files do not parse: see {out / 'rejects.jsonl'}" in printed


def test_a_small_tree_is_counted_as_a_plain_loop_counts_it(run_example, small, tmp_path):
    out = tmp_path / "new" / "folder"
    printed = run_example(NAME, "--out", out, "--root", small)
    assert_same(out, printed, small)
    assert {each["path"] for each in stored(out)[1]} == {"pack/old.py", "pack/zero.py"}


def test_a_second_run_replaces_what_the_first_one_left(run_example, small, tmp_path):
    out = tmp_path / "out"
    run_example(NAME, "--out", out, "--root", small)
    (small / "pack" / "old.py").unlink()
    (small / "more.py").write_text("def more(): ...\n")
    printed = run_example(NAME, "--out", out, "--root", small)
    assert_same(out, printed, small)


def test_it_says_how_to_look_at_the_results(run_example, small, tmp_path):
    """The command that it prints runs as it stands, in the folder where it was printed."""
    printed = run_example(NAME, "--root", small)
    (command,) = [line.strip() for line in printed.splitlines() if line.strip().startswith(sys.executable)]
    shown = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert shown.splitlines()[0] == "plain.py 6 2"


def test_each_stage_has_its_figures_in_the_progress_line(run_example, small, tmp_path):
    """Its last line is drawn behind the end: as many were taken as there are files."""
    printed = run_example(NAME, "--root", small)
    (last,) = [line for line in printed.splitlines() if "discover" in line][-1:]
    taken = dict(re.findall(r"(\w+) (\d+) \(0 waiting\)", last))
    assert taken == {
        "discover": "6",
        "read": "6",
        "parse": "6",
        "route": "6",
        "batch": "4",
        "store": "1",
        "reject": "2",
    }


def test_importing_it_runs_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    names = runpy.run_path(str(ROOT / "examples" / NAME), run_name="census")
    assert names["census"].graph.sources[0].name == "discover"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_whole_library_is_counted_as_a_plain_loop_counts_it(run_example, tmp_path):
    printed = run_example(NAME, "--out", tmp_path / "out")
    assert_same(tmp_path / "out", printed, STDLIB)
    assert stored(tmp_path / "out")[0]
