"""PostgresQuery against a real server."""

from __future__ import annotations

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.connectors.postgres import PostgresQuery
from asyncdataflow.errors import BadMessageError, ConnectionLostError, ConnectorSetupError
from asyncdataflow.testing import check_source
from tests.integration.database import psycopg, tell

SERIES = "SELECT n, n * 2 AS twice FROM generate_series(1, %s) n"


async def read(source):
    async with source.open() as rows:
        return [each async for each in rows]


async def test_rows_as_dicts_tuples_and_values(postgres):
    assert await read(PostgresQuery(postgres.dsn, SERIES, [2])) == [
        {"n": 1, "twice": 2},
        {"n": 2, "twice": 4},
    ]
    assert await read(PostgresQuery(postgres.dsn, SERIES, [1], row="tuple")) == [(1, 2)]
    assert await read(PostgresQuery(postgres.dsn, "SELECT 7 WHERE 'ab' LIKE 'a%'", row="value")) == [7]
    named = PostgresQuery(postgres.dsn, "SELECT %(word)s::text", {"word": "100 %"}, row="value")
    assert await read(named) == ["100 %"]


@pytest.mark.parametrize("fetch", [1, 3, 1000])
async def test_any_number_of_rows(postgres, fetch):
    query = PostgresQuery(postgres.dsn, "SELECT generate_series(1, 10)", row="value", fetch=fetch)
    assert await read(query) == list(range(1, 11))


def test_it_is_a_source(postgres):
    query = "SELECT generate_series(1, 2)"
    check_source(
        lambda: PostgresQuery(postgres.dsn, query, row="value", fetch=1), items=[1, 2], real_time=True
    )


async def test_in_a_flow(postgres):
    flow = DataFlow((PostgresQuery(postgres.dsn, SERIES, [1000], row="tuple", fetch=7), sum))
    assert sum(await flow.run()) == 3 * 500 * 1001


async def test_it_only_reads(postgres, new_name):
    name = new_name("numbers")
    tell(postgres, f"CREATE SEQUENCE {name}")
    with pytest.raises(ConnectorSetupError, match="read-only"):
        await read(PostgresQuery(postgres.dsn, f"SELECT nextval('{name}')"))


async def test_what_is_wrong_with_a_query(postgres):
    with pytest.raises(ConnectorSetupError, match="nowhere"):
        await read(PostgresQuery(postgres.dsn, "SELECT * FROM nowhere"))
    with pytest.raises(psycopg.errors.SyntaxError):
        await read(PostgresQuery(postgres.dsn, "SELEC 1"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        await read(PostgresQuery(postgres.dsn, "SELECT 1 / (n - 2) FROM generate_series(1, 3) n"))


async def test_a_row_that_cannot_be_read(postgres):
    with pytest.raises(BadMessageError, match="DataError"):
        await read(PostgresQuery(postgres.dsn, "SELECT 'infinity'::date"))


async def test_a_killed_server_is_a_named_error(own_postgres):
    query = PostgresQuery(own_postgres.dsn, "SELECT generate_series(1, 100)", row="value", fetch=1)
    async with query.open() as rows:
        assert await anext(rows) == 1
        own_postgres.kill()
        with pytest.raises(ConnectionLostError):
            await anext(rows)
    with pytest.raises(ConnectionLostError, match="cannot connect"):
        await read(query)
