"""PostgresQueue against a real server: leases, answers, competing consumers, kill -9."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from asyncdataflow.connectors.postgres import PostgresQueue
from asyncdataflow.errors import BadMessageError, ConnectionLostError, ConnectorSetupError
from asyncdataflow.message import Answer
from asyncdataflow.policy import Retry
from asyncdataflow.testing import check_ackable_source
from tests.integration.database import psycopg, tell


@asynccontextmanager
async def session(server):
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as connection:
        yield connection


async def filled(server, table, count, *, shape="id int PRIMARY KEY, word text", **options):
    queue = PostgresQueue(server.dsn, table, **{"follow": False, **options})
    async with session(server) as connection:
        await connection.execute(f"CREATE TABLE {table} ({shape})")
        if count:
            await connection.execute(
                f"INSERT INTO {table} SELECT n, 'w' || n FROM generate_series(1, {count}) n"
            )
    await queue.prepare()
    return queue


async def left(server, table, what="id", where="TRUE"):
    async with session(server) as connection:
        found = await connection.execute(f"SELECT {what} FROM {table} WHERE {where} ORDER BY id")
        return [row[0] if len(row) == 1 else row for row in await found.fetchall()]


async def take(subscription, count=1000):
    taken = []
    while len(taken) < count:
        try:
            taken.append(await anext(subscription))
        except StopAsyncIteration:
            break
    return taken


def ids(messages):
    return [each.item["id"] for each in messages]


def acks(messages):
    return [Answer(each) for each in messages]


def nacks(messages):
    return [Answer(each, ValueError("no")) for each in messages]


@pytest.fixture
def table(new_name):
    return new_name("jobs")


async def test_rows_come_in_order_and_are_gone_when_acked(postgres, table):
    queue = await filled(postgres, table, 5, fetch=2)
    async with queue.open() as subscription:
        messages = await take(subscription)
        assert [each.item for each in messages] == [{"id": n, "word": f"w{n}"} for n in range(1, 6)]
        await subscription.answer(acks(messages[:3]))
        assert await left(postgres, table) == [4, 5]
    async with queue.open() as subscription:
        assert ids(await take(subscription)) == [4, 5]


async def test_done_rows_stay_where_a_column_says_so(postgres, table):
    shape = "id int PRIMARY KEY, word text, done_at timestamptz"
    queue = await filled(postgres, table, 3, shape=shape, done="done_at")
    async with queue.open() as subscription:
        messages = await take(subscription)
        assert messages[0].item == {"id": 1, "word": "w1"}
        await subscription.answer(acks(messages[:2]))
    assert await left(postgres, table, where="done_at IS NOT NULL") == [1, 2]
    async with queue.open() as subscription:
        assert ids(await take(subscription)) == [3]


async def test_a_nacked_row_comes_before_new_ones_and_its_attempts_are_counted(postgres, table):
    queue = await filled(postgres, table, 6, fetch=4)
    async with queue.open() as subscription:
        one, two = await take(subscription, 2)
        await subscription.answer(nacks([two]))
        assert ids(await take(subscription)) == [2, 3, 4, 5, 6]
        await subscription.answer(acks([one]))
    assert await left(postgres, table, "id, attempts") == [(2, 2), (3, 1), (4, 1), (5, 1), (6, 1)]


async def test_what_was_not_given_was_no_attempt(postgres, table):
    queue = await filled(postgres, table, 4)
    async with queue.open() as subscription:
        await take(subscription, 1)
    assert await left(postgres, table, "attempts, claimed_by") == [(1, None), (0, None), (0, None), (0, None)]


async def test_the_most_attempts(postgres, table):
    queue = await filled(postgres, table, 2, redeliver=Retry(attempts=2, backoff=0))
    for expected in ([1, 2], [1, 2], []):
        async with queue.open() as subscription:
            messages = await take(subscription)
            assert ids(messages) == expected
            await subscription.answer(nacks(messages))
    assert await left(postgres, table, "attempts") == [2, 2]


async def test_the_wait_behind_a_nack_grows_and_others_are_given_meanwhile(postgres, table):
    waits = Retry(attempts=None, backoff=3600, factor=24, max_backoff=1e9, jitter=0)
    queue = await filled(postgres, table, 3, redeliver=waits)
    async with queue.open() as subscription:
        first, _ = await take(subscription, 2)
        await subscription.answer(nacks([first]))
        assert ids(await take(subscription)) == [3]
    hours = "id, attempts, round(extract(epoch FROM claimed_until - now()) / 3600)::int"
    assert await left(postgres, table, hours, where="claimed_until IS NOT NULL") == [(1, 1, 1)]
    tell(postgres, f"UPDATE {table} SET claimed_until = now() - interval '1 s' WHERE id = 1")
    async with queue.open() as subscription:
        await subscription.answer(nacks(await take(subscription, 1)))
    assert await left(postgres, table, hours, where="claimed_until IS NOT NULL") == [(1, 2, 24)]


async def test_a_row_is_answered_once_and_only_in_its_session(postgres, table, caplog):
    queue = await filled(postgres, table, 2)
    async with queue.open() as first:
        (early, _) = await take(first)
    async with queue.open() as second:
        (again, other) = await take(second)
        await second.answer(acks([early]))
        assert await left(postgres, table) == [1, 2]
        await second.answer(acks([again]))
        await second.answer(nacks([again]))
        assert await left(postgres, table) == [2]
        await first.answer(acks([other]))
        assert await left(postgres, table) == [2]
    assert caplog.text.count("is ignored") == 3


async def test_a_lease_that_has_ended_is_another_s_and_its_late_ack_is_ignored(postgres, table, caplog):
    slow = await filled(postgres, table, 1, lease=3600)
    async with slow.open() as first:
        (early,) = await take(first)
        async with session(postgres) as connection:
            await connection.execute(f"UPDATE {table} SET claimed_until = now() - interval '1 second'")
        async with slow.open() as second:
            (late,) = await take(second)
            await first.answer(acks([early]))
            assert await left(postgres, table, "attempts") == [2]
            await second.answer(acks([late]))
            assert await left(postgres, table) == []
    assert "came after their leases' end" in caplog.text


async def test_a_lease_is_renewed_while_its_session_lives(postgres, table):
    queue = await filled(postgres, table, 1, lease=0.3, follow=True, poll=0.05)
    async with queue.open() as first:
        (message,) = await take(first, 1)
        async with session(postgres) as connection:
            found = await connection.execute(f"SELECT claimed_until FROM {table}")
            (begun,) = await found.fetchone()
            while True:
                found = await connection.execute(f"SELECT claimed_until FROM {table}")
                (until,) = await found.fetchone()
                if (until - begun).total_seconds() > 0.6:
                    break
        await first.answer(acks([message]))
    assert await left(postgres, table) == []


async def test_competing_consumers_share_the_rows(postgres, table):
    queue = await filled(postgres, table, 2000, fetch=7)
    seen = []

    async def consume():
        async with queue.open() as subscription:
            async for message in subscription:
                seen.append(message.item["id"])
                await subscription.answer(acks([message]))

    await asyncio.gather(*(consume() for _ in range(4)))
    assert sorted(seen) == list(range(1, 2001))
    assert await left(postgres, table) == []


async def test_new_rows_are_told_by_the_channel(postgres, table):
    queue = await filled(postgres, table, 0, follow=True, poll=3600, channel=table)
    async with queue.open() as subscription, session(postgres) as connection:
        coming = asyncio.create_task(anext(subscription))
        while not coming.done():
            # Told again: the listener may not be there yet.
            await connection.execute(f"INSERT INTO {table} SELECT coalesce(max(id), 0) + 1 FROM {table}")
            await connection.execute(f"NOTIFY {table}")
            await asyncio.wait([coming], timeout=0.05)
        assert coming.result().item["id"] == 1


async def test_a_cancelled_wait_loses_no_row(postgres, table):
    queue = await filled(postgres, table, 50, fetch=1)
    async with queue.open() as subscription:
        taken = []
        for turns in range(200):
            coming = asyncio.create_task(anext(subscription, None))
            for _ in range(turns % 7):
                await asyncio.sleep(0)
            coming.cancel()
            try:
                message = await coming
            except asyncio.CancelledError:
                continue
            if message is None:
                break
            taken.append(message)
        taken += await take(subscription)
        assert ids(taken) == list(range(1, 51))
        assert {each.handle.attempts for each in taken} == {1}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        pytest.param("jsonb", "'1'", "repeat('9', 5000)::jsonb", id="huge number"),
        pytest.param("date", "'2026-01-01'", "'25000-01-01'", id="far date"),
    ],
)
async def test_a_row_that_cannot_be_read(postgres, table, kind, good, bad):
    queue = await filled(postgres, table, 0, shape=f"id int PRIMARY KEY, body {kind}", columns="body")
    async with session(postgres) as connection:
        await connection.execute(f"INSERT INTO {table} VALUES (1, {good}), (2, {bad}), (3, {good})")
    async with queue.open() as subscription:
        with pytest.raises(BadMessageError, match=r"id=2 cannot be made an item") as caught:
            await take(subscription)
        assert "999" not in str(caught.value) + str(caught.value.__cause__)
    parking = PostgresQueue(postgres.dsn, table, columns="body", follow=False, bad="park")
    async with parking.open() as subscription:
        messages = await take(subscription)
        assert len(messages) == 2
        await subscription.answer(acks(messages))
    assert await left(postgres, table) == [2]
    async with parking.open() as subscription:
        assert await take(subscription) == []


async def test_a_killed_server_costs_nothing_that_was_held_or_acked(own_postgres, table):
    queue = await filled(own_postgres, table, 300, fetch=10)
    done = []
    async with queue.open() as subscription:
        async for message in subscription:
            done.append(message.item["id"])
            if len(done) in {50, 150}:
                await asyncio.to_thread(own_postgres.restart)
            await subscription.answer(acks([message]))
    assert done == list(range(1, 301))
    assert await left(own_postgres, table) == []


async def test_a_server_that_stays_away_is_a_named_error(own_postgres, table):
    queue = await filled(own_postgres, table, 3, fetch=1, reconnect=0.2)
    async with queue.open() as subscription:
        (message,) = await take(subscription, 1)
        own_postgres.kill()
        with pytest.raises(ConnectionLostError, match=table) as caught:
            await subscription.answer(acks([message]))
        assert "hunter2" not in repr(caught.value)
        with pytest.raises(ConnectionLostError):
            await take(subscription)
    with pytest.raises(ConnectionLostError, match="cannot connect"):
        async with queue.open():
            pass
    own_postgres.start()
    assert await left(own_postgres, table) == [1, 2, 3]


async def test_a_table_that_is_not_prepared(postgres, table):
    queue = PostgresQueue(postgres.dsn, table, follow=False)
    for _ in range(2):
        async with queue.open() as subscription:
            with pytest.raises(ConnectorSetupError, match=r"prepare\(\)"):
                await take(subscription)
        async with session(postgres) as connection:
            await connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id int PRIMARY KEY)")
    await queue.prepare()
    await queue.prepare()
    async with queue.open() as subscription:
        assert await take(subscription) == []


async def test_names_are_quoted(postgres):
    name = 'Odd "name"; DROP TABLE x --'
    async with session(postgres) as connection:
        quoted = '"' + name.replace('"', '""') + '"'
        await connection.execute(f'CREATE TABLE {quoted} ("the key" uuid PRIMARY KEY, "100 %" text)')
        await connection.execute(f"INSERT INTO {quoted} VALUES (gen_random_uuid(), 'x')")
    queue = PostgresQueue(postgres.dsn, name, key="the key", columns=["100 %"], follow=False)
    await queue.prepare()
    async with queue.open() as subscription:
        (message,) = await take(subscription)
        assert message.item == {"100 %": "x"}
        await subscription.answer(acks([message]))
        assert await take(subscription) == []


async def test_it_has_no_positions(postgres, table):
    with pytest.raises(ConnectorSetupError, match="no positions"):
        async with PostgresQueue(postgres.dsn, table).open({None: 7}):
            pass


def test_it_keeps_to_what_a_run_relies_on(postgres, new_name):
    def make():
        table = new_name("kit")
        tell(
            postgres,
            f"CREATE TABLE {table} (id int PRIMARY KEY, claimed_by text, claimed_until timestamptz, "
            "attempts integer NOT NULL DEFAULT 0)",
            f"INSERT INTO {table} SELECT generate_series(1, 4)",
        )
        return PostgresQueue(postgres.dsn, table, columns="id", follow=False, fetch=3)

    check_ackable_source(make, items=[1, 2, 3, 4], real_time=True)
