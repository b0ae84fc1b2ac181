"""What users may import is what is said, documented, and free of side effects."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import json
import subprocess
import sys

import pytest

import asyncdataflow
from tests.source import PACKAGE, module_name, public_modules, tree

MODULES = [pytest.param(path, id=module_name(path)) for path in public_modules()]
NEEDS = {
    "asyncdataflow.interop.aiostream": "aiostream",
    "asyncdataflow.observe.opentelemetry": "opentelemetry.trace",
    "asyncdataflow.observe.prometheus": "prometheus_client",
}


def imported(path):
    name = module_name(path)
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return importlib.import_module(name)


def defined_names(path):
    """Public names that a module makes itself; type variables are for its signatures only."""
    found = set()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign) and not is_type_variable(node.value):
            found.update(each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return {name for name in found if not name.startswith("_")}


def is_type_variable(value):
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in {"ParamSpec", "TypeVar", "TypeVarTuple"}
    )


def imported_names(path):
    """Public names that a package's front re-exports."""
    return {
        each.asname or each.name
        for node in tree(path).body
        if isinstance(node, ast.ImportFrom) and node.level > 0
        for each in node.names
    }


def in_order(names):
    """As ruff sorts them: constants, classes, the rest."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))


@pytest.mark.parametrize("path", MODULES)
def test_all_is_what_is_public(path):
    module = imported(path)
    public = defined_names(path)
    listed = list(module.__all__)
    assert listed == in_order(listed)
    assert len(listed) == len(set(listed))
    assert all(hasattr(module, name) for name in listed)
    if path.name == "__init__.py":
        assert public <= set(listed) <= public | imported_names(path)
    else:
        assert set(listed) == public


@pytest.mark.parametrize("path", MODULES)
def test_every_public_name_is_documented(path):
    module = imported(path)
    documented = {*module_docstring_names(path)}
    bare = [
        name
        for name in module.__all__
        if callable(thing := getattr(module, name))
        and (inspect.isclass(thing) or inspect.isroutine(thing))
        and not (thing.__doc__ or "").strip()
        and name not in documented
    ]
    assert module.__doc__
    assert not bare


def module_docstring_names(path):
    """Aliases have no docstring of their own at run time: a string behind them is theirs."""
    body = tree(path).body
    for node, behind in itertools.pairwise(body):
        told = isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant)
        if told and isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))


def test_the_root_names_what_it_imports_and_no_more():
    front = PACKAGE / "__init__.py"
    # pytest rewrites the asserts of a package that has a plugin, with names of its own.
    shown = {name for name in vars(asyncdataflow) if not name.startswith(("_", "@"))}
    submodules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert set(asyncdataflow.__all__) - {"__version__"} == imported_names(front)
    assert shown - submodules - {"annotations"} <= set(asyncdataflow.__all__)
    assert len(asyncdataflow.__all__) <= 60


def test_public_classes_say_that_they_are_the_package_s_own():
    """Tracebacks and pickles name where a user imports from, or at least a module that is there."""
    for name in asyncdataflow.__all__:
        thing = getattr(asyncdataflow, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            home = importlib.import_module(thing.__module__)
            assert getattr(home, thing.__qualname__.partition(".")[0], None) is not None, name


LOOK = """
import json, sys, threading, asyncio
before = sys.getswitchinterval(), threading.active_count()
import asyncdataflow
print(json.dumps({
    "modules": sorted(sys.modules),
    "threads": threading.active_count(),
    "asyncgen_hooks": sys.get_asyncgen_hooks() == (None, None),
    "untouched": (sys.getswitchinterval(), threading.active_count()) == before,
}))
"""


@pytest.fixture(scope="module")
def after_import():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOOK], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("heavy", ["aiostream", "multiprocessing", "click", "sqlite3", "rich"])
def test_importing_the_package_does_not_load(after_import, heavy):
    """What only some flows use is loaded by those."""
    assert heavy not in after_import["modules"]


def test_importing_the_package_starts_nothing(after_import):
    assert after_import["threads"] == 1
    assert after_import["asyncgen_hooks"]
    assert after_import["untouched"]
