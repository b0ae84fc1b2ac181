"""Somebody dies in each window of a commit: each item is stored once all the same (E51).

Who dies is our program, the server's process for it, the whole server, or the connection between them. Points
are passed in a way to the server that the tests lay (``cutting.py``), or around the connector.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time

import psutil
import pytest

from asyncdataflow.connectors.postgres import PostgresTransactionalSink
from asyncdataflow.errors import ConnectionLostError, FencedError, UncertainWriteError
from tests.dying_flow import CHUNK, DIED, Token, command, dying_flow, offset_of, told, write_lines
from tests.integration.cutting import AFTER, BEFORE, cutting
from tests.integration.database import ask, psycopg, tell

ITEMS = 90
LIVES = (1, 2, 4)
"""Of each life, how often the point is passed until somebody dies there."""

POINTS = [*BEFORE, AFTER]
POSITIONS = "asyncdataflow_positions"
OURS = "FROM pg_stat_activity WHERE application_name = 'asyncdataflow'"
IN_DOUBT = ["both written", AFTER]
"""Where a client cannot know what became of its commit."""


@pytest.fixture
def table(postgres, new_name):
    name = new_name("facts")
    tell(postgres, f"CREATE TABLE {name} (id int)")
    return name


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sink(address, table, **options):
    return PostgresTransactionalSink(
        address, table, flow="flow", columns=["id"], **{"chunk": CHUNK, **options}
    )


def stored(server, table):
    """What lies in the table, in the order in which it came there, and where the source stands."""
    ids = ask(server, f"SELECT id FROM {table} ORDER BY ctid")
    where = f"target = '{table}' AND source = 'lines'"
    return ids, [offset_of(each) for each in ask(server, f"SELECT position FROM {POSITIONS} WHERE {where}")]


def terminate(server):
    """End the sessions of all that come through the connector, as an administrator does."""
    tell(server, f"SELECT pg_terminate_backend(pid, 5000) {OURS}")


def kill_backend(server):
    """``kill -9`` for the server's process of our session: the server then ends all others, and recovers."""
    for pid in ask(server, f"SELECT pid {OURS}"):
        psutil.Process(pid).kill()


async def once_more(server, table, positions):
    """Run it to the end: what is there then, each item once."""
    await dying_flow(sink(server.dsn, table), Token()).run()
    assert stored(server, table) == (list(range(1, ITEMS + 1)), [positions[-1]])


def live(server, table, point, turn):
    """Run the flow in a program that dies at a point; how it ended, and what it began and ended to write."""
    ours = point not in POINTS
    with cutting(server.folder, point, turn, lambda: process.kill()) as (way, address):  # noqa: PLW0108 - it is made below
        process = subprocess.Popen(**command(point if ours else "", turn, address, table))
        output, _ = process.communicate(timeout=60)
        assert way.reached.is_set() is not ours, "it never came to this point"
    return process.returncode, *told(output)


@pytest.mark.parametrize("point", [*POINTS, "returned", "before the source hears"])
async def test_a_program_that_dies_in_a_window_of_a_commit_stores_each_item_once(postgres, table, point):
    ends = write_lines(ITEMS)
    await sink(postgres.dsn, table).prepare()
    there = 0
    for turn in LIVES:
        code, begun, ended = live(postgres, table, point, turn)
        assert code == (-9 if point in POINTS else DIED)
        ids, positions = stored(postgres, table)
        # What a window says of the write that it is in: nothing of it is there, or all.
        least = there + (begun if point in (AFTER, "returned") else ended)
        most = there + (ended if point in BEFORE else begun)
        assert least <= len(ids) <= most
        assert ids == list(range(1, len(ids) + 1))
        assert positions == ([ends[len(ids) - 1]] if ids else [])
        there = len(ids)
    assert there < ITEMS
    await once_more(postgres, table, ends)


ACTS = {"cut": lambda server: None, "terminated": terminate}


@pytest.mark.parametrize("turn", [1, 7])
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("point", POINTS)
async def test_a_connection_that_is_lost_in_a_window_is_made_again(postgres, table, point, act, turn):
    """And a commit whose answer was lost, and is tried again, is done once.

    The first, and one of which psycopg has the statements prepared.
    """
    ends = write_lines(ITEMS)
    await sink(postgres.dsn, table).prepare()
    with cutting(postgres.folder, point, turn, lambda: ACTS[act](postgres)) as (way, address):
        await dying_flow(sink(address, table), Token()).run()
        assert way.reached.is_set()
    assert stored(postgres, table) == (list(range(1, ITEMS + 1)), [ends[-1]])


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("point", POINTS)
async def test_not_made_again_the_run_fails_and_says_what_is_known(postgres, table, point, act):
    ends = write_lines(ITEMS)
    await sink(postgres.dsn, table).prepare()
    with (
        cutting(postgres.folder, point, 2, lambda: ACTS[act](postgres)) as (way, address),
        pytest.raises(UncertainWriteError if point in IN_DOUBT else ConnectionLostError),
    ):
        await dying_flow(sink(address, table, reconnect=0), Token()).run()
    assert way.reached.is_set()
    ids, positions = stored(postgres, table)
    assert 0 < len(ids) < ITEMS
    assert positions == [ends[len(ids) - 1]]
    await once_more(postgres, table, ends)


@pytest.mark.parametrize("act", [kill_backend, lambda server: server.restart()], ids=["backend", "server"])
async def test_a_server_that_is_killed_in_a_window(own_postgres, new_name, act):
    ends = write_lines(ITEMS)
    for point in POINTS:
        table = new_name("facts")
        tell(own_postgres, f"CREATE TABLE {table} (id int)")
        await sink(own_postgres.dsn, table).prepare()
        with cutting(own_postgres.folder, point, 2, lambda: act(own_postgres)) as (way, address):
            await dying_flow(sink(address, table), Token()).run()
            assert way.reached.is_set(), point
        assert stored(own_postgres, table) == (list(range(1, ITEMS + 1)), [ends[-1]]), point


EXPIRES = (b"'60000'", b"'00050'")


@pytest.mark.parametrize("reconnect", [0, 30])
@pytest.mark.parametrize("point", ["advanced", "items written", "both written"])
async def test_a_transaction_that_has_expired_is_told_or_done_again(postgres, table, point, reconnect):
    """The server ends one that lies idle: nothing of it is there, and nobody takes it for done."""

    def wait():
        until = time.monotonic() + 10
        while ask(postgres, f"SELECT pid {OURS}") and time.monotonic() < until:
            time.sleep(0.01)
        expired.append(not ask(postgres, f"SELECT pid {OURS}"))
        return True

    expired = []
    await sink(postgres.dsn, table).prepare()
    with cutting(postgres.folder, point, 2, wait, EXPIRES) as (_, address):
        async with sink(address, table, reconnect=reconnect).open() as commits:
            await commits.write([{"id": 1}], {"lines": {"a": 10}})
            if reconnect:
                await commits.write([{"id": 2}], {"lines": {"a": 20}})
            else:
                with pytest.raises(UncertainWriteError if point in IN_DOUBT else ConnectionLostError):
                    await commits.write([{"id": 2}], {"lines": {"a": 20}})
    assert expired == [True]
    assert stored(postgres, table) == (([1, 2], [20]) if reconnect else ([1], [10]))


async def test_a_run_that_is_frozen_amid_a_commit_does_not_hold_up_its_successor(postgres, table):
    """It has locked where its source stands: the server ends its session, and it is refused later."""
    await sink(postgres.dsn, table).prepare()
    thawed = threading.Event()
    with cutting(postgres.folder, "both written", 1, lambda: thawed.wait(10), EXPIRES) as (_, address):
        async with sink(address, table).open() as frozen:
            writing = asyncio.create_task(frozen.write([{"id": 1}], {"lines": {"a": 10}}))
            async with asyncio.timeout(10), sink(postgres.dsn, table).open() as commits:
                assert await commits.positions("lines") == {}
                await commits.write([{"id": 1}], {"lines": {"a": 10}})
            thawed.set()
            with pytest.raises(FencedError):
                await writing
    assert stored(postgres, table) == ([1], [10])


async def test_a_transaction_that_is_undone_by_its_commit_is_told(postgres, table):
    tell(postgres, f"ALTER TABLE {table} ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
    await sink(postgres.dsn, table).prepare()
    async with sink(postgres.dsn, table).open() as commits:
        await commits.write([{"id": 1}], {"lines": {"a": 10}})
        with pytest.raises(psycopg.errors.UniqueViolation):
            await commits.write([{"id": 1}], {"lines": {"a": 20}})
        assert await commits.positions("lines") == {"a": 10}
        await commits.write([{"id": 2}], {"lines": {"a": 30}})
    assert stored(postgres, table) == ([1, 2], [30])
