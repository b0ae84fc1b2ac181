"""Target: the table that a sink writes to, and the options that all such sinks have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..checks import refuse_unless_seconds, refuse_unless_whole
from ..own_thread import OwnThread
from .database import Database, checked_database
from .rows import Columns, Row, Rows

__all__ = ("OpenTarget", "Target")


class Target:
    """Where a sink writes.

    Args:
        what: The sink, for errors.
        path: The database.
        table: The table.
        columns: See :data:`Columns`.
        key: Columns by which a row is known.
        chunk: Most items in one transaction.
        create: A statement to run first.
        patience: Most seconds to wait for a lock.

    Attributes:
        path: The database.
        table: The table.

    Raises:
        ValueError: An option is out of its range.
    """

    def __init__(
        self,
        what: str,
        path: str | os.PathLike[str],
        table: str,
        *,
        columns: Columns | None,
        key: Sequence[str],
        chunk: int,
        create: str | None,
        patience: float,
    ) -> None:
        self.path = checked_database(f"{what}(path)", path)
        self._rows = Rows(what, self.path, table, columns, key)
        self.table = self._rows.table
        refuse_unless_whole(f"{what}(chunk=)", chunk)
        refuse_unless_seconds(f"{what}(patience=)", patience)
        self._create = create
        self._patience = patience

    def open(self, thread: OwnThread) -> OpenTarget:
        """Connect, in the session's thread, which disconnects.

        Raises:
            StorageError: The database says no, or the table is not as it has to be.
        """
        database = Database(self.path, writes=True, patience=self._patience)
        thread.closing.callback(database.close)
        if self._create is not None:
            create = self._create
            database.write("create=", lambda: database.connection.execute(create))
        names = database.read("looking at the table", lambda: self._rows.look(database.connection))
        return OpenTarget(database, self._rows, names)


class OpenTarget:
    """The same in a session, in its thread.

    Attributes:
        database: The connection.
    """

    def __init__(self, database: Database, rows: Rows, names: frozenset[str]) -> None:
        self.database = database
        self._rows = rows
        self._names = names

    def rows(self, items: Sequence[Any]) -> list[Row]:
        """See :meth:`Rows.rows`."""
        return self._rows.rows(items, self._names)

    def insert(self, rows: Sequence[Row]) -> None:
        """See :meth:`Rows.insert`."""
        self._rows.insert(self.database.connection, rows)
