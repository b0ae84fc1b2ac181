"""``asyncdataflow test``: the tests of a flow, or the flow itself in many orders of events."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from ..testing.report import Report
from ..testing.simulate import simulate
from .arguments import Asked, flow_arguments, prepare
from .failure import FAILED, USAGE, Refused, reported
from .output import say, say_as_json

__all__ = ("command",)


@click.command("test")
@flow_arguments
@click.option(
    "--simulate", "seeds", type=click.IntRange(min=1), metavar="SEEDS", help="Simulate the flow itself."
)
@click.option(
    "--pytest", "extra", default="", metavar="ARGUMENTS", help='For pytest, as in --pytest "-k orders -x".'
)
@reported
def command(
    asked: Asked,
    *,
    as_json: bool,
    seeds: int | None,
    extra: str,
) -> int:
    """Run the tests of a flow, or simulate it.

    Of NAME.py: test_NAME.py beside it, or below tests/, with pytest.

    Without a flow: all tests that pytest finds. With --simulate the flow itself is run under so many
    orders of events, on virtual time, and what has to hold of every run is checked.

    Exit code: 0 where all passed, 1 where a test failed, 2 where there was none to run.
    """
    if seeds is not None:
        prepared = prepare(asked)
        return _told(simulate(lambda: prepared.flow, prepared.params, seeds=seeds), as_json=as_json)
    if importlib.util.find_spec("pytest") is None:
        raise Refused("pytest is not installed: pip install pytest")
    if len(asked.arguments) > 1 or asked.modules or asked.config or asked.workers:
        raise Refused("tests bring their own parameters: name the flow alone, or add --simulate")
    tests = [_tests_of(asked.arguments[0], asked.app_dir or Path())] if asked.arguments else []
    return _run_pytest([*map(str, tests), *shlex.split(extra)], as_json=as_json)


def _tests_of(target: str, folder: Path) -> Path:
    name = target.partition(":")[0]
    module = Path(name if name.endswith(".py") else f"{name.replace('.', '/')}.py")
    if module.name.startswith("test_"):
        return folder / module
    beside = folder / module.with_name(f"test_{module.name}")
    tried = [beside, folder / "tests" / beside.name, beside.parent / "tests" / beside.name]
    for each in tried:
        if each.is_file():
            return each
    raise Refused(
        f"there are no tests of {name}: {' and '.join(dict.fromkeys(map(str, tried)))} are not there"
    )


def _run_pytest(arguments: Sequence[str], *, as_json: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command_line = [
            sys.executable,
            "-m",
            "pytest",
            *arguments,
            *([f"--junitxml={report}"] if as_json else []),
        ]
        out: Any = sys.stderr.fileno() if as_json else None
        done = subprocess.run(command_line, check=False, stdout=out)  # noqa: S603 - no shell, and the user's own words
        if as_json:
            say_as_json(_read(report))
    return done.returncode if done.returncode in (0, FAILED) else USAGE


def _read(report: Path) -> dict[str, Any]:
    """The counts, and the tests that failed."""
    if not report.exists():
        return {"tests": 0, "failed": [], "skipped": 0}
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
    failed = [each for each in cases if each.find("failure") is not None or each.find("error") is not None]
    return {
        "tests": len(cases),
        "failed": [f"{each.get('classname')}::{each.get('name')}" for each in failed],
        "skipped": sum(each.find("skipped") is not None for each in cases),
    }


def _told(report: Report, *, as_json: bool) -> int:
    if as_json:
        failures = [{"where": each.where, "error": str(each.error)} for each in report.failures]
        say_as_json({"runs": report.runs, "passed": report.passed, "failures": failures})
    else:
        say(str(report))
    return 0 if report.passed else FAILED
