"""Items as rows: what fits, upserts, positions in the same transaction, and databases that say no."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.connectors.sqlite import SqliteSink, SqliteTransactionalSink
from asyncdataflow.errors import (
    CorruptStorageError,
    FencedError,
    RejectedItemError,
    StorageBusyError,
    StorageError,
    StorageFullError,
)
from asyncdataflow.testing import check_sink
from tests.connectors.disks import failing_fsync, small_disk
from tests.source import ROOT

CREATE = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, word TEXT DEFAULT 'default')"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(query="SELECT * FROM t", path="db"):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def write(sink, *chunks):
    async with sink.open() as function:
        for chunk in chunks:
            await function(chunk)


def sink(**options):
    return SqliteSink("db", "t", **{"create": CREATE, **options})


def test_it_keeps_the_rules_of_a_sink(folder):
    numbers = itertools.count()

    def make():
        create = "CREATE TABLE IF NOT EXISTS t (item)"
        columns = {"item": lambda item: item}
        return SqliteSink(folder / str(next(numbers)), "t", create=create, columns=columns, chunk=1)

    def lying(made):
        return [item for (item,) in rows("SELECT item FROM t ORDER BY rowid", made._target.path)]

    check_sink(make, items=[0, None, "c"], read=lying, real_time=True, seeds=1)


def test_a_flow_writes_to_it(folder):
    assert DataFlow((({"id": n} for n in range(9)), sink(chunk=1)))() == []
    assert rows("SELECT id FROM t") == [(n,) for n in range(9)]


class TestColumns:
    @pytest.mark.parametrize(
        ("columns", "items"),
        [
            (None, [{"id": 1, "word": "a"}, {"word": "b", "id": 2}, {"id": 3}]),
            (("id", "word"), [{"id": 1, "word": "a", "more": 0}, (2, "b"), [3, "default"]]),
            ({"word": lambda n: "ab"[n - 1] if n < 3 else "default", "id": lambda n: n}, [1, 2, 3]),
        ],
        ids=["of each item", "by name", "by function"],
    )
    async def test_items_become_rows(self, folder, columns, items):
        await write(sink(columns=columns), items)
        assert rows() == [(1, "a"), (2, "b"), (3, "default")]

    @pytest.mark.parametrize(
        ("columns", "item", "why"),
        [
            (None, {"id": 2, "nope": 3}, "its keys have to be columns"),
            (None, {"id": 2, 'word") --': 3}, "its keys have to be columns"),
            (None, {}, "its keys have to be columns"),
            (None, 3, "a mapping is needed, or columns="),
            (["id", "word"], (1,), "tuple of length 2"),
            (["id", "word"], "ab", "tuple of length 2"),
            (["id", "word"], {"id": 1}, "it has no 'word'"),
            (None, {"id": 1 << 63}, "'id' has a number of more than 64 bits"),
            (None, {"id": 2, "word": ["x"]}, "'word' has a value of type list"),
            (None, {"id": 2, "word": float("nan")}, "a NaN"),
            (None, {"id": 2, "word": "\ud800"}, "no UTF-8"),
            (None, {"id": 1}, "UNIQUE constraint failed: t.id"),
            (None, {"id": "x"}, "datatype mismatch"),
        ],
    )
    async def test_what_is_no_row_is_refused_with_all_of_its_list(self, folder, columns, item, why):
        async with sink(columns=columns).open() as function:
            await function([{"id": 1, "word": "a"}])
            with pytest.raises(RejectedItemError) as caught:
                await function([{"id": 5, "word": "b"}, item])
            assert why in str(caught.value)
            await function([{"id": 9, "word": "c"}])
        assert rows() == [(1, "a"), (9, "c")]

    async def test_what_a_function_of_a_column_raises_comes_as_itself(self, folder):
        with pytest.raises(KeyError):
            await write(sink(columns={"id": lambda item: item["nope"]}), [{}])

    async def test_names_of_any_kind_are_names(self, folder):
        name = 'a "b"; DROP TABLE x; --'
        table = name.replace('"', '""')
        create = f'CREATE TABLE "{table}" ("{table}" PRIMARY KEY, x)'
        made = SqliteSink("db", name, key=[name], create=create)
        await write(made, [{name: 1, "x": 1}, {name: 1, "x": 2}])
        assert rows(f'SELECT * FROM "{table}"') == [(1, 2)]


class TestKey:
    def test_it_makes_the_effect_idempotent(self):
        assert sink().effect == "plain"
        assert sink(key=["id"]).effect == "idempotent"

    async def test_what_is_written_twice_is_there_once(self, folder):
        made = sink(key=["id"])
        await write(made, [{"id": 1, "word": "a"}, {"id": 2}], [{"id": 1, "word": "b"}])
        await write(made, [{"id": 2, "word": "c"}], [{"id": 2}])
        assert rows() == [(1, "b"), (2, "c")]

    @pytest.mark.parametrize("items", [[{"id": None, "word": "x"}], [{"word": "x"}]])
    async def test_an_item_without_one_is_refused(self, folder, items):
        with pytest.raises(RejectedItemError, match=r"the key is missing|no value, and is in the key"):
            await write(sink(key=["id"]), items)

    async def test_a_table_has_to_have_it(self, folder):
        with pytest.raises(
            StorageError, match=r"db: the table 't' has no primary key or unique index on exactly"
        ):
            await write(sink(key=["word"]))


class TestTable:
    async def test_one_that_is_not_there_is_told(self, folder):
        with pytest.raises(StorageError, match="there is no table 't'; create= can make it"):
            await write(sink(create=None))

    async def test_a_column_that_is_not_there_is_told(self, folder):
        with pytest.raises(StorageError, match=r"has no columns \['nope'\], but \['id', 'word'\]"):
            await write(sink(columns=["id", "nope"]))

    async def test_a_statement_that_is_none_is_told(self, folder):
        with pytest.raises(StorageError, match=r"create= failed: .*syntax error"):
            await write(sink(create="CREATE nonsense"))


class TestStorage:
    async def test_a_file_of_another_kind_is_told_and_left(self, folder):
        (folder / "db").write_bytes(b"no database" * 1000)
        with pytest.raises(CorruptStorageError, match="db: opening failed: file is not a database"):
            await write(sink(), [{"id": 1}])
        assert (folder / "db").read_bytes() == b"no database" * 1000

    async def test_one_that_is_locked_is_told_and_nothing_written(self, folder):
        async with sink(patience=0.01).open() as function:
            with closing(sqlite3.connect("db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StorageBusyError, match="db: writing failed: database is locked"):
                    await function([{"id": 1}])
            await function([{"id": 2}])
        assert rows("SELECT id FROM t") == [(2,)]

    @pytest.mark.parametrize("transactional", [False, True])
    async def test_a_full_disk_is_told_and_has_what_was_said_to_be_there(self, folder, transactional):
        with small_disk(folder):
            written = 0
            with pytest.raises(StorageFullError, match="database or disk is full"):
                async for n in _fill(transactional):
                    written = n
            assert written > 1
            for file in os.listdir():
                shutil.copy(file, folder)
        assert rows("SELECT count(*) FROM t", folder / "db") == [(written * 10,)]
        if transactional:
            query = "SELECT position FROM asyncdataflow_positions"
            assert rows(query, folder / "db") == [(str(written),)]

    async def test_a_folder_that_may_not_be_written_is_told(self, folder):
        (folder / "db").mkdir()
        with pytest.raises(StorageError, match="db: opening failed: unable to open database file"):
            await write(sink())


async def _fill(transactional):
    """Write chunks of ten until there is no room, and say how many are there."""
    kind = SqliteTransactionalSink if transactional else SqliteSink
    async with kind("db", "t", create=CREATE).open() as session:
        for chunk in itertools.count(1):
            items = [{"word": "x" * 500}] * 10
            await (session.write(items, {"s": {"p": chunk}}) if transactional else session(items))
            yield chunk


class TestPositions:
    async def test_they_are_stored_with_the_items(self, folder):
        made = SqliteTransactionalSink("db", "t", create=CREATE)
        async with made.open() as commits:
            assert await commits.positions("s") == {}
            await commits.write(
                [{"id": 1}], {"s": {"a": 10, ("b", 3): "x", None: (1, "y")}, "other": {"a": 1}}
            )
            await commits.write([{"id": 2}], {"s": {"a": 20}})
        async with made.open() as commits:
            assert await commits.positions("s") == {"a": 20, ("b", 3): "x", None: (1, "y")}
            assert await commits.positions("other") == {"a": 1}
        assert rows("SELECT id FROM t") == [(1,), (2,)]

    async def test_neither_is_there_where_an_item_is_refused(self, folder):
        made = SqliteTransactionalSink("db", "t", create=CREATE)
        async with made.open() as commits:
            await commits.write([{"id": 1}], {"s": {"a": 1}})
            with pytest.raises(RejectedItemError):
                await commits.write([{"id": 2}, {"id": 1}], {"s": {"a": 2}})
            assert await commits.positions("s") == {"a": 1}
            await commits.write([{"id": 3}], {"s": {"a": 3}})
            assert await commits.positions("s") == {"a": 3}
        assert rows("SELECT id FROM t") == [(1,), (3,)]

    async def test_each_name_has_its_own(self, folder):
        async with (
            SqliteTransactionalSink("db", "t", create=CREATE, name="one").open() as one,
            SqliteTransactionalSink("db", "t", create=CREATE, name="two").open() as two,
        ):
            await one.write([{"id": 1}], {"s": {"a": 1}})
            await two.write([{"id": 2}], {"s": {"a": 2}})
            assert await one.positions("s") == {"a": 1}
            assert await two.positions("s") == {"a": 2}

    async def test_a_run_that_another_has_overtaken_writes_nothing(self, folder):
        made = SqliteTransactionalSink("db", "t", create=CREATE)
        async with made.open() as old, made.open() as new:
            assert await old.positions("s") == await new.positions("s") == {}
            await old.write([{"id": 1}], {"s": {"a": 1}})
            assert await new.positions("s") == {"a": 1}
            await new.write([{"id": 2}], {"s": {"a": 2}})
            with pytest.raises(FencedError, match="another run has moved the positions of the source 's'"):
                await old.write([{"id": 3}], {"s": {"a": 2}})
            await new.write([{"id": 4}], {"s": {"a": 3}})
        assert rows("SELECT id FROM t") == [(1,), (2,), (4,)]


WRITER = """
import asyncio
from asyncdataflow.connectors.sqlite import SqliteTransactionalSink

async def main():
    sink = SqliteTransactionalSink("db", "t", create="CREATE TABLE IF NOT EXISTS t (n INTEGER, pad TEXT)")
    async with sink.open() as commits:
        begin = (await commits.positions("s")).get("p", 0)
        for n in range(begin + 1, 10**9):
            await commits.write([{"n": n, "pad": "x" * 3000}] * 3, {"s": {"p": n}})
            print(n, flush=True)

asyncio.run(main())
"""


def test_killed_at_any_time_rows_and_positions_agree(folder):
    said = []
    for count in (1, 7, 20):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", WRITER]
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        ) as writer:
            said += [int(next(writer.stdout)) for _ in range(count)]
            writer.send_signal(signal.SIGKILL)
            said += [int(line) for line in writer.stdout if line.endswith("\n")]
        ((position,),) = rows("SELECT position FROM asyncdataflow_positions")
        assert int(position) >= said[-1]
        assert rows("SELECT n, count(*) FROM t GROUP BY n") == [(n, 3) for n in range(1, int(position) + 1)]


EIO = """
import asyncio, sys
from asyncdataflow.connectors.sqlite import SqliteSink
from asyncdataflow.errors import StorageError

async def main():
    async with SqliteSink("db", "t", create="CREATE TABLE IF NOT EXISTS t (n INTEGER)").open() as write:
        for n in range(20):
            try:
                await write([{"n": n}])
                print("there", n)
            except StorageError as error:
                print("failed", str(error))
                break
        try:
            await write([{"n": 99}])
        except StorageError as error:
            print("refused", error)

asyncio.run(main())
"""


def test_an_fsync_that_fails_is_told_and_nothing_written_behind_it(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*failing_fsync("9+"), sys.executable, "-c", EIO],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    there = [line for line in lines if line.startswith("there")]
    assert there
    assert lines[len(there)].startswith("failed db: writing failed: disk I/O error (SQLITE_IOERR")
    assert "the disk has failed to keep what it took" in lines[-1]
    assert [(n,) for n in range(len(there))] == rows("SELECT n FROM t")[: len(there)]


@pytest.mark.parametrize("kind", [SqliteSink, SqliteTransactionalSink])
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["", "t"], {}),
        ([":memory:", "t"], {}),
        (["db", ""], {}),
        (["db", "t"], {"chunk": 0}),
        (["db", "t"], {"patience": 0}),
        (["db", "t"], {"columns": "ab"}),
        (["db", "t"], {"columns": []}),
        (["db", "t"], {"columns": ["a", "a"]}),
        (["db", "t"], {"columns": {"a": 1}}),
        (["db", "t"], {"columns": ["a"], "key": ["b"]}),
        (["db", "t"], {"key": "id"}),
    ],
)
def test_what_is_out_of_range_is_refused_when_it_is_made(kind, arguments, options):
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\("):
        kind(*arguments, **options)
