"""PostgresSink against a real server: rows, keys, what is refused, and a server that is killed."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow.connectors.postgres import PostgresSink
from asyncdataflow.errors import (
    ConnectionLostError,
    ConnectorSetupError,
    RejectedItemError,
    UncertainWriteError,
)
from tests.integration.database import ask, tell


@pytest.fixture
def table(postgres, new_name):
    name = new_name("rows")
    tell(postgres, f"CREATE TABLE {name} (id int PRIMARY KEY, word text, body jsonb)")
    return name


async def write(sink, *lists):
    async with sink.open() as writing:
        for each in lists:
            await writing(each)


@pytest.mark.parametrize("key", [None, "id"])
async def test_mappings_tuples_and_lists_are_rows(postgres, table, key):
    sink = PostgresSink(postgres.dsn, table, columns=["id", "word", "body"], key=key)
    assert sink.effect == ("plain" if key is None else "idempotent")
    await write(
        sink,
        [{"id": 1, "word": None, "body": {"deep": [1, {}]}, "other": "left out"}, (2, "two\t\n\\N", None)],
        [[3, "", "3"]],
    )
    rows = ask(postgres, f"SELECT * FROM {table} ORDER BY id")
    assert rows == [(1, None, {"deep": [1, {}]}), (2, "two\t\n\\N", None), (3, "", 3)]


async def test_one_item_at_a_time_and_one_column_alone(postgres, table):
    await write(PostgresSink(postgres.dsn, table, columns="id", chunk=1), 1, 2)
    assert ask(postgres, f"SELECT id FROM {table} ORDER BY id") == [1, 2]


async def test_a_key_makes_writing_twice_harmless(postgres, table):
    sink = PostgresSink(postgres.dsn, table, columns=["id", "word"], key="id")
    await write(sink, [(1, "a"), (1, "b"), (2, "c")], [(2, "d")])
    assert ask(postgres, f"SELECT id, word FROM {table} ORDER BY id") == [(1, "b"), (2, "d")]
    first = PostgresSink(postgres.dsn, table, columns=["id", "word"], key=["id"], on_conflict="nothing")
    await write(first, [(2, "e"), (3, "f"), (3, "g")])
    assert ask(postgres, f"SELECT id, word FROM {table} ORDER BY id") == [(1, "b"), (2, "d"), (3, "f")]


HOSTILE = [
    pytest.param((7, "nul\0byte", None), id="NUL"),
    pytest.param((7, "lone \udcff surrogate", None), id="surrogate"),
    pytest.param(("seven", "x", None), id="no number"),
    pytest.param((10**30, "x", None), id="huge number"),
    pytest.param((10**5000, "x", None), id="number beyond str()"),
    pytest.param((None, "x", None), id="null key"),
    pytest.param((7, "x", {"nul": "\0"}), id="NUL in JSON"),
    pytest.param((7, "x", "{"), id="no JSON"),
    pytest.param((7, object(), None), id="no value"),
    pytest.param((7, ["a", object()], None), id="no list of values"),
    pytest.param((7, "secret"), id="too short"),
    pytest.param({"id": 7}, id="no column"),
    pytest.param("secret", id="text"),
    pytest.param(7, id="number"),
    pytest.param(None, id="None"),
]


def deep():
    nested = {}
    for _ in range(100_000):
        nested = {"a": nested}
    return nested


@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize("item", HOSTILE)
async def test_hostile_items_are_refused_and_nothing_of_their_list_is_written(postgres, table, key, item):
    sink = PostgresSink(postgres.dsn, table, columns=["id", "word", "body"], key=key)
    async with sink.open() as writing:
        with pytest.raises(RejectedItemError, match="none of them was written") as caught:
            await writing([(1, "a", None), item, (2, "b", None)])
        assert ask(postgres, f"SELECT id FROM {table}") == []
        with pytest.raises(RejectedItemError, match="the item"):
            await writing([item])
        await writing([(1, "a", None), (2, "b", None)])
    assert ask(postgres, f"SELECT id FROM {table} ORDER BY id") == [1, 2]
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", [None, "id"])
async def test_json_that_is_too_deep(postgres, table, key):
    sink = PostgresSink(postgres.dsn, table, columns=["id", "word", "body"], key=key)
    with pytest.raises(RejectedItemError):
        await write(sink, [(1, "x", deep())])


async def test_a_refusal_says_where_and_why_and_not_what(postgres, table):
    sink = PostgresSink(postgres.dsn, table, columns=["id", "word"])
    with pytest.raises(RejectedItemError) as caught:
        await write(sink, [(1, "a"), (2, "b"), ("secret", "c")])
    assert str(caught.value) == (
        f"PostgresSink({table!r}): item 3 of 3 cannot be written: InvalidTextRepresentation (22P02), "
        "column 'id'; none of them was written"
    )
    with pytest.raises(RejectedItemError, match=rf"UniqueViolation \(23505\), constraint '{table}_pkey'"):
        await write(sink, [(1, "a"), (1, "b")])


async def test_what_the_table_lacks_is_no_item_s_fault(postgres, table):
    with pytest.raises(ConnectorSetupError, match="does not exist"):
        await write(PostgresSink(postgres.dsn, table + "x", columns="id"), [1])
    with pytest.raises(ConnectorSetupError, match="nope"):
        await write(PostgresSink(postgres.dsn, table, columns=["id", "nope"]), [(1, 2)])
    with pytest.raises(ConnectorSetupError, match="ON CONFLICT"):
        await write(PostgresSink(postgres.dsn, table, columns=["id", "word"], key="word"), [(1, "a")])


async def test_deadlocks_are_tried_again(postgres, table):
    sink = PostgresSink(postgres.dsn, table, columns=["id", "word"], key="id")
    one, other = [(n, "a") for n in range(300)], [(n, "b") for n in reversed(range(300))]
    await asyncio.gather(*(write(sink, *([rows] * 5)) for rows in (one, other)))
    assert ask(postgres, f"SELECT count(*) FROM {table}") == [300]


async def test_writes_of_several_workers_are_whole(postgres, table):
    sink = PostgresSink(postgres.dsn, table, columns=["id"])
    async with sink.open() as writing:
        await asyncio.gather(*(writing([(10 * ten + n,) for n in range(10)]) for ten in range(20)))
    assert ask(postgres, f"SELECT count(*) FROM {table}") == [200]


async def test_a_cancelled_write_is_there_or_not_and_the_next_one_works(postgres, table):
    sink = PostgresSink(postgres.dsn, table, columns=["id"])
    async with sink.open() as writing:
        for number in range(40):
            task = asyncio.create_task(writing([(2 * number,), (2 * number + 1,)]))
            for _ in range(number % 20):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await writing([(100,)])
    there = set(ask(postgres, f"SELECT id FROM {table}"))
    assert 100 in there
    assert all((2 * number in there) == (2 * number + 1 in there) for number in range(40))


@pytest.mark.parametrize("key", [None, "id"])
async def test_a_server_that_was_killed_between_writes_is_connected_anew(own_postgres, new_name, key):
    table = new_name("rows")
    tell(own_postgres, f"CREATE TABLE {table} (id int PRIMARY KEY)")
    sink = PostgresSink(own_postgres.dsn, table, columns=["id"], key=key)
    async with sink.open() as writing:
        await writing([(1,)])
        own_postgres.kill()
        later = asyncio.create_task(writing([(2,)]))
        await asyncio.to_thread(own_postgres.start)
        await later
    assert ask(own_postgres, f"SELECT id FROM {table} ORDER BY id") == [1, 2]


async def test_a_server_that_is_killed_amid_writes(own_postgres, new_name):
    """With a key each row is there once; without one, at least what was confirmed, and nothing twice."""
    keyed, plain = new_name("rows"), new_name("rows")
    tell(own_postgres, f"CREATE TABLE {keyed} (id int PRIMARY KEY)", f"CREATE TABLE {plain} (id int)")
    confirmed, uncertain = [], []

    async def write_keyed():
        async with PostgresSink(own_postgres.dsn, keyed, columns="id", key="id").open() as writing:
            for number in range(400):
                await writing([number])

    async def write_plain():
        async with PostgresSink(own_postgres.dsn, plain, columns="id").open() as writing:
            for number in range(400):
                try:
                    await writing([number])
                    confirmed.append(number)
                except UncertainWriteError:
                    uncertain.append(number)

    writers = asyncio.gather(write_keyed(), write_plain())
    for _ in range(2):
        before = len(confirmed)
        while len(confirmed) < before + 50:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(own_postgres.restart)
    await writers
    assert ask(own_postgres, f"SELECT id FROM {keyed} ORDER BY id") == list(range(400))
    there = ask(own_postgres, f"SELECT id FROM {plain} ORDER BY id")
    assert set(confirmed) <= set(there) <= set(confirmed) | set(uncertain)
    assert len(there) == len(set(there))


async def test_a_lost_commit_is_uncertain_without_a_key(postgres, table, lost_commits):
    """The connection is cut at the moment of the commit, by a trigger that runs then."""
    lost_commits(postgres, table)
    plain = PostgresSink(postgres.dsn, table, columns="id")
    with pytest.raises(UncertainWriteError, match="1 rows were committed"):
        await write(plain, [1])
    await write(PostgresSink(postgres.dsn, table, columns="id", key="id"), [2])
    assert 2 in ask(postgres, f"SELECT id FROM {table}")


async def test_a_server_that_stays_away_is_a_named_error(own_postgres, new_name):
    table = new_name("rows")
    tell(own_postgres, f"CREATE TABLE {table} (id int)")
    sink = PostgresSink(own_postgres.dsn, table, columns="id", reconnect=0)
    async with sink.open() as writing:
        own_postgres.kill()
        for _ in range(2):
            with pytest.raises(ConnectionLostError) as caught:
                await writing([1])
            assert not isinstance(caught.value, UncertainWriteError)
        own_postgres.start()
        await writing([2])
    assert ask(own_postgres, f"SELECT id FROM {table}") == [2]
