"""The outputs of the routes, seen from outside: made once, and looked at for what is stored."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

from .routes import COLUMNS, Place, Route

__all__ = ("look", "make_store", "stored")

Row = tuple[Any, ...]


def make_store(route: Route, place: Place) -> None:
    """Make what the sink writes to; nothing in it refuses a duplicate but for an upsert."""
    key = " PRIMARY KEY" if route.effect == "idempotent" else ""
    table = f"(id integer{key}, word text, square bigint, text text)"
    if route.sink == "sqlite":
        with closing(sqlite3.connect(place.database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"CREATE TABLE items {table}")
    elif route.sink == "postgres":
        _make_postgres(route, place, f"CREATE TABLE {place.name} {table}")
    else:
        place.lines_out.touch()


def stored(route: Route, place: Place, *, finished: bool = False) -> list[Row]:
    """Number, word and square of each row.

    Args:
        route: Whose.
        place: Where.
        finished: Nobody is writing: a torn line is a fault.
    """
    query = "SELECT id, word, square FROM "
    if route.sink == "sqlite":
        return look(place, query + "items")
    if route.sink == "postgres":
        import psycopg

        with psycopg.connect(place.dsn) as connection:
            return connection.execute(query + place.name).fetchall()
    whole, end, torn = place.lines_out.read_bytes().rpartition(b"\n")
    assert not (finished and torn), f"a torn line: {torn[:100]!r}"
    rows = map(json.loads, (whole + end).splitlines())
    return [tuple(row[name] for name in COLUMNS[:3]) for row in rows]


def look(place: Place, query: str) -> list[Row]:
    """Ask the database in a file, and leave it to the next program to mend what a killed one has left."""
    with closing(sqlite3.connect(f"{place.database.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def _make_postgres(route: Route, place: Place, create: str) -> None:
    import asyncio

    import psycopg

    from asyncdataflow.connectors.postgres import PostgresTransactionalSink

    with psycopg.connect(place.dsn) as connection:
        connection.execute(create)
    if route.effect == "transactional":
        sink = PostgresTransactionalSink(place.dsn, place.name, flow=place.name, columns=COLUMNS)
        asyncio.run(sink.prepare())
