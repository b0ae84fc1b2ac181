"""SqliteSource: rows as items, in the order of a key that grows."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ...abc import AckableSource, Positions, Subscription
from ...errors import BadMessageError
from ...policy import Retry
from ..checks import POLITE, refuse_unless_seconds, refuse_unless_whole
from ..marked import Marks
from ..own_thread import OwnThread
from ..subscription import Record
from .database import Database, checked_database, checked_name, quoted

__all__ = ("SqliteSource",)

_ROWID = "rowid"


class SqliteSource(AckableSource[dict[str, Any]]):
    """Rows of a table or a query as items: mappings of columns to values.

    They come in the order of a key, which is an item's position. Keys are numbers or text, no two
    alike, and have to grow: a row that is committed with a key below one that was read is not
    seen. A table's ``rowid`` grows where rows are only added, and for good with
    ``INTEGER PRIMARY KEY AUTOINCREMENT``. What was nacked comes again before new rows do.

    Args:
        path: The database, which is only read.
        table: The table; or else
        query: a ``SELECT`` that has the key among its columns.
        parameters: Values for the ``?`` of the query.
        key: The column that orders; needed for a query.
        columns: The columns of an item; the default is all.
        positions: A small file in which to keep how far it is done. Without it, each run begins at
            the first row.
        follow: Wait for more behind the last row instead of ending.
        poll: Seconds between two looks for more.
        chunk: Most rows that are read at once.
        max_unacked: Most items given and not yet answered.
        redeliver: How often and after which waits something is given again in one session.
        patience: Most seconds to wait for a lock.

    Raises:
        ValueError: An option is out of its range.

    Opened and read, it raises ``BadMessageError`` where a key is not as said above or a text is no
    UTF-8, ``RedeliveryError`` where an item was nacked too often, ``CorruptStorageError``,
    ``StorageBusyError`` or ``StorageError`` where the database says no.

    Example:
        >>> import sqlite3
        >>> from contextlib import closing
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.connectors.sqlite import SqliteSource
        >>> with closing(sqlite3.connect("jobs.db")) as connection, connection:
        ...     _ = connection.execute("CREATE TABLE jobs (n)")
        ...     _ = connection.executemany("INSERT INTO jobs VALUES (?)", [(1,), (2,)])
        >>> DataFlow((SqliteSource("jobs.db", "jobs"), lambda row: row["n"] * 10))()
        [10, 20]
    """

    has_positions = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str | None = None,
        *,
        query: str | None = None,
        parameters: Sequence[Any] = (),
        key: str | None = None,
        columns: Sequence[str] | None = None,
        positions: str | os.PathLike[str] | None = None,
        follow: bool = False,
        poll: float = 0.2,
        chunk: int = 256,
        max_unacked: int = 1000,
        redeliver: Retry = POLITE,
        patience: float = 5.0,
    ) -> None:
        self._path = checked_database("SqliteSource(path)", path)
        self._query = _Query(table, query, parameters, key, columns)
        self._marks = Marks.checked(
            "SqliteSource", positions=positions, follow=follow, poll=poll, redeliver=redeliver
        )
        refuse_unless_whole("SqliteSource(chunk=)", chunk)
        refuse_unless_whole("SqliteSource(max_unacked=)", max_unacked)
        refuse_unless_seconds("SqliteSource(patience=)", patience)
        self.max_unacked = max_unacked
        self._chunk = chunk
        self._patience = patience

    def __repr__(self) -> str:
        return f"SqliteSource({self._path!r}, {self._query.partition!r})"

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncIterator[Subscription[dict[str, Any]]]:
        """Enter to connect, behind ``after`` or the kept positions; leave to disconnect."""
        async with self._marks.session(f"read {self._path}", after, self._opened) as session:
            yield session

    def _opened(self, thread: OwnThread, start: Positions) -> Callable[[], list[Record[dict[str, Any]]]]:
        after = start.get(self._query.partition)
        if after is not None and not _is_key(after):
            raise ValueError(f"{self._path}: a position is a number or text, not {after!r}")
        database = Database(self._path, writes=False, patience=self._patience)
        thread.closing.callback(database.close)
        reader = _Reader(self._path, database, self._query, after, self._chunk)
        reader.look()
        return reader.read


class _Query:
    """What is read, as SQL."""

    def __init__(
        self,
        table: str | None,
        query: str | None,
        parameters: Sequence[Any],
        key: str | None,
        columns: Sequence[str] | None,
    ) -> None:
        if (table is None) == (query is None):
            raise ValueError("SqliteSource(table, query=): one of the two is needed")
        if query is not None and key is None:
            raise ValueError("SqliteSource(query=, key=): the column that orders is needed as well")
        if isinstance(columns, str) or (columns is not None and not columns):
            raise ValueError("SqliteSource(columns=): a tuple of names is needed")
        self.partition = "query" if table is None else checked_name("SqliteSource(table)", table)
        self.parameters = tuple(parameters)
        self.by_rowid = key is None
        # A name that is no column's would be taken for text, were it not one of the table's.
        self._key = f"rows.{quoted(checked_name('SqliteSource(key=)', _ROWID if key is None else key))}"
        names = [quoted(checked_name("SqliteSource(columns=)", name)) for name in columns or ()]
        self._columns = ", ".join(f"rows.{name}" for name in names) or "rows.*"
        # On lines of its own: it may end in a comment.
        self._rows = (
            f"(\n{query.rstrip().removesuffix(';')}\n)" if query is not None else quoted(self.partition)
        )

    def page(self, behind: bool) -> str:
        """Key and columns of the next rows, with the last key and their number to be bound."""
        where = f"WHERE {self._key} COLLATE BINARY > ? " if behind else ""
        return (
            f"SELECT {self._key}, {self._columns} FROM {self._rows} AS rows {where}"  # noqa: S608 - quoted
            f"ORDER BY {self._key} COLLATE BINARY LIMIT ?"
        )

    def without_key(self) -> str:
        """Whether there is any row without a key, which would never be seen."""
        return f"SELECT EXISTS (SELECT 1 FROM {self._rows} AS rows WHERE {self._key} IS NULL)"  # noqa: S608 - quoted


class _Reader:
    """Pages of rows, in a session's thread."""

    def __init__(self, path: str, database: Database, query: _Query, last: Any, chunk: int) -> None:
        self._path = path
        self._database = database
        self._query = query
        self._last = last
        self._chunk = chunk

    def look(self) -> None:
        """See that it can be read, before anything is."""
        names, _ = self._database.read("reading", lambda: self._page(0))
        if len(set(names)) < len(names):
            raise BadMessageError(f"{self._path}: two columns of {self._query.partition!r} have one name")
        if not self._query.by_rowid:
            self._refuse_rows_without_key()

    def read(self) -> list[Record[dict[str, Any]]]:
        """The next rows; none where there are no more at present."""
        # One more than is given: whether the last of them has a twin.
        names, rows = self._database.read("reading", lambda: self._page(self._chunk + 1))
        for row in rows:
            if not _is_key(row[0]):
                raise self._bad("neither a number nor text")
        for one, other in itertools.pairwise(rows):
            if one[0] == other[0]:
                raise self._bad("another row's as well")
        rows = rows[: self._chunk]
        if rows:
            self._last = rows[-1][0]
        partition = self._query.partition
        return [Record(dict(zip(names, row[1:], strict=True)), row[0], partition) for row in rows]

    def _page(self, most: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        behind = self._last is not None
        values = (*self._query.parameters, *([self._last] if behind else []), most)
        cursor = self._database.connection.execute(self._query.page(behind), values)
        rows = cursor.fetchall()
        return [each[0] for each in cursor.description[1:]], rows

    def _refuse_rows_without_key(self) -> None:
        def look() -> bool:
            found = self._database.connection.execute(self._query.without_key(), self._query.parameters)
            return bool(found.fetchone()[0])

        if self._database.read("reading", look):
            raise self._bad("NULL")

    def _bad(self, what: str) -> BadMessageError:
        return BadMessageError(f"{self._path}: a row of {self._query.partition!r} has a key that is {what}")


def _is_key(value: object) -> bool:
    return isinstance(value, int | float | str)
