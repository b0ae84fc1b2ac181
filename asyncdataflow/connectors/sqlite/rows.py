"""Items as rows of a table: which columns, which values, and the statement that writes them."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ...errors import RejectedItemError, StorageError
from ...naming import describe_item
from .database import checked_name, quoted

__all__ = ("Columns", "Row", "Rows")

Columns = Sequence[str] | Mapping[str, Callable[[Any], Any]]
"""The columns that are written: by name; or each with what makes its value of an item."""

Row = tuple[tuple[str, ...], tuple[Any, ...]]
"""An item as columns and their values."""

_STORABLE: Final = (int, float, str, bytes, bytearray, memoryview)
_INTEGERS: Final = range(-(1 << 63), 1 << 63)


class Rows:
    """Writes items into a table.

    Args:
        what: The sink, for errors of its constructor.
        path: The database, for errors.
        table: The table.
        columns: See :data:`Columns`; ``None`` for those that each item, a mapping, has.
        key: Columns by which a row that is there already is known, and replaced.

    Raises:
        ValueError: Something is no name, or the key is not among the columns.
    """

    def __init__(
        self, what: str, path: str, table: object, columns: Columns | None, key: Sequence[str]
    ) -> None:
        self._path = path
        self.table = checked_name(f"{what}(table)", table)
        if isinstance(columns, str) or isinstance(key, str):
            raise ValueError(f"{what}(columns=, key=): a tuple of names is needed, not one text")
        self._values = dict(columns) if isinstance(columns, Mapping) else None
        self._columns = None if columns is None else tuple(columns)
        self._key = tuple(key)
        for name in (*(self._columns or ()), *self._key):
            checked_name(f"{what}(columns=, key=)", name)
        if self._columns is not None and not (self._columns and set(self._key) <= set(self._columns)):
            raise ValueError(f"{what}(columns=): one column or more is needed, the key's among them")
        if len(set(self._columns or ())) < len(self._columns or ()) or len(set(self._key)) < len(self._key):
            raise ValueError(f"{what}(columns=, key=): a column is named twice")
        if self._values is not None and not all(map(callable, self._values.values())):
            raise ValueError(f"{what}(columns=): each column needs a callable from an item to its value")

    def look(self, connection: sqlite3.Connection) -> frozenset[str]:
        """See that the table has what is needed.

        Returns:
            The names of its columns.

        Raises:
            StorageError: It is not there, or a column is not, or the key is no key of it.
        """
        found = connection.execute("SELECT name FROM pragma_table_info(?)", (self.table,))
        names = frozenset(name for (name,) in found)
        if not names:
            raise StorageError(f"{self._path}: there is no table {self.table!r}; create= can make it")
        missing = {*(self._columns or ()), *self._key} - names
        if missing:
            raise StorageError(
                f"{self._path}: the table {self.table!r} has no columns {sorted(missing)}, "
                f"but {sorted(names)}"
            )
        if self._key:
            self._look_for_key(connection)
        return names

    def rows(self, items: Sequence[Any], names: frozenset[str]) -> list[Row]:
        """The rows of items, before anything is written.

        Args:
            items: Any number.
            names: What :meth:`look` returned.

        Raises:
            RejectedItemError: An item has no form as a row.
        """
        return [self._row(item, names) for item in items]

    def insert(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Write rows, within a transaction.

        Raises:
            RejectedItemError: The table does not take one.
        """
        try:
            for columns, some in itertools.groupby(rows, key=lambda row: row[0]):
                connection.executemany(self._statement(columns), [values for _, values in some])
        except (sqlite3.IntegrityError, sqlite3.DataError, UnicodeEncodeError) as error:
            why = str(error) if isinstance(error, sqlite3.Error) else "text that is no UTF-8"
            many = f"one of {len(rows)} items" if len(rows) > 1 else "an item"
            raise RejectedItemError(f"the table {self.table!r} does not take {many}: {why}") from error

    def _look_for_key(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute(f"EXPLAIN {self._statement(self._key)}", (None,) * len(self._key)).fetchall()
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self._path}: the table {self.table!r} has no primary key or unique index "
                f"on exactly {self._key}: {error}"
            ) from error

    def _statement(self, columns: tuple[str, ...]) -> str:
        names = ", ".join(map(quoted, columns))
        marks = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {quoted(self.table)} ({names}) VALUES ({marks})"  # noqa: S608 - quoted
        if not self._key:
            return statement
        others = [f"{quoted(name)} = excluded.{quoted(name)}" for name in columns if name not in self._key]
        then = f"UPDATE SET {', '.join(others)}" if others else "NOTHING"
        return f"{statement} ON CONFLICT ({', '.join(map(quoted, self._key))}) DO {then}"

    def _row(self, item: Any, names: frozenset[str]) -> Row:
        """The columns of an item, and its values."""
        columns, values = self._split(item, names)
        for column, value in zip(columns, values, strict=True):
            bad = _unfit(value, column in self._key)
            if bad is not None:
                raise self._rejected(item, f"its column {column!r} has {bad}")
        return columns, values

    def _split(self, item: Any, names: frozenset[str]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        if self._values is not None:
            return tuple(self._values), tuple(value(item) for value in self._values.values())
        if isinstance(item, Mapping):
            return self._split_mapping(item, names)
        if self._columns is None:
            raise self._rejected(item, "a mapping is needed, or columns= that says how it becomes a row")
        if not isinstance(item, list | tuple) or len(item) != len(self._columns):
            raise self._rejected(
                item, f"a mapping is needed, or a list or tuple of length {len(self._columns)}"
            )
        return self._columns, tuple(item)

    def _split_mapping(
        self, item: Mapping[Any, Any], names: frozenset[str]
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        columns = self._columns
        if columns is None:
            columns = tuple(item)
            if not columns or not names.issuperset(columns):
                raise self._rejected(item, f"its keys have to be columns of the table: {sorted(names)}")
            if not set(self._key) <= set(columns):
                raise self._rejected(item, f"the key is missing: {self._key}")
        missing = [name for name in columns if name not in item]
        if missing:
            raise self._rejected(item, f"it has no {missing[0]!r}")
        return columns, tuple(item[name] for name in columns)

    def _rejected(self, item: object, why: str) -> RejectedItemError:
        return RejectedItemError(f"an item ({describe_item(item)}) is no row of {self.table!r}: {why}")


def _unfit(value: object, in_key: bool) -> str | None:
    """Why a value cannot be stored as it is."""
    if value is None:
        return "no value, and is in the key" if in_key else None
    if not isinstance(value, _STORABLE):
        return f"a value of type {type(value).__qualname__}; a callable in columns= can make text of it"
    if isinstance(value, int) and value not in _INTEGERS:
        return "a number of more than 64 bits"
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - only NaN is not what it is
        return "a NaN, which SQLite stores as NULL"
    return None
