"""SqliteSink: items as rows of a table."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ...abc import Sink
from ..checks import refuse_unless_seconds, refuse_unless_whole
from ..own_thread import OwnThread, own_thread
from .database import Database, checked_database
from .rows import Columns, Rows

__all__ = ("SqliteSink",)


class SqliteSink(Sink[Any]):
    """Items as rows of a table, each write one transaction that is on the disk when it returns.

    With ``key`` a row that has the key already is updated, so that an item which is written twice is
    there once: its ``effect`` is ``"idempotent"``.

    Args:
        path: The database; made where it is not there.
        table: The table.
        columns: The columns that are written. Names: an item is a mapping that has them, or a list
            or tuple in their order. A mapping of names to callables: each makes a column's value of
            an item; called in the session's thread. ``None``: an item is a mapping, and its keys
            are the columns.
        key: Columns by which a row is known, which the table has as its primary key or in a unique
            index.
        chunk: Most items in one transaction.
        create: A statement to run first: ``"CREATE TABLE IF NOT EXISTS …"``.
        patience: Most seconds to wait for a lock.

    Attributes:
        effect: ``"idempotent"`` with a key, else ``"plain"``.

    Raises:
        ValueError: An option is out of its range.

    Opened and written to, it raises ``RejectedItemError`` where an item is no row or the table does
    not take it, ``StorageFullError`` where there is no room, ``StorageBusyError`` where another
    holds the lock for too long, ``CorruptStorageError`` where the file is none of a database, and
    ``StorageError`` for all else; nothing of that write is there then. Once the disk has failed to
    keep what it took, no further write of the session is tried.

    Example:
        >>> import sqlite3
        >>> from contextlib import closing
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.connectors.sqlite import SqliteSink
        >>> create = "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, state TEXT)"
        >>> jobs = SqliteSink("jobs.db", "jobs", key=["id"], create=create)
        >>> list(DataFlow((jobs,)).iterate(items=[{"id": 1, "state": "new"}, {"id": 1, "state": "done"}]))
        []
        >>> with closing(sqlite3.connect("jobs.db")) as connection:
        ...     connection.execute("SELECT * FROM jobs").fetchall()
        [(1, 'done')]
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
        patience: float = 5.0,
    ) -> None:
        self._path = checked_database("SqliteSink(path)", path)
        self._rows = Rows("SqliteSink", self._path, table, columns, key)
        refuse_unless_whole("SqliteSink(chunk=)", chunk)
        refuse_unless_seconds("SqliteSink(patience=)", patience)
        self.chunk = chunk
        self.effect = "idempotent" if key else "plain"
        self._create = create
        self._patience = patience

    def __repr__(self) -> str:
        return f"SqliteSink({self._path!r}, {self._rows.table!r})"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        """Enter to connect and get the function that writes; leave to disconnect."""
        async with own_thread(f"write {self._path}") as thread:
            database, names = await thread.call(self._opened, thread)

            async def write(item: Any) -> None:
                await thread.call(self._write, database, names, [item] if self.chunk == 1 else item)

            yield write

    def _opened(self, thread: OwnThread) -> tuple[Database, frozenset[str]]:
        database = Database(self._path, writes=True, patience=self._patience)
        thread.closing.callback(database.close)
        if self._create is not None:
            create = self._create
            database.write("create=", lambda: database.connection.execute(create))
        return database, database.read("looking at the table", lambda: self._rows.look(database.connection))

    def _write(self, database: Database, names: frozenset[str], items: Sequence[Any]) -> None:
        rows = self._rows.rows(items, names)
        database.write("writing", lambda: self._rows.insert(database.connection, rows))
