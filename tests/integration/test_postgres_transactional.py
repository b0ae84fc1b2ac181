"""PostgresTransactionalSink against a real server: items and positions together, one run at a time."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow.connectors.postgres import PostgresTransactionalSink
from asyncdataflow.errors import (
    ConnectionLostError,
    ConnectorSetupError,
    FencedError,
    RejectedItemError,
    UncertainWriteError,
)
from tests.integration.database import ask, psycopg, tell


@pytest.fixture
def table(postgres, new_name):
    name = new_name("facts")
    tell(postgres, f"CREATE TABLE {name} (id int)")
    return name


async def prepared(server, table, **options):
    sink = PostgresTransactionalSink(server.dsn, table, **{"flow": "flow", "columns": "id", **options})
    await sink.prepare()
    return sink


async def test_positions_are_kept_with_the_items(postgres, table):
    sink = await prepared(postgres, table)
    async with sink.open() as commits:
        assert await commits.positions("lines") == {}
        await commits.write([1, 2], {"lines": {"a.txt": 20}, "others": {("a", 1): [3, "x"]}})
        await commits.write([3], {"lines": {"b.txt": 7, None: 1}})
        await commits.write([], {"lines": {"a.txt": 40}})
        assert await commits.positions("lines") == {"a.txt": 40, "b.txt": 7, None: 1}
    async with sink.open() as commits:
        assert await commits.positions("lines") == {"a.txt": 40, "b.txt": 7, None: 1}
        assert await commits.positions("others") == {("a", 1): [3, "x"]}
        assert await commits.positions("unknown") == {}
    other = await prepared(postgres, table, flow="other flow")
    async with other.open() as commits:
        assert await commits.positions("lines") == {}
    assert ask(postgres, f"SELECT id FROM {table} ORDER BY id") == [1, 2, 3]


async def test_neither_items_nor_positions_where_one_is_refused(postgres, table):
    sink = await prepared(postgres, table)
    async with sink.open() as commits:
        await commits.write([1], {"lines": {None: 1}})
        with pytest.raises(RejectedItemError):
            await commits.write([2, "three"], {"lines": {None: 3}})
        with pytest.raises(ValueError, match="JSON"):
            await commits.write([2], {"lines": {None: float("nan")}})
        assert await commits.positions("lines") == {None: 1}
        await commits.write([2], {"lines": {None: 2}})
    assert ask(postgres, f"SELECT id FROM {table} ORDER BY id") == [1, 2]


@pytest.mark.parametrize("positions", [{}, {"lines": {None: 9}}])
async def test_a_run_that_was_replaced_writes_nothing_more(postgres, table, positions):
    sink = await prepared(postgres, table)
    async with sink.open() as older:
        await older.write([1], {"lines": {None: 1}})
        async with sink.open() as newer:
            with pytest.raises(FencedError, match="another run of the flow 'flow'"):
                await older.write([2], positions)
            assert await newer.positions("lines") == {None: 1}
            await newer.write([3], {"lines": {None: 2}})
            with pytest.raises(FencedError):
                await older.write([4], positions)
            await newer.write([5], {"lines": {None: 3}})
    assert ask(postgres, f"SELECT id FROM {table} ORDER BY id") == [1, 3, 5]


async def test_two_runs_that_race_store_each_item_once(postgres, table):
    """Both go on from what is stored, as fast as they can; every now and then a new one takes over."""
    sink = await prepared(postgres, table)

    async def run(most):
        async with sink.open() as commits:
            done = (await commits.positions("numbers")).get(None, 0)
            try:
                for number in range(done + 1, done + most + 1):
                    await commits.write([number], {"numbers": {None: number}})
            except FencedError:
                return 1
        return 0

    fenced = 0
    for _ in range(10):
        fenced += sum(await asyncio.gather(*(run(20) for _ in range(3))))
    there = ask(postgres, f"SELECT id FROM {table} ORDER BY id")
    assert there == list(range(1, len(there) + 1))
    assert fenced


async def test_a_hidden_commit_is_recognized(postgres, table, lost_commits):
    """Its connection is cut in the commit; here it was undone, below it was done."""
    lost_commits(postgres, table)
    sink = await prepared(postgres, table)
    async with sink.open() as commits:
        await commits.write([1], {"lines": {None: 1}})
    assert ask(postgres, f"SELECT id FROM {table}") == [1]


@pytest.mark.parametrize("reconnect", [0, 30])
async def test_a_commit_whose_confirmation_was_lost_is_not_done_twice(
    postgres, table, monkeypatch, reconnect
):
    sink = await prepared(postgres, table, reconnect=reconnect)
    leave = psycopg.AsyncTransaction.__aexit__
    lost = []

    async def leave_and_lose(self, *raised):
        done = await leave(self, *raised)
        if not lost and not any(raised):
            lost.append(True)
            await self.connection.close()
            raise psycopg.OperationalError("the connection is lost")
        return done

    async with sink.open() as commits:
        monkeypatch.setattr(psycopg.AsyncTransaction, "__aexit__", leave_and_lose)
        if reconnect:
            await commits.write([1], {"lines": {None: 1}})
            await commits.write([2], {"lines": {None: 2}})
        else:
            for _ in range(2):
                with pytest.raises(UncertainWriteError, match="next session"):
                    await commits.write([1], {"lines": {None: 1}})
    async with sink.open() as commits:
        assert await commits.positions("lines") == {None: 2 if reconnect else 1}
    assert ask(postgres, f"SELECT id FROM {table} ORDER BY id") == ([1, 2] if reconnect else [1])


async def test_cancelled_writes_are_whole_and_positions_tell(postgres, table):
    sink = await prepared(postgres, table)
    for turns in range(40):
        async with sink.open() as commits:
            number = (await commits.positions("numbers")).get(None, 0) + 1
            task = asyncio.create_task(commits.write([number], {"numbers": {None: number}}))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
    async with sink.open() as commits:
        done = (await commits.positions("numbers")).get(None, 0)
    assert ask(postgres, f"SELECT id FROM {table} ORDER BY id") == list(range(1, done + 1))


async def test_a_server_that_is_killed_again_and_again(own_postgres, new_name):
    table = new_name("facts")
    tell(own_postgres, f"CREATE TABLE {table} (id int)")
    sink = await prepared(own_postgres, table)

    async def run():
        async with sink.open() as commits:
            for number in range(1, 301):
                await commits.write([number], {"numbers": {None: number}})

    running = asyncio.create_task(run())
    for done in (50, 150):
        while not running.done() and max(ask(own_postgres, f"SELECT id FROM {table}"), default=0) < done:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(own_postgres.restart)
    await running
    assert ask(own_postgres, f"SELECT id FROM {table} ORDER BY id") == list(range(1, 301))


async def test_it_needs_its_table(own_postgres, new_name):
    sink = PostgresTransactionalSink(own_postgres.dsn, "facts", flow="flow", columns="id", reconnect=0)
    with pytest.raises(ConnectorSetupError, match=r"prepare\(\)"):
        async with sink.open():
            pass
    await asyncio.gather(*(sink.prepare() for _ in range(4)))
    async with sink.open() as commits:
        own_postgres.kill()
        with pytest.raises(ConnectionLostError):
            await commits.write([1], {})
