"""Rows: items made rows of a table, and written, in the transaction of whoever asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ...errors import RejectedItemError
from ...naming import describe_item
from .client import columns_of, identifier, names_of, table_of

with suppress(ImportError):
    import psycopg
    from psycopg import sql
    from psycopg.types.json import JsonbDumper

if TYPE_CHECKING:
    from .client import Connection

__all__ = ("Conflict", "Rows")

Conflict = Literal["update", "nothing"]

_OF_AN_ITEM: Final = ("22", "23", "P0", "42804", "54")
"""SQLSTATEs, or how they begin, of what an item holds: its data, a constraint, a trigger, its size."""

_COPY: Final = "COPY {table} ({columns}) FROM STDIN"
_UPSERT: Final = "INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT ({key}) DO {conflict}"


class _UnwritableError(Exception):
    """Raised amid a COPY, which tells the server its text: that must not be what an item holds."""


async def _write_row(copy: psycopg.AsyncCopy, row: tuple[Any, ...]) -> None:
    try:
        await copy.write_row(row)
    except psycopg.Error as error:
        if error.sqlstate or not isinstance(error, psycopg.DataError | psycopg.ProgrammingError):
            raise
        raise _UnwritableError(type(error).__name__) from None
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise _UnwritableError(type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class Rows:
    """How items are written to a table.

    Attributes:
        what: The connector, as its user calls it.
        table: The table.
        columns: Its columns that are written.
        alone: An item is the one column's value.
        key: The columns of a unique key; empty: rows are added, whatever is there.
        conflict: What is done where a row with that key is there.
    """

    what: str
    table: str
    columns: tuple[str, ...]
    alone: bool
    key: tuple[str, ...]
    conflict: Conflict

    @classmethod
    def checked(cls, what: str, table: str, columns: object, key: object, conflict: Conflict) -> Rows:
        """From the options of a sink.

        Raises:
            ValueError: One has no sense.
            TypeError: One is no name, and no list of names.
        """
        names_of(what, "table", table)
        names = names_of(what, "columns", columns)
        keys = () if key is None else names_of(what, "key", key)
        unknown = [each for each in keys if each not in names]
        if unknown:
            raise ValueError(f"{what}: key= names {unknown[0]!r}, which is none of the columns")
        if conflict not in {"update", "nothing"}:
            raise ValueError(f"{what}: on_conflict= is 'update' or 'nothing', not {conflict!r}")
        return cls(what, table, names, isinstance(columns, str), keys, conflict)

    def of(self, items: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of some items.

        Raises:
            RejectedItemError: An item does not have the columns.
        """
        return [self._row(item, number, len(items)) for number, item in enumerate(items, 1)]

    def _row(self, item: Any, number: int, count: int) -> tuple[Any, ...]:
        if self.alone:
            return (item,)
        if isinstance(item, Mapping):
            missing = [each for each in self.columns if each not in item]
            if missing:
                raise self._rejected(number, count, f"it has no {missing[0]!r}", item)
            return tuple(item[each] for each in self.columns)
        if isinstance(item, str | bytes) or not isinstance(item, Sequence):
            raise self._rejected(number, count, "it is no mapping, tuple or list", item)
        if len(item) != len(self.columns):
            raise self._rejected(number, count, f"there are {len(self.columns)} columns", item)
        return tuple(item)

    async def write(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Write them, in the transaction that is open.

        Raises:
            RejectedItemError: The server, or psycopg, does not take what one holds.
            psycopg.Error: Anything else.
        """
        connection.adapters.register_dumper(dict, JsonbDumper)
        async with connection.cursor() as cursor:
            try:
                await (self._upsert(cursor, rows) if self.key else self._copy(cursor, rows))
            except psycopg.Error as error:
                raise self._understood(error, len(rows)) from None
            except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
                # An upsert's, as the statements are made: of which row it does not say.
                raise self._rejected(None, len(rows), f"{type(error).__name__} as it is written") from None

    async def _copy(self, cursor: psycopg.AsyncCursor[Any], rows: list[tuple[Any, ...]]) -> None:
        statement = sql.SQL(_COPY).format(table=table_of(self.table), columns=columns_of(self.columns))
        begun = 0
        try:
            async with cursor.copy(statement, ()) as copy:
                for row in rows:
                    begun += 1
                    await _write_row(copy, row)
        except _UnwritableError as error:
            raise self._rejected(begun, len(rows), f"{error} as it is written") from None

    async def _upsert(self, cursor: psycopg.AsyncCursor[Any], rows: list[tuple[Any, ...]]) -> None:
        changed = [each for each in self.columns if each not in self.key]
        conflict = sql.SQL("NOTHING")
        if self.conflict == "update" and changed:
            pairs = [sql.SQL("{0} = EXCLUDED.{0}").format(identifier(each)) for each in changed]
            conflict = sql.SQL("UPDATE SET ") + sql.SQL(", ").join(pairs)  # type: ignore[assignment]  # SQL, too
        statement = sql.SQL(_UPSERT).format(
            table=table_of(self.table),
            columns=columns_of(self.columns),
            values=sql.SQL(", ").join([sql.Placeholder()] * len(self.columns)),
            key=columns_of(self.key),
            conflict=conflict,
        )
        await cursor.executemany(statement, rows)

    def _understood(self, error: psycopg.Error, count: int) -> Exception:
        state = error.sqlstate or ""
        of_psycopg = not state and isinstance(error, psycopg.DataError | psycopg.ProgrammingError)
        if not (of_psycopg or state.startswith(_OF_AN_ITEM)):
            return error
        # The server's own words, its details and its context quote what the item holds.
        seen = [f"{type(error).__name__} ({state})" if state else type(error).__name__]
        line = re.search(r"^COPY .+, line (\d+)(?:, column (.+?):)?", error.diag.context or "", re.M)
        column = error.diag.column_name or (line and line[2])
        seen += [f"column {column!r}"] if column else []
        seen += [f"constraint {error.diag.constraint_name!r}"] if error.diag.constraint_name else []
        return self._rejected(int(line[1]) if line else None, count, ", ".join(seen))

    def _rejected(self, number: int | None, count: int, why: str, item: Any = None) -> RejectedItemError:
        which = "an item" if number is None else f"item {number}"
        of = f"{which} of {count}" if count > 1 else "the item"
        kind = f" ({describe_item(item)})" if item is not None else ""
        none = "; none of them was written" if count > 1 else ""
        return RejectedItemError(f"{self.what}: {of}{kind} cannot be written: {why}{none}")
