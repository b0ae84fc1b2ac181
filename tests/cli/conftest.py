"""A folder of its own for every test of the command."""

from __future__ import annotations

import textwrap

import pytest

FLOW = """
from asyncdataflow import DataFlow, stage

def numbers(limit: int):
    yield from range(limit)

async def square(n: int) -> int:
    return n * n

flow = DataFlow((numbers, square))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder):
    """Writes a file there."""

    def write(name, text):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def squares(write):
    """A flow whose module has a name that no other test uses."""
    return write("squares.py", FLOW)
