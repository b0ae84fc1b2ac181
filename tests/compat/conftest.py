"""async-data-flow 0.0.1, alive in an environment of its own for as long as the session lasts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_REQUIREMENT = "async-data-flow==0.0.1"
_PEER = Path(__file__).with_name("published_peer.py")


class Published:
    """The other end of the pipe."""

    def __init__(self, python: Path, errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [python, "-E", "-s", _PEER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.greeting = self._read()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """What the published package makes of a question."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the published package has ended:\n{self._errors.read_text()}"
        said: dict[str, Any] = json.loads(line)
        return said

    def close(self) -> None:
        """End of input is its end; it is this process's own child and no other that is killed."""
        try:
            self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    """The published package, or a skip that says how to have it."""
    folder = tmp_path_factory.mktemp("published")
    peer = Published(_environment(folder / "environment"), folder / "stderr")
    try:
        assert peer.greeting["version"] == "0.0.1"
        assert Path(peer.greeting["file"]).is_relative_to(folder)
        yield peer
    finally:
        peer.close()


def _environment(folder: Path) -> Path:
    """A virtual environment with the published package; its wheel has this package's import name."""
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--no-deps", _REQUIREMENT],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            _cannot(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return python


def _cannot(why: str) -> None:
    install = f"it is had by: python -m pip install --no-deps {_REQUIREMENT}, in an environment of its own"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"the published package is not there: {install}\n{why}")
    pytest.skip(f"the published package is not there: {install}\n{why}")
