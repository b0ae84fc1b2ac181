"""Lease: the statements that give rows of a queue to one session for a while.

A row that was given bears the session (``claimed_by``), how long it is its (``claimed_until``, by
the server's clock) and how often it was given (``attempts``). Session, key and attempts together name
one delivery, so that a late answer cannot be taken for one to another delivery. No lock and
no transaction outlives a statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .client import columns_of, identifier, table_of

with suppress(ImportError):
    from psycopg import sql

__all__ = ("LEASE_COLUMNS", "Lease")

LEASE_COLUMNS = ("claimed_by", "claimed_until", "attempts")

_ADD = """
ALTER TABLE {table}
    ADD COLUMN IF NOT EXISTS claimed_by text,
    ADD COLUMN IF NOT EXISTS claimed_until timestamptz,
    ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0
"""
_INDEX = "CREATE INDEX IF NOT EXISTS {name} ON {table} ({key}) WHERE {which} AND {open}"

# Materialized, so that each part is run once. A row that another has changed since the statement
# began is looked at again when it is locked.
_CLAIM = """
WITH again AS MATERIALIZED (
    SELECT {key} AS key FROM {table}
    WHERE attempts > 0 AND {open} AND (claimed_until IS NULL OR claimed_until < now())
        AND attempts < %(most)s
    ORDER BY {key} LIMIT %(count)s FOR UPDATE SKIP LOCKED
), fresh AS MATERIALIZED (
    SELECT {key} AS key FROM {table}
    WHERE attempts = 0 AND {open}
    ORDER BY {key} LIMIT %(count)s - (SELECT count(*) FROM again) FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE {table} SET
        claimed_by = %(session)s, claimed_until = now() + %(lease)s, attempts = attempts + 1
    WHERE {key} IN (SELECT key FROM again UNION ALL SELECT key FROM fresh)
    RETURNING {key} AS "the key", attempts AS "the attempts", {columns}
)
SELECT * FROM taken ORDER BY "the attempts" = 1, "the key"
"""
_GIVEN = "unnest(%(keys)s, %(attempts)s) AS given(key, attempts)"
_STILL = """
{table}.{key} = given.key AND {table}.attempts = given.attempts
    AND {table}.claimed_by = %(session)s AND {open}
"""
_DELETE = "DELETE FROM {table} USING {given} WHERE {still}"
_DONE = """
UPDATE {table} SET {done} = now(), claimed_by = NULL, claimed_until = NULL
FROM {given} WHERE {still}
"""
_AGAIN = """
UPDATE {table} SET claimed_by = NULL, claimed_until = now() + given.after
FROM unnest(%(keys)s, %(attempts)s, %(after)s) AS given(key, attempts, after) WHERE {still}
"""
_PUT_BACK = """
UPDATE {table} SET claimed_by = NULL, claimed_until = NULL, attempts = {table}.attempts - 1
FROM {given} WHERE {still}
"""
_RENEW = """
UPDATE {table} SET claimed_until = now() + %(lease)s
WHERE attempts > 0 AND claimed_by = %(session)s AND {open}
"""
_RELEASE = """
UPDATE {table} SET
    claimed_by = NULL, claimed_until = NULL,
    attempts = CASE WHEN {key} = ANY(%(given)s) THEN attempts ELSE attempts - 1 END
WHERE attempts > 0 AND claimed_by = %(session)s AND {open} AND NOT {key} = ANY(%(kept)s)
"""
_PARK = """
UPDATE {table} SET claimed_by = %(reason)s, claimed_until = 'infinity'
WHERE attempts > 0 AND claimed_by = %(session)s AND {open} AND {key}::text = ANY(%(keys)s)
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """The statements for one table.

    Attributes:
        table: Its name; a dot separates its schema.
        key: Its primary key's column.
        columns: Those that make an item; empty: all.
        done: The column of when a row was done; ``None``: it is deleted then.
    """

    table: str
    key: str
    columns: tuple[str, ...]
    done: str | None

    def prepare(self) -> Sequence[sql.Composed]:
        """Add what is not there yet."""
        made = [self._made(_ADD)]
        for word, which in (("again", "attempts > 0"), ("fresh", "attempts = 0")):
            name = identifier(f"{self.table.rpartition('.')[2]}_{word}"[:63])
            made.append(self._made(_INDEX, name=name, which=sql.SQL(which)))
        return made

    @property
    def claim(self) -> sql.Composed:
        """Take rows: those that were given before first, in the order of their keys."""
        columns = columns_of(self.columns) if self.columns else table_of(self.table) + sql.SQL(".*")
        return self._made(_CLAIM, columns=columns)

    @property
    def ack(self) -> sql.Composed:
        """They are done; one row comes back for each."""
        return self._made(_DELETE if self.done is None else _DONE)

    @property
    def nack(self) -> sql.Composed:
        """They are to be given again."""
        return self._made(_AGAIN)

    @property
    def put_back(self) -> sql.Composed:
        """They were never given: that does not count as an attempt."""
        return self._made(_PUT_BACK)

    @property
    def renew(self) -> sql.Composed:
        """All that the session holds it holds longer."""
        return self._made(_RENEW)

    @property
    def release(self) -> sql.Composed:
        """Give up what is not kept; what was never given does not count as an attempt."""
        return self._made(_RELEASE)

    @property
    def park(self) -> sql.Composed:
        """Never to be given again."""
        return self._made(_PARK)

    def _made(self, text: str, **parts: Any) -> sql.Composed:
        table = table_of(self.table)
        names: dict[str, Any] = {"table": table, "key": identifier(self.key), "open": sql.SQL("TRUE")}
        if self.done is not None:
            names["done"] = identifier(self.done)
            names["open"] = table + sql.SQL(".") + names["done"] + sql.SQL(" IS NULL")
        names.update(given=sql.SQL(_GIVEN), still=sql.SQL(_STILL).format(**names), **parts)
        return sql.SQL(text).format(**names)
