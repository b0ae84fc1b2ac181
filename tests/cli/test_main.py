"""The command itself: its help, its version, and what it costs to start."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata

import pytest

from asyncdataflow.cli.main import COMMANDS, main
from tests.cli.command import environment, invoke, run_program
from tests.source import ROOT


def test_help_names_every_command():
    done = invoke("--help")
    assert done.exit_code == 0
    assert all(f"\n  {name} " in done.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json(name):
    done = invoke(name, "--help")
    assert done.exit_code == 0
    assert "--json" in done.output
    assert "\\b" not in done.output, "of a click that reads the mark itself"


def test_what_the_overview_says_of_commands_is_not_cut_off():
    _, _, overview = invoke("--help").output.partition("Commands:")
    assert "..." not in overview


def test_a_command_that_is_not_there_is_refused():
    done = invoke("rum")
    assert done.exit_code == 2
    assert "No such command 'rum'; did you mean 'run'?" in done.output
    assert "No such command 'dashboard'." in invoke("dashboard").output


def test_the_entry_point_is_this_command():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"asyncdataflow": f"{main.callback.__module__}:{main.name}"}


def test_the_package_is_run_as_the_same_command(folder):
    code, out, err = run_program("--help", cwd=folder)
    assert (code, err) == (0, "")
    assert out[0].startswith("Usage: asyncdataflow ")


def test_the_version_of_what_is_installed_and_of_what_is_not(monkeypatch):
    monkeypatch.setattr(metadata, "version", {"asyncdataflow": "1.2.3"}.__getitem__)
    assert invoke("--version").output == "asyncdataflow 1.2.3\n"

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    done = invoke("--version")
    assert (done.exit_code, done.output) == (0, f"asyncdataflow that is not installed, in {ROOT}\n")


def test_a_command_does_not_load_the_others(folder):
    """A start costs what the command needs, and no more."""
    told = (
        "import sys; from asyncdataflow.cli.main import main\n"
        "try: main(['new', 'demo'])\n"
        "except SystemExit: pass\n"
        "others = ('cli.run', 'cli.list', 'cli.test', 'cli.replay', 'testing')\n"
        "print([each for each in others if f'asyncdataflow.{each}' in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", told],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
