"""A look into a database from beside the connectors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers import Postgres

__all__ = ("ask", "psycopg", "tell")

psycopg = pytest.importorskip("psycopg")


def tell(server: Postgres, *statements: str) -> None:
    """Have something done."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        for each in statements:
            connection.execute(each)


def ask(server: Postgres, query: str) -> list[Any]:
    """The rows; the values of an only column by themselves."""
    with psycopg.connect(server.dsn) as connection:
        rows = connection.execute(query).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]
