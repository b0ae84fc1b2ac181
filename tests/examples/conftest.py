"""How an example is run: as its reader runs it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.source import ROOT


@pytest.fixture
def run_example(tmp_path):
    """Run an example by its file's name in an empty folder; the text that it prints."""

    def run(name, *arguments, cwd=tmp_path):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(ROOT / "examples" / name), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout

    return run
