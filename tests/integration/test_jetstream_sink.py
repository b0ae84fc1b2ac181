"""JetStreamSink against a real server: confirmations, identities, full streams, kill -9."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from asyncdataflow.connectors.nats import JetStreamSink
from asyncdataflow.errors import (
    ConnectionLostError,
    ConnectorSetupError,
    DestinationFullError,
    RejectedItemError,
    UncertainWriteError,
)

client = pytest.importorskip("nats")


@asynccontextmanager
async def jetstream(server):
    connection = await client.connect(server.url)
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


async def made(server, name, **config):
    async with jetstream(server) as stream:
        await stream.add_stream(name=name, subjects=[name, f"{name}.>"], **config)


async def there(server, name):
    async with jetstream(server) as stream:
        last = (await stream.stream_info(name)).state.last_seq
        return [(await stream.get_msg(name, seq)) for seq in range(1, last + 1)]


async def payloads(server, name):
    return [each.data for each in await there(server, name)]


@pytest.fixture
def name(new_name):
    return new_name("OUT")


async def test_lists_are_published_in_order_and_confirmed(nats, name):
    await made(nats, name)
    sink = JetStreamSink(nats.url, name)
    assert sink.effect == "plain"
    async with sink.open() as write:
        await write([{"n": 1}, None, "ü", [2]])
        assert await payloads(nats, name) == [b'{"n":1}', b"null", b'"\\u00fc"', b"[2]"]
    single = JetStreamSink(nats.url, name, chunk=1, encode="bytes")
    async with single.open() as write:
        await write(b"\x00\xff")
    assert (await payloads(nats, name))[-1] == b"\x00\xff"


async def test_subjects_and_headers_of_an_item(nats, name):
    await made(nats, name)
    sink = JetStreamSink(
        nats.url,
        lambda item: f"{name}.{item}",
        headers=lambda item: {"X-Kind": f"kind {item}"},
        encode=str.encode,
    )
    async with sink.open() as write:
        await write(["a", "b"])
    assert [(each.subject, each.headers["X-Kind"]) for each in await there(nats, name)] == [
        (f"{name}.a", "kind a"),
        (f"{name}.b", "kind b"),
    ]


async def test_a_key_makes_writing_twice_harmless(nats, name):
    await made(nats, name)
    sink = JetStreamSink(nats.url, name, key=str)
    assert sink.effect == "idempotent"
    for _ in range(2):
        async with sink.open() as write:
            await write([1, 2])
    assert await payloads(nats, name) == [b"1", b"2"]


def deep():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested


HOSTILE = [
    pytest.param(object, id="no JSON"),
    pytest.param(lambda: float("nan"), id="NaN"),
    pytest.param(deep, id="deep"),
    pytest.param(lambda: 10**5000, id="huge number"),
    pytest.param(lambda: "x" * 2_000_000, id="too large"),
    pytest.param(lambda: "secret\r\nX: y", id="header injection"),
    pytest.param(lambda: "", id="empty key"),
]


@pytest.mark.parametrize("make", HOSTILE)
async def test_hostile_items_are_refused_and_nothing_of_their_list_is_sent(nats, name, make):
    await made(nats, name)
    item = make()
    sink = JetStreamSink(nats.url, name, key=lambda each: each if isinstance(each, str) else "k")
    async with sink.open() as write:
        with pytest.raises(RejectedItemError, match=r"item 2 of 3 .* none of them was sent") as caught:
            await write(["one", item, "three"])
        assert "secret" not in str(caught.value)
        assert await payloads(nats, name) == []
        await write(["one"])
    assert await payloads(nats, name) == [b'"one"']


async def test_a_full_stream_is_waited_for(nats, name):
    await made(nats, name, max_msgs=3, discard="new")
    sink = JetStreamSink(nats.url, name, key=str)
    async with sink.open() as write, jetstream(nats) as stream:
        writing = asyncio.create_task(write([1, 2, 3, 4, 5]))
        while (await stream.stream_info(name)).state.messages < 3:
            await asyncio.sleep(0)
        assert not writing.done()
        await stream.purge_stream(name)
        await writing
        assert (await stream.stream_info(name)).state.last_seq == 5


async def test_a_stream_that_stays_full_is_a_named_error(nats, name):
    await made(nats, name, max_msgs=1, discard="new")
    sink = JetStreamSink(nats.url, name, full_wait=0.1)
    async with sink.open() as write:
        with pytest.raises(DestinationFullError, match="maximum messages exceeded"):
            await write([1, 2])
    assert await payloads(nats, name) == [b"1"]


async def test_no_stream_and_no_room_in_it(nats, name):
    async with JetStreamSink(nats.url, name, reconnect=0.1).open() as write:
        with pytest.raises(ConnectorSetupError, match="no stream takes"):
            await write([1])
    await made(nats, name, max_msg_size=10)
    async with JetStreamSink(nats.url, name, chunk=1).open() as write:
        with pytest.raises(RejectedItemError, match="larger than the stream takes"):
            await write("x" * 100)
    for key, error in ((None, UncertainWriteError), (str, RejectedItemError)):
        async with JetStreamSink(nats.url, name, key=key).open() as write:
            with pytest.raises(error, match="larger than the stream takes; others of its chunk may be there"):
                await write([1, "x" * 100])


@pytest.mark.parametrize("key", [None, str])
async def test_a_confirmation_that_is_lost(nats, name, monkeypatch, key):
    """Sent again it would be there twice, where it has no identity."""
    await made(nats, name)
    publish = client.js.JetStreamContext.publish
    lost = []

    async def publish_and_lose(self, *given, **options):
        confirmed = await publish(self, *given, **options)
        if not lost:
            lost.append(confirmed)
            raise client.errors.TimeoutError
        return confirmed

    monkeypatch.setattr(client.js.JetStreamContext, "publish", publish_and_lose)
    async with JetStreamSink(nats.url, name, key=key).open() as write:
        if key is None:
            with pytest.raises(UncertainWriteError, match="key= makes sending it again harmless"):
                await write([1])
        else:
            await write([1])
    assert lost
    assert await payloads(nats, name) == [b"1"]


async def test_a_server_that_is_killed_amid_writes(own_nats, name):
    """With keys each item is there once; without, what was confirmed is, and nothing was sent again."""
    await made(own_nats, name)
    await made(own_nats, f"{name}_PLAIN")
    confirmed, uncertain = [], []

    async def write_keyed():
        async with JetStreamSink(own_nats.url, name, key=str).open() as write:
            for number in range(300):
                await write([number])

    async def write_plain():
        async with JetStreamSink(own_nats.url, f"{name}_PLAIN", chunk=1).open() as write:
            for number in range(300):
                try:
                    await write(number)
                    confirmed.append(number)
                except UncertainWriteError:
                    uncertain.append(number)

    writers = asyncio.gather(write_keyed(), write_plain())
    for _ in range(2):
        before = len(confirmed)
        while len(confirmed) < before + 50:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(own_nats.restart)
    await writers
    assert sorted(map(int, await payloads(own_nats, name))) == list(range(300))
    plain = list(map(int, await payloads(own_nats, f"{name}_PLAIN")))
    assert set(confirmed) <= set(plain) <= set(confirmed) | set(uncertain)
    assert len(plain) == len(set(plain))


async def test_a_server_that_stays_away_is_a_named_error(own_nats, name):
    await made(own_nats, name)
    sink = JetStreamSink(own_nats.url, name, reconnect=0.3)
    async with sink.open() as write:
        own_nats.kill()
        for _ in range(2):
            with pytest.raises(ConnectionLostError, match=name):
                await write([1])
        await asyncio.to_thread(own_nats.start)
        reached = False
        while not reached:
            try:
                await write([2])
                reached = True
            except ConnectionLostError:
                pass
    assert b"2" in await payloads(own_nats, name)
