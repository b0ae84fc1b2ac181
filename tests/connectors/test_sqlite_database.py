from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from asyncdataflow.connectors.sqlite.database import Database
from asyncdataflow.errors import StorageBusyError


class Refusing(sqlite3.Connection):
    """Says that it is busy, at once, so often: as to one of two processes that make the file together."""

    times = 2

    def execute(self, statement, *parameters):
        if "journal_mode" in statement and self.times:
            self.times -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return super().execute(statement, *parameters)


@pytest.fixture
def refused(monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **given: connect(*args, factory=Refusing, **given))


def test_of_two_that_make_a_file_at_once_neither_fails(tmp_path, refused):
    path = str(tmp_path / "db")
    with closing(Database(path, writes=True, patience=20)) as database:
        assert database.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_it_is_told_when_patience_is_at_its_end(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(Refusing, "times", 1_000_000)
    with pytest.raises(StorageBusyError, match="opening failed: database is locked"):
        Database(str(tmp_path / "db"), writes=True, patience=0)
