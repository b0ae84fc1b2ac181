"""SqliteSink: items as rows of a table."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ...abc import Sink
from ..own_thread import own_thread
from .rows import Columns
from .target import OpenTarget, Target

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
        self._target = Target(
            "SqliteSink",
            path,
            table,
            columns=columns,
            key=key,
            chunk=chunk,
            create=create,
            patience=patience,
        )
        self.chunk = chunk
        self.effect = "idempotent" if key else "plain"

    def __repr__(self) -> str:
        return f"SqliteSink({self._target.path!r}, {self._target.table!r})"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        """Enter to connect and get the function that writes; leave to disconnect."""
        async with own_thread(f"write {self._target.path}") as thread:
            target = await thread.call(self._target.open, thread)

            async def write(item: Any) -> None:
                await thread.call(_write, target, [item] if self.chunk == 1 else item)

            yield write


def _write(target: OpenTarget, items: Sequence[Any]) -> None:
    rows = target.rows(items)
    target.database.write("writing", lambda: target.insert(rows))
