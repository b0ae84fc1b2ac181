"""Whole flows between real servers that are killed: what is read is written, and acked behind that."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.connectors.nats import JetStreamSink, JetStreamSource
from asyncdataflow.connectors.postgres import PostgresQueue, PostgresSink
from tests.integration.database import ask, tell

client = pytest.importorskip("nats")


def parse(number):
    """In a thread."""
    return {"id": number, "word": str(number)}


async def enrich(row):
    return {**row, "word": row["word"] + "!"}


async def published(server, name, numbers):
    connection = await client.connect(server.url)
    stream = connection.jetstream()
    await stream.add_stream(name=name, subjects=[name])
    for number in numbers:
        await stream.publish(name, b"%d" % number)
    await connection.close()


async def test_a_broker_into_a_table_while_both_are_killed(own_nats, own_postgres):
    tell(own_postgres, "CREATE TABLE rows (id int PRIMARY KEY, word text)")
    await published(own_nats, "NUMBERS", range(500))
    flow = DataFlow(
        (
            JetStreamSource(own_nats.url, "NUMBERS", durable="worker", ack_wait=1, max_unacked=50, fetch=20),
            parse,
            stage(enrich, concurrency=4),
            PostgresSink(own_postgres.dsn, "rows", columns=["id", "word"], key="id", chunk=10),
        ),
        delivery="exactly_once",
    )

    def stored():
        return ask(own_postgres, "SELECT count(*) FROM rows")[0]

    async with flow.stream() as run:
        finished = asyncio.create_task(run.wait())
        for server, when in ((own_nats, 100), (own_postgres, 200), (own_nats, 300)):
            while await asyncio.to_thread(stored) < when:
                assert not finished.done()
                await asyncio.sleep(0.02)
            await asyncio.to_thread(server.restart)
        while await asyncio.to_thread(stored) < 500:
            assert not finished.done()
            await asyncio.sleep(0.02)
        run.drain(timeout=10)
        await finished
    assert ask(own_postgres, "SELECT * FROM rows ORDER BY id") == [(n, f"{n}!") for n in range(500)]


async def test_a_queue_into_a_broker(nats, own_postgres, new_name):
    name = new_name("OUT")
    await published(nats, name, [])
    tell(
        own_postgres,
        "CREATE TABLE jobs (id int PRIMARY KEY)",
        "INSERT INTO jobs SELECT generate_series(1, 300)",
    )
    queue = PostgresQueue(own_postgres.dsn, "jobs", columns="id", follow=False, fetch=20, max_unacked=60)
    await queue.prepare()
    flow = DataFlow(
        (queue, parse, enrich, JetStreamSink(nats.url, name, key=lambda row: row["word"], chunk=10))
    )
    running = asyncio.create_task(flow.run())
    while len(await asyncio.to_thread(ask, own_postgres, "SELECT id FROM jobs")) > 200:
        assert not running.done()
        await asyncio.sleep(0.02)
    await asyncio.to_thread(own_postgres.restart)
    assert await running == []
    assert ask(own_postgres, "SELECT * FROM jobs") == []
    connection = await client.connect(nats.url)
    assert (await connection.jetstream().stream_info(name)).state.messages == 300
    await connection.close()


async def test_what_fails_is_given_back(postgres, new_name):
    jobs, rows = new_name("jobs"), new_name("rows")
    tell(
        postgres,
        f"CREATE TABLE {jobs} (id int PRIMARY KEY)",
        f"INSERT INTO {jobs} SELECT generate_series(1, 20)",
        f"CREATE TABLE {rows} (id int CHECK (id <> 13))",
    )
    queue = PostgresQueue(postgres.dsn, jobs, columns="id", follow=False, fetch=4)
    await queue.prepare()
    sink = PostgresSink(postgres.dsn, rows, columns="id", chunk=5)
    with pytest.raises(ValueError, match="CheckViolation"):
        await DataFlow((queue, sink)).run()
    left, written = set(ask(postgres, f"SELECT id FROM {jobs}")), set(ask(postgres, f"SELECT id FROM {rows}"))
    assert 13 in left
    assert left | written == set(range(1, 21))
    await DataFlow((queue, stage(sink, on_error="skip"))).run()
    assert ask(postgres, f"SELECT * FROM {jobs}") == []
    assert set(ask(postgres, f"SELECT id FROM {rows}")) == set(range(1, 21)) - {13}
