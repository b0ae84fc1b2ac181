"""The queue on the disk: nothing put is lost before it is acked, nothing acked comes again."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import Retry
from asyncdataflow.connectors.durable import Durable, JsonCodec
from asyncdataflow.connectors.durable.stored import Stored
from asyncdataflow.errors import (
    BadMessageError,
    CorruptStorageError,
    RejectedItemError,
    StorageBusyError,
    StorageError,
    StorageFullError,
)
from asyncdataflow.testing import check_ackable_source, check_sink
from tests.connectors.answering import ack, items_of, nack, take
from tests.connectors.disks import failing_fsync, small_disk
from tests.source import ROOT

SOON = Retry(attempts=3, backoff=0.001)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def put(durable, *items):
    async with durable.sink().open() as write:
        await write(list(items))


async def lying(durable):
    async with durable.source(follow=False).open() as session:
        return items_of(await take(session))


def sql(statement, *values):
    with closing(sqlite3.connect("db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def child(code, folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [*command, sys.executable, "-c", code]
    return subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("follow", [False, True])
def test_its_end_keeps_the_rules_of_an_answered_source(folder, follow):
    numbers = itertools.count()
    asyncio.run(put(Durable("template"), 0, None, "c"))

    def make():
        path = folder / str(next(numbers))
        shutil.copy("template", path)
        return Durable(path, redeliver=SOON, poll=0.01).source(follow=follow)

    check_ackable_source(
        make,
        items=[0, None, "c"],
        positions=True,
        real_time=True,
        seeds=1,
        silence=0.1 if follow else None,
    )


def test_its_beginning_keeps_the_rules_of_a_sink(folder):
    numbers = itertools.count()

    def make():
        return Durable(folder / str(next(numbers)), chunk=1).sink()

    async def read(sink):
        return await lying(sink._durable)

    check_sink(make, items=[0, None, "c"], read=read, real_time=True, seeds=1)


async def test_what_was_put_comes_out_in_order_and_once_it_is_acked_no_more(folder):
    durable = Durable("db")
    await put(durable, *range(600))
    async with durable.source(follow=False).open() as session:
        messages = await take(session)
        assert items_of(messages) == list(range(600))
        await ack(session, *messages[::2])
    assert await lying(durable) == list(range(1, 600, 2))
    assert [each.position for each in messages] == list(range(1, 601))


async def test_while_it_is_read_what_is_put_comes(folder):
    durable = Durable("db", poll=50.0)
    async with durable.sink().open() as write, durable.source().open() as session:
        for n in range(5):
            coming = asyncio.ensure_future(anext(session))
            await asyncio.sleep(0.01)
            await write([n])
            message = await coming
            assert message.item == n
            await ack(session, message)


@pytest.mark.parametrize("waits", [True, False])
async def test_finished_it_ends_behind_all_that_was_put(folder, waits):
    durable = Durable("db", poll=50.0)
    async with durable.sink().open() as write, durable.source().open() as session:
        taking = asyncio.ensure_future(take(session))
        if waits:
            await asyncio.sleep(0.02)
        await write([1, 2])
        session.finish()
        assert items_of(await taking) == [1, 2]


async def test_finished_while_it_looks_it_looks_once_more(folder, monkeypatch):
    """What was put after it looked, and before it was told that no more comes, is there."""
    looked, go_on = threading.Event(), threading.Event()
    read = Stored.read

    def slowly(stored, *arguments):
        found = read(stored, *arguments)
        looked.set()
        go_on.wait()
        return found

    monkeypatch.setattr(Stored, "read", slowly)
    durable = Durable("db", poll=50.0)
    async with durable.sink().open() as write, durable.source().open() as session:
        taking = asyncio.ensure_future(take(session))
        while not looked.is_set():
            await asyncio.sleep(0)
        await write([1])
        session.finish()
        go_on.set()
        assert items_of(await taking) == [1]


async def test_after_a_position_the_rest_comes_and_what_was_before_is_gone(folder):
    durable = Durable("db")
    await put(durable, *"abcd")
    async with durable.source(follow=False).open({None: 2}) as session:
        assert items_of(await take(session)) == ["c", "d"]
    assert await lying(durable) == ["c", "d"]
    with pytest.raises(ValueError, match="a position is a whole number"):
        async with durable.source().open({None: "x"}):
            pass


async def test_numbers_are_not_given_again(folder):
    durable = Durable("db")
    for n in range(3):
        await put(durable, n)
        async with durable.source(follow=False).open() as session:
            (message,) = await take(session)
            assert message.position == n + 1
            await ack(session, message)


class TestBounds:
    @pytest.mark.parametrize("options", [{"max_items": 3}, {"max_bytes": 3}, {"max_bytes": 1}])
    async def test_a_write_waits_until_there_is_room(self, folder, options):
        durable = Durable("db", **options, poll=50.0)
        async with durable.sink().open() as write, durable.source().open() as session:
            writing = asyncio.ensure_future(write(list(range(8))))
            (most,) = options.values()  # A digit is a byte.
            for n in range(8):
                assert not writing.done() or n >= 8 - most
                message = await anext(session)
                assert message.item == n
                assert len(sql("SELECT * FROM items")) <= most
                await ack(session, message)
            await writing

    async def test_an_item_larger_than_all_lies_there_alone(self, folder):
        durable = Durable("db", max_bytes=10, poll=0.001)
        async with durable.sink().open() as write, durable.source().open() as session:
            writing = asyncio.ensure_future(write(["x" * 100, 1]))
            message = await anext(session)
            assert sql("SELECT items, bytes FROM state") == [(1, 102)]
            await ack(session, message)
            await writing
        assert await lying(durable) == [1]

    async def test_a_write_that_waits_can_be_cancelled(self, folder):
        durable = Durable("db", max_items=1, poll=50.0)
        async with durable.sink().open() as write:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await write([1, 2])
        assert await lying(durable) == [1]


class TestReaders:
    async def test_one_reads_at_a_time(self, folder):
        durable = Durable("db", patience=0.02)
        async with durable.source().open():
            with pytest.raises(StorageBusyError, match="another run has been reading it"):
                await lying(Durable("db", patience=0.02))
        assert await lying(durable) == []

    async def test_many_may_put(self, folder):
        durable = Durable("db")
        await asyncio.gather(*(put(durable, *range(n, n + 10)) for n in range(0, 100, 10)))
        assert sorted(await lying(durable)) == list(range(100))

    async def test_nacked_items_come_again_first(self, folder):
        durable = Durable("db", redeliver=SOON)
        await put(durable, *range(4))
        async with durable.source(follow=False).open() as session:
            first, second = await take(session, 2)
            await ack(session, second)
            await nack(session, first)
            assert items_of(await take(session)) == [0, 2, 3]
        assert await lying(durable) == [0, 2, 3]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


class Text(str):
    """Equal to the text that comes back, and not the same."""

    __slots__ = ()


class TestCodec:
    @given(VALUES)
    def test_what_it_takes_comes_back_the_same(self, item):
        again = JsonCodec().decode(JsonCodec().encode(item))
        assert repr(again) == repr(item)

    def test_a_nan_comes_back(self):
        assert repr(JsonCodec().decode(JsonCodec().encode([float("nan")]))) == "[nan]"

    @pytest.mark.parametrize(
        "item",
        [
            (1,),
            {1: 2},
            {"a": {"b": [()]}},
            b"x",
            {1},
            object(),
            pytest.param(Text("x"), id="text of another type"),
            pytest.param(1 << 99999, id="a number too long"),
        ],
    )
    async def test_what_would_not_is_refused_with_all_of_its_list(self, folder, item):
        durable = Durable("db")
        with pytest.raises(RejectedItemError, match="cannot be kept"):
            await put(durable, 1, item, 2)
        assert await lying(durable) == []

    async def test_one_of_your_own_is_kept_to(self, folder):
        class Reversed:
            name = "reversed"

            def encode(self, item):
                return item.encode()[::-1]

            def decode(self, data):
                return data[::-1].decode()

        durable = Durable("db", codec=Reversed())
        await put(durable, "abc")
        assert await lying(durable) == ["abc"]
        with pytest.raises(StorageError, match="written with the codec 'reversed', not 'json'"):
            await lying(Durable("db"))

    async def test_what_it_does_not_know_is_told_behind_what_it_does(self, folder):
        class Fickle(JsonCodec):
            def decode(self, data):
                if data == b"2":
                    raise ValueError("secret")
                return super().decode(data)

        durable = Durable("db", codec=Fickle())
        await put(durable, 1, 2, 3)
        async with durable.source(follow=False).open() as session:
            assert (await anext(session)).item == 1
            with pytest.raises(BadMessageError, match="the item 2 is none") as caught:
                await anext(session)
            assert "secret" not in str(caught.value)


class TestDamage:
    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM items WHERE id = 2",
            "UPDATE items SET item = CAST('20' AS BLOB) WHERE id = 2",
            "DELETE FROM state",
            "UPDATE state SET items = 9",
            "DROP TABLE items",
            "PRAGMA user_version = 2",
        ],
    )
    async def test_what_is_missing_or_changed_is_told_and_nothing_given(self, folder, statement):
        durable = Durable("db")
        await put(durable, 1, 2, 3)
        sql(statement)
        with pytest.raises((CorruptStorageError, StorageError)):
            await lying(durable)

    async def test_an_item_that_was_changed_is_told(self, folder):
        durable = Durable("db")
        await put(durable, 1, 2, 3)
        sql("UPDATE items SET item = CAST('9' AS BLOB) WHERE id = 2")
        with pytest.raises(CorruptStorageError, match="the item 2 is not what was put"):
            await lying(durable)

    async def test_another_database_is_refused_and_left(self, folder):
        sql("CREATE TABLE t (a)")
        with pytest.raises(CorruptStorageError, match="this is no durable buffer"):
            await put(Durable("db"), 1)
        assert sql("SELECT name FROM sqlite_schema") == [("t",)]

    async def test_a_file_of_another_kind_is_refused_and_left(self, folder):
        (folder / "db").write_bytes(b"no database" * 1000)
        for use in (lying(Durable("db")), put(Durable("db"), 1)):
            with pytest.raises(CorruptStorageError, match="db: opening failed: file is not a database"):
                await use
        assert (folder / "db").read_bytes() == b"no database" * 1000

    async def test_a_schema_with_odd_bytes_is_told(self, folder):
        await put(Durable("template"), 1)
        for place in range(3700, 4096, 4):
            shutil.copy("template", "db")
            with open("db", "r+b") as file:
                file.seek(place)
                file.write(b"\x80")
            with suppress(StorageError):  # And nothing else; some bytes do no harm.
                await lying(Durable("db"))

    @given(st.data())
    @settings(max_examples=40)
    async def test_pages_overwritten_anywhere_give_nothing_wrong(self, tmp_path_factory, data):
        """What comes is a beginning of what was put, or it is told."""
        path = tmp_path_factory.mktemp("damage") / "db"
        items = [str(n) * 300 for n in range(40)]
        await put(Durable(path), *items)
        size = path.stat().st_size
        begin = data.draw(st.integers(0, size - 1))
        with open(path, "r+b") as file:
            file.seek(begin)
            file.write(data.draw(st.binary(min_size=1, max_size=200)))
        seen = []
        try:
            async with Durable(path).source(follow=False).open() as session:
                while True:
                    seen.append((await anext(session)).item)
        except (StorageError, BadMessageError):
            pass
        except StopAsyncIteration:
            assert seen == items
        assert seen == items[: len(seen)]

    @given(st.data())
    @settings(max_examples=25)
    async def test_a_torn_log_gives_all_that_was_committed_before(self, tmp_path_factory, data):
        """The write-ahead log of a lost machine, cut off anywhere: whole puts, in order."""
        folder = tmp_path_factory.mktemp("torn")
        durable = Durable(folder / "db")
        async with durable.sink().open() as write:
            for n in range(5):
                await write([n] * 20)
            for name in ("db", "db-wal"):
                shutil.copy(folder / name, folder / f"torn{name[2:]}")
        log = folder / "torn-wal"
        os.truncate(log, data.draw(st.integers(0, log.stat().st_size)))
        seen = await lying(Durable(folder / "torn"))
        assert seen == [n for n in range(len(seen) // 20) for _ in range(20)]


class TestDisk:
    async def test_a_full_one_is_told_and_has_what_was_said_to_be_there(self, folder):
        with small_disk(folder, "400k"):
            durable = Durable("db", redeliver=SOON)
            written = 0
            with pytest.raises(StorageFullError, match="putting failed: database or disk is full"):
                async with durable.sink().open() as write:
                    while True:
                        await write([f"{written:04}" + "x" * 5000] * 2)
                        written += 1
            for file in os.listdir():
                shutil.copy(file, folder)
        assert written > 3
        expected = [f"{n:04}" + "x" * 5000 for n in range(written) for _ in range(2)]
        assert await lying(Durable(folder / "db")) == expected

    async def test_a_file_that_anybody_may_write_to_is_refused(self, folder):
        await put(Durable("db"), 1)
        assert os.stat("db").st_mode & 0o777 == 0o600
        os.chmod("db", 0o666)
        with pytest.raises(StorageError, match="anybody may write to it"):
            await lying(Durable("db"))


WRITER = """
import asyncio
from asyncdataflow.connectors.durable import Durable

async def main():
    async with Durable("db", max_items=200).sink().open() as write:
        for n in range(BEGIN, 10**9):
            await write([n] * 3)
            print(n, flush=True)

asyncio.run(main())
"""

READER = """
import asyncio
from asyncdataflow.connectors.durable import Durable
from asyncdataflow.message import Answer

async def main():
    async with Durable("db", poll=0.001).source().open() as session:
        async for message in session:
            print("got", message.position, message.item, flush=True)
            await session.answer([Answer(message)])
            print("acked", message.position, flush=True)

asyncio.run(main())
"""


def test_killed_at_any_time_nothing_is_lost_and_at_most_one_comes_twice(folder):
    """Writer and reader are killed again and again; each says what it knows."""
    got, acked, there, begin = [], set(), [], 0
    for count in (3, 10, 30):
        with (
            child(WRITER.replace("BEGIN", str(begin)), folder) as writer,
            child(READER, folder) as reader,
        ):
            said = [int(next(writer.stdout)) for _ in range(count)]
            lines = [next(reader.stdout) for _ in range(count)]
            for each in (writer, reader):
                each.send_signal(signal.SIGKILL)
            said += [int(line) for line in writer.stdout if line.endswith("\n")]
            lines += [line for line in reader.stdout if line.endswith("\n")]
        there += said
        begin = said[-1] + 1000
        for line in lines:
            kind, position, *item = line.split()
            if kind == "got":
                assert position not in acked
                got.append((int(position), int(*item)))
            else:
                acked.add(position)
    got += [(position, item) for position, item in asyncio.run(_rest()) if str(position) not in acked]
    positions = sorted({position for position, _ in got})
    assert positions == list(range(1, len(positions) + 1))
    assert len(got) - len(positions) <= 3
    items = [item for _, item in sorted(set(got))]
    # Of a write that was killed, which it never said was done, a part may be there.
    assert [n for n in items if n in there] == [n for n in there for _ in range(3)]
    assert items == sorted(items)
    assert len(set(items) - set(there)) <= 3


async def _rest():
    async with Durable("db").source(follow=False).open() as session:
        return [(each.position, each.item) for each in await take(session)]


EIO = """
import asyncio
from asyncdataflow.connectors.durable import Durable
from asyncdataflow.errors import StorageError

async def main():
    async with Durable("db").sink().open() as write:
        for n in range(30):
            try:
                await write([n])
            except StorageError as error:
                print("failed", n, str(error), flush=True)
                return
            print("there", n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [9, 12, 15])
def test_an_fsync_that_fails_is_told_and_what_was_said_to_be_there_is(folder, number):
    with child(EIO, folder, *failing_fsync(number)) as writer:
        lines = writer.stdout.read().splitlines()
    there = [int(line.split()[1]) for line in lines if line.startswith("there")]
    assert f"failed {len(there)} db: putting failed: disk I/O error" in lines[-1]
    assert asyncio.run(lying(Durable("db")))[: len(there)] == there


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("", {}),
        (":memory:", {}),
        ("db", {"max_items": 0}),
        ("db", {"max_bytes": 0}),
        ("db", {"chunk": 0}),
        ("db", {"max_unacked": 0}),
        ("db", {"redeliver": 1}),
        ("db", {"poll": 0}),
        ("db", {"patience": 0}),
        ("db", {"codec": json}),
    ],
)
def test_what_is_out_of_range_is_refused_when_it_is_made(path, options):
    with pytest.raises(ValueError, match=r"^Durable\("):
        Durable(path, **options)
