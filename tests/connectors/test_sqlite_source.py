"""Rows as items: keys as positions, what is no key, and databases that say no."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import Retry
from asyncdataflow.connectors.sqlite import SqliteSource
from asyncdataflow.errors import BadMessageError, CorruptStorageError, StorageBusyError, StorageError
from asyncdataflow.testing import check_ackable_source
from tests.connectors.answering import ack, items_of, nack, take

SOON = Retry(attempts=3, backoff=0.001)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sql(statement, *values, path="db"):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def table(count, path="db"):
    sql("CREATE TABLE t (n INTEGER, word TEXT)", path=path)
    add(*range(count), path=path)


def add(*numbers, path="db"):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"w{n}") for n in numbers])


async def read(source, after=None):
    async with source.open(after) as session:
        return await take(session)


async def run(source):
    async with source.open() as session:
        messages = await take(session)
        await ack(session, *messages)
    return [each.item["n"] for each in messages]


def test_it_keeps_the_rules_of_an_answered_source(folder):
    numbers = itertools.count()

    def make():
        place = folder / str(next(numbers))
        place.mkdir()
        table(3, path=place / "db")
        return SqliteSource(place / "db", "t", positions=place / "p", redeliver=SOON, chunk=2)

    items = [{"n": n, "word": f"w{n}"} for n in range(3)]
    check_ackable_source(make, items=items, low_water=True, positions=True, real_time=True, seeds=1)


async def test_a_position_is_the_key_and_the_partition_the_table(folder):
    table(3)
    messages = await read(SqliteSource("db", "t", columns=["n"]))
    assert [(each.item, each.position, each.partition) for each in messages] == [
        ({"n": 0}, 1, "t"),
        ({"n": 1}, 2, "t"),
        ({"n": 2}, 3, "t"),
    ]


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
async def test_with_positions_it_goes_on_with_new_rows(folder, chunk):
    table(5)
    source = SqliteSource("db", "t", positions="p", chunk=chunk)
    assert await run(source) == [0, 1, 2, 3, 4]
    add(5, 6)
    assert await run(source) == [5, 6]
    assert items_of(await read(source, {"t": 6})) == [{"n": 6, "word": "w6"}]
    assert len(await read(source, {})) == 7


async def test_rows_come_in_the_order_of_the_key(folder):
    table(0)
    add(3, 1, 2)
    assert [each.item["n"] for each in await read(SqliteSource("db", "t", key="n"))] == [1, 2, 3]
    messages = await read(SqliteSource("db", "t", key="word"), {"t": "w1"})
    assert [(each.item["n"], each.position) for each in messages] == [(2, "w2"), (3, "w3")]


@given(
    keys=st.lists(
        st.integers(-(1 << 63), (1 << 63) - 1)
        | st.text(max_size=3).filter(lambda t: "\0" not in t)
        | st.floats(allow_nan=False),
        unique=True,
    ),
    chunk=st.integers(1, 4),
)
@settings(max_examples=25)
async def test_keys_of_any_kind_come_each_once(tmp_path_factory, keys, chunk):
    path = tmp_path_factory.mktemp("keys") / "db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (k COLLATE NOCASE)")
        keys = [key for key in keys if not isinstance(key, str) or _encodes(key)]
        connection.executemany("INSERT INTO t VALUES (?)", [(key,) for key in keys])
    messages = await read(SqliteSource(path, "t", key="k", chunk=chunk))
    assert sorted(map(repr, (each.position for each in messages))) == sorted(map(repr, keys))


def _encodes(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


async def test_a_query_is_read_by_its_key(folder):
    table(9)
    source = SqliteSource(
        "db", query="SELECT n AS id, word FROM t WHERE n % ? = 0; ", parameters=[2], key="id", chunk=2
    )
    assert [(each.item["id"], each.partition) for each in await read(source, {"query": 2})] == [
        (4, "query"),
        (6, "query"),
        (8, "query"),
    ]
    commented = SqliteSource("db", query="SELECT * FROM t -- all", key="n")
    assert len(await read(commented)) == 9


async def test_names_of_any_kind_are_names(folder):
    name = 'a "b"; DROP TABLE x; --'
    sql(f"""CREATE TABLE "{name.replace('"', '""')}" ("sel""ect" TEXT)""")
    sql(f"""INSERT INTO "{name.replace('"', '""')}" VALUES ('x')""")
    assert items_of(await read(SqliteSource("db", name, columns=['sel"ect']))) == [{'sel"ect': "x"}]


@pytest.mark.parametrize("options", [{"key": "nope"}, {"columns": ["nope"]}])
async def test_a_column_that_is_not_there_is_told_and_no_text(folder, options):
    table(1)
    with pytest.raises(StorageError, match=r"no such column: rows\.nope"):
        await read(SqliteSource("db", "t", **options))


async def test_a_table_that_is_not_there_is_told(folder):
    table(1)
    with pytest.raises(StorageError, match="db: reading failed: no such table: nope"):
        await read(SqliteSource("db", "nope"))


class TestKeys:
    @pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5])
    async def test_one_that_two_rows_have_is_told_wherever_a_page_ends(self, folder, chunk):
        table(0)
        add(1, 2, 3, 3, 4)
        with pytest.raises(BadMessageError, match="has a key that is another row's as well"):
            await read(SqliteSource("db", "t", key="n", chunk=chunk))

    async def test_null_is_told_also_behind_a_position(self, folder):
        table(2)
        sql("INSERT INTO t VALUES (NULL, 'x')")
        with pytest.raises(BadMessageError, match="a key that is NULL"):
            await read(SqliteSource("db", "t", key="n"), {"t": 1})

    async def test_bytes_are_told(self, folder):
        sql("CREATE TABLE t (k)")
        sql("INSERT INTO t VALUES (x'00')")
        with pytest.raises(BadMessageError, match="neither a number nor text"):
            await read(SqliteSource("db", "t", key="k"))

    async def test_a_position_that_is_none_is_refused(self, folder):
        table(1)
        with pytest.raises(ValueError, match="a position is a number or text"):
            await read(SqliteSource("db", "t"), {"t": [1]})


async def test_text_that_is_no_utf8_is_told_without_what_is_in_it(folder):
    sql("CREATE TABLE t (a TEXT)")
    sql("INSERT INTO t VALUES (CAST(x'ff736563726574' AS TEXT))")
    with pytest.raises(BadMessageError, match="a row has text that is no UTF-8") as caught:
        await read(SqliteSource("db", "t"))
    assert "secret" not in str(caught.value)


async def test_followed_new_rows_come(folder):
    table(1)
    async with SqliteSource("db", "t", follow=True, poll=0.001).open() as session:
        for n in range(1, 4):
            assert (await anext(session)).item["n"] == n - 1
            add(n)
        coming = asyncio.ensure_future(anext(session))
        assert (await coming).item["n"] == 3


async def test_nacked_rows_come_again_first(folder):
    table(4)
    async with SqliteSource("db", "t", redeliver=SOON).open() as session:
        messages = await take(session, 2)
        await nack(session, messages[1])
        assert [each.item["n"] for each in await take(session)] == [1, 2, 3]


class TestStorage:
    async def test_a_database_that_is_not_there_is_not_made(self, folder):
        with pytest.raises(StorageError, match="db: opening failed: unable to open"):
            await read(SqliteSource("db", "t"))
        assert not list(folder.iterdir())

    async def test_a_file_of_another_kind_is_told(self, folder):
        (folder / "db").write_bytes(b"no database" * 1000)
        with pytest.raises(CorruptStorageError, match="db: opening failed: file is not a database"):
            await read(SqliteSource("db", "t"))

    async def test_a_page_that_was_overwritten_is_told(self, folder):
        table(20_000)
        with open("db", "r+b") as file:
            file.seek(8192)
            file.write(b"\xff" * 40_000)
        with pytest.raises(CorruptStorageError, match="db: reading failed"):
            await read(SqliteSource("db", "t"))

    async def test_one_that_is_locked_is_told(self, folder):
        table(1)
        with closing(sqlite3.connect("db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StorageBusyError, match="database is locked"):
                await read(SqliteSource("db", "t", patience=0.01))

    async def test_reading_changes_nothing(self, folder):
        table(1)
        before = (folder / "db").read_bytes()
        await read(SqliteSource("db", "t"))
        assert (folder / "db").read_bytes() == before
        with pytest.raises(StorageError):
            await read(SqliteSource("db", query="DELETE FROM t RETURNING n", key="n"))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["", "t"], {}),
        ([":memory:", "t"], {}),
        (["file:db", "t"], {}),
        (["db"], {}),
        (["db", "t"], {"query": "SELECT 1"}),
        (["db"], {"query": "SELECT 1"}),
        (["db", ""], {}),
        (["db", "t\0"], {}),
        (["db", "t"], {"columns": []}),
        (["db", "t"], {"columns": "ab"}),
        (["db", "t"], {"chunk": 0}),
        (["db", "t"], {"max_unacked": True}),
        (["db", "t"], {"poll": -1}),
        (["db", "t"], {"patience": 0}),
        (["db", "t"], {"positions": 3}),
        (["db", "t"], {"redeliver": None}),
    ],
)
def test_what_is_out_of_range_is_refused_when_it_is_made(arguments, options):
    with pytest.raises(ValueError, match=r"^SqliteSource\("):
        SqliteSource(*arguments, **options)
