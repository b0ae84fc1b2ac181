"""The command in a test: in this process, or as the program that users start."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from importlib import metadata

from click.testing import CliRunner

from asyncdataflow.cli.main import main
from tests.source import ROOT

__all__ = ("environment", "invoke", "program", "run_program")

DEADLINE = 50


def invoke(*arguments):
    """The command in this process; what a flow's module has put into the interpreter is undone."""
    path, modules = list(sys.path), set(sys.modules)
    try:
        return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="asyncdataflow")
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if not name.startswith("asyncdataflow"):
                del sys.modules[name]


def environment(**more):
    """For a program in another folder, also where the package is not installed but lies here."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    told = {**os.environ, "PYTHONPATH": path, **more}
    with contextlib.suppress(metadata.PackageNotFoundError):
        metadata.distribution("asyncdataflow")
        return told
    return {**told, "PYTEST_PLUGINS": "asyncdataflow.pytest_plugin"}


def program(*arguments, cwd, **more):
    """Start the program."""
    return subprocess.Popen(
        [sys.executable, "-m", "asyncdataflow", *map(str, arguments)],
        cwd=cwd,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_program(*arguments, cwd, **more):
    """Run the program to its end: its exit code, the lines that it wrote, what it said on stderr."""
    with program(*arguments, cwd=cwd, **more) as process:
        try:
            out, err = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    return process.returncode, out.splitlines(), err
