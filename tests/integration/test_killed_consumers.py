"""A consumer is killed -9 in the middle: what it had not acked comes again, what it had acked does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager

import pytest

from asyncdataflow.connectors.nats import JetStreamSource
from asyncdataflow.connectors.postgres import PostgresQueue
from asyncdataflow.message import Answer
from tests.integration.database import tell
from tests.source import ROOT

client = pytest.importorskip("nats")

CONSUMER = """
import asyncio, sys
from asyncdataflow.connectors.nats import JetStreamSource
from asyncdataflow.connectors.postgres import PostgresQueue
from asyncdataflow.message import Answer

async def main(source):
    async with source.open() as subscription:
        taken = [await anext(subscription) for _ in range(6)]
        await subscription.answer([Answer(each) for each in taken[:3]])
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main({source}))
"""


@contextmanager
def consuming(source):
    """A process that has taken six and acked three of them, and then is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", CONSUMER.format(source=source)], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def rest(source, count):
    """Taken and acked, until there are so many."""
    seen = []
    async with source.open() as subscription:
        while len(seen) < count:
            message = await anext(subscription)
            seen.append(message.item)
            await subscription.answer([Answer(message)])
    return seen


async def test_rows_of_a_killed_consumer(postgres, new_name):
    table = new_name("jobs")
    tell(
        postgres,
        f"CREATE TABLE {table} (id int PRIMARY KEY)",
        f"INSERT INTO {table} SELECT generate_series(1, 10)",
    )
    options = {"columns": "id", "fetch": 8, "lease": 1.0, "poll": 0.05}
    queue = PostgresQueue(postgres.dsn, table, **options)
    await queue.prepare()
    with consuming(f"PostgresQueue({postgres.dsn!r}, {table!r}, **{options!r})"):
        # Its rows are its own while it lives: renewed, for longer than a lease.
        assert await rest(queue, 2) == [9, 10]
        async with queue.open() as subscription:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await anext(subscription)
    assert sorted(await rest(queue, 5)) == [4, 5, 6, 7, 8]
    empty = PostgresQueue(postgres.dsn, table, follow=False)
    async with empty.open() as subscription:
        assert [each async for each in subscription] == []


async def test_messages_of_a_killed_consumer(nats, new_name):
    name = new_name("JOBS")
    connection = await client.connect(nats.url)
    await connection.jetstream().add_stream(name=name, subjects=[name])
    for number in range(1, 11):
        await connection.jetstream().publish(name, b"%d" % number)
    await connection.close()
    options = {"durable": "worker", "fetch": 8, "ack_wait": 0.5}
    source = JetStreamSource(nats.url, name, **options)
    with consuming(f"JetStreamSource({nats.url!r}, {name!r}, **{options!r})"):
        assert await rest(source, 2) == [9, 10]
    assert sorted(await rest(source, 5)) == [4, 5, 6, 7, 8]
