"""The servers that tests start: killed, they come back with what they had confirmed."""

from __future__ import annotations

import pytest

from tests.servers import missing


async def test_postgres_comes_back(own_postgres):
    import psycopg

    async with await psycopg.AsyncConnection.connect(own_postgres.dsn) as connection:
        await connection.execute("CREATE TABLE kept (number int)")
        await connection.execute("INSERT INTO kept VALUES (1)")
        await connection.commit()
    own_postgres.restart()
    async with await psycopg.AsyncConnection.connect(own_postgres.dsn) as connection:
        found = await connection.execute("SELECT number FROM kept")
        assert await found.fetchall() == [(1,)]


async def test_jetstream_comes_back(own_nats):
    import nats

    client = await nats.connect(own_nats.url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    for number in range(100):
        await stream.publish("kept", b"%d" % number)
    await client.close()
    own_nats.restart()
    client = await nats.connect(own_nats.url)
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 100
    await client.close()


def test_what_is_missing_is_skipped_or_fails(monkeypatch):
    monkeypatch.delenv("REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="why"):
        missing("why")
    monkeypatch.setenv("REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="why"):
        missing("why")
