"""A program dies in each window of a commit and is started again: each item is stored once (E51)."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from asyncdataflow.connectors.sqlite import SqliteTransactionalSink
from asyncdataflow.errors import FencedError, RejectedItemError, StorageBusyError, StorageError
from tests.dying_flow import DIED, command, offset_of, told, write_lines

ITEMS = 90
LIVES = (1, 2, 4)
"""Of each life, how often the point is passed until it dies there."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def live(point="", turn=1):
    """Run the flow until it ends or dies: its exit code, and how many items it began and ended to write."""
    done = subprocess.run(**command(point, turn), check=False, timeout=60)
    return done.returncode, *told(done.stdout)


def stored():
    """What lies in the table, in its order, and where the source stands."""
    if not Path("facts.db").exists():
        return [], []
    with closing(sqlite3.connect("facts.db")) as connection:
        ids = [each for (each,) in connection.execute("SELECT id FROM facts ORDER BY rowid")]
        positions = connection.execute("SELECT position FROM asyncdataflow_positions").fetchall()
        return ids, [offset_of(each) for (each,) in positions]


UNDONE = ["before it begins", "begun", "positions written", "half of the items written", "both written"]
DONE = ["committed", "returned"]


@pytest.mark.parametrize("point", [*UNDONE, *DONE, "before the source hears"])
def test_a_program_that_dies_in_a_window_of_a_commit_stores_each_item_once(folder, point):
    ends = write_lines(ITEMS)
    there = 0
    for turn in LIVES:
        code, begun, ended = live(point, turn)
        assert code == DIED, "it never came to this point"
        ids, positions = stored()
        # What a window says of the write that it is in: nothing of it is there, or all.
        least = there + (begun if point in DONE else ended)
        most = there + (ended if point in UNDONE else begun)
        assert least <= len(ids) <= most
        assert ids == list(range(1, len(ids) + 1))
        assert positions == ([ends[len(ids) - 1]] if ids else [])
        there = len(ids)
    assert there < ITEMS
    code, begun, ended = live()
    assert (code, begun, ended) == (0, ITEMS - there, ITEMS - there)
    assert stored() == (list(range(1, ITEMS + 1)), [ends[-1]])


def test_started_again_when_all_is_stored_it_writes_nothing(folder):
    write_lines(ITEMS)
    code, begun, _ = live("returned", 10_000)
    assert (code, begun) == (0, ITEMS)
    os.unlink("kept.json")  # the sink's positions count, not the source's own
    assert live() == (0, 0, 0)
    assert stored()[0] == list(range(1, ITEMS + 1))


def sink(**options):
    return SqliteTransactionalSink("facts.db", "facts", create="CREATE TABLE facts (id INTEGER)", **options)


async def test_a_commit_that_was_done_and_said_to_have_failed_is_not_repeated(folder, monkeypatch):
    """Written again, it is refused; the next session's positions tell that it is there."""
    failing = []

    class Connection(sqlite3.Connection):
        def execute(self, statement, *values):
            done = super().execute(statement, *values)
            if statement == "COMMIT" and failing:
                raise sqlite3.OperationalError(failing.pop())
            return done

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{"factory": Connection, **k}))
    async with sink().open() as commits:
        await commits.write([{"id": 1}], {"lines": {"a": 10}})
        failing.append("nobody can tell")
        with pytest.raises(StorageError, match="nobody can tell"):
            await commits.write([{"id": 2}], {"lines": {"a": 20}})
        with pytest.raises(FencedError):
            await commits.write([{"id": 2}], {"lines": {"a": 20}})
    async with SqliteTransactionalSink("facts.db", "facts").open() as commits:
        assert await commits.positions("lines") == {"a": 20}
        await commits.write([{"id": 3}], {"lines": {"a": 30}})
    assert stored() == ([1, 2, 3], [30])


async def test_a_transaction_that_the_database_has_undone_is_told(folder):
    async with sink().open() as commits:
        with closing(sqlite3.connect("facts.db")) as other, other:
            other.execute(
                "CREATE TRIGGER never BEFORE INSERT ON facts WHEN new.id = 3 "
                "BEGIN SELECT RAISE(ROLLBACK, 'no threes'); END"
            )
        await commits.write([{"id": 1}], {"lines": {"a": 10}})
        with pytest.raises(RejectedItemError, match="no threes"):
            await commits.write([{"id": 2}, {"id": 3}], {"lines": {"a": 30}})
        assert await commits.positions("lines") == {"a": 10}
        await commits.write([{"id": 2}], {"lines": {"a": 20}})
    assert stored() == ([1, 2], [20])


async def test_a_transaction_that_does_not_get_its_turn_is_told(folder):
    async with sink(patience=0.01).open() as commits:
        with closing(sqlite3.connect("facts.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageBusyError, match="database is locked"):
                await commits.write([{"id": 1}], {"lines": {"a": 10}})
        await commits.write([{"id": 1}], {"lines": {"a": 10}})
    assert stored() == ([1], [10])
