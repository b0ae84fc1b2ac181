"""SqliteTransactionalSink: items as rows, and how far their source is done, in one transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ...abc import Commits, Positions, TransactionalSink
from ...errors import FencedError
from ..own_thread import OwnThread, own_thread
from ..positions import read_position, write_position
from .database import checked_name, quoted
from .rows import Columns
from .target import OpenTarget, Target

__all__ = ("SqliteTransactionalSink",)


class SqliteTransactionalSink(TransactionalSink[Any]):
    """Items as rows of a table, with their source's positions in the same transaction.

    Both are there, or neither: a source that goes on after these positions writes each item once,
    however often its program is killed. Positions are kept for a name and the name of the source's
    stage. A run that finds that they were moved by another since it looked writes nothing and
    raises, so that a program that was taken for dead and is not does not write twice either.

    Args:
        path: The database; made where it is not there.
        table: The table.
        columns: As in :class:`~asyncdataflow.connectors.sqlite.SqliteSink`.
        key: As there; not needed to write items once.
        chunk: Most items in one transaction.
        create: As there.
        name: Under which the positions are kept: one for each flow that writes to this table.
            The default is the table's.
        positions_table: The table of positions; made where it is not there.
        patience: Most seconds to wait for a lock.

    Raises:
        ValueError: An option is out of its range.

    Opened and written to, it raises what ``SqliteSink`` does, and ``FencedError`` where another run
    has moved the positions.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str,
        *,
        columns: Columns | None = None,
        key: Sequence[str] = (),
        chunk: int = 1000,
        create: str | None = None,
        name: str | None = None,
        positions_table: str = "asyncdataflow_positions",
        patience: float = 5.0,
    ) -> None:
        self._target = Target(
            "SqliteTransactionalSink",
            path,
            table,
            columns=columns,
            key=key,
            chunk=chunk,
            create=create,
            patience=patience,
        )
        self._name = checked_name("SqliteTransactionalSink(name=)", table if name is None else name)
        self._positions_table = checked_name("SqliteTransactionalSink(positions_table=)", positions_table)
        self.chunk = chunk

    def __repr__(self) -> str:
        return f"SqliteTransactionalSink({self._target.path!r}, {self._target.table!r})"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Commits[Any]]:
        """Enter to connect; leave to disconnect."""
        async with own_thread(f"write {self._target.path}") as thread:
            yield _Commits(thread, await thread.call(self._opened, thread))

    def _opened(self, thread: OwnThread) -> _Session:
        target = self._target.open(thread)
        stored = _Stored(target.database.connection, self._positions_table, self._name)
        target.database.write("creating the table of positions", stored.create)
        return _Session(target, stored)


class _Commits:
    """A session, on the loop."""

    def __init__(self, thread: OwnThread, session: _Session) -> None:
        self._thread = thread
        self._session = session

    async def positions(self, source: str) -> Positions:
        """What was stored for a source, by its stage's name; empty at first."""
        return await self._thread.call(self._session.positions, source)

    async def write(self, items: Sequence[Any], positions: Mapping[str, Positions]) -> None:
        """Store items and positions in one transaction, both or neither."""
        await self._thread.call(self._session.write, items, positions)


class _Session:
    """The same in its thread."""

    def __init__(self, target: OpenTarget, stored: _Stored) -> None:
        self._target = target
        self._database = target.database
        self._stored = stored
        # Of each source, what is stored for it as far as this session knows.
        self._known: dict[str, dict[str, str]] = {}

    def positions(self, source: str) -> dict[Hashable, Any]:
        known = self._database.read("reading the positions", lambda: self._stored.read(source))
        self._known[source] = known
        return {read_position(partition): read_position(position) for partition, position in known.items()}

    def write(self, items: Sequence[Any], positions: Mapping[str, Positions]) -> None:
        moved = {
            source: {write_position(partition): write_position(at) for partition, at in each.items()}
            for source, each in positions.items()
        }
        rows = self._target.rows(items)

        def store() -> None:
            for source, each in moved.items():
                self._move(source, each)
            self._target.insert(rows)

        self._database.write("writing", store)
        for source, each in moved.items():
            self._known[source].update(each)

    def _move(self, source: str, positions: Mapping[str, str]) -> None:
        if source not in self._known:
            self._known[source] = self._stored.read(source)
        known = self._known[source]
        for partition, position in positions.items():
            if self._stored.read_one(source, partition) != known.get(partition):
                raise FencedError(
                    f"another run has moved the positions of the source {source!r} since this one looked; "
                    "one flow runs once at a time, or under another name="
                )
            self._stored.write(source, partition, position)


class _Stored:
    """The table of positions."""

    def __init__(self, connection: sqlite3.Connection, table: str, name: str) -> None:
        self._connection = connection
        self._table = quoted(table)
        self._name = name

    def create(self) -> None:
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (sink TEXT NOT NULL, source TEXT NOT NULL, "
            "partition TEXT NOT NULL, position TEXT NOT NULL, "
            "PRIMARY KEY (sink, source, partition)) WITHOUT ROWID"
        )

    def read(self, source: str) -> dict[str, str]:
        found = self._connection.execute(
            f"SELECT partition, position FROM {self._table} WHERE sink = ? AND source = ?",  # noqa: S608 - quoted
            (self._name, source),
        )
        return dict(found.fetchall())

    def read_one(self, source: str, partition: str) -> str | None:
        found = self._connection.execute(
            f"SELECT position FROM {self._table} "  # noqa: S608 - quoted
            "WHERE sink = ? AND source = ? AND partition = ?",
            (self._name, source, partition),
        ).fetchone()
        return None if found is None else str(found[0])

    def write(self, source: str, partition: str, position: str) -> None:
        self._connection.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?) "  # noqa: S608 - quoted
            "ON CONFLICT (sink, source, partition) DO UPDATE SET position = excluded.position",
            (self._name, source, partition, position),
        )
