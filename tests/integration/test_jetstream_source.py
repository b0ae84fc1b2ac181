"""JetStreamSource against a real server: answers, heartbeats, competing consumers, kill -9."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from asyncdataflow.connectors.nats import JetStreamSource
from asyncdataflow.errors import BadMessageError, ConnectionLostError, ConnectorSetupError
from asyncdataflow.message import Answer
from asyncdataflow.policy import Retry
from asyncdataflow.testing import check_ackable_source

client = pytest.importorskip("nats")


@asynccontextmanager
async def jetstream(server):
    connection = await client.connect(server.url)
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


async def filled(server, name, payloads, **options):
    async with jetstream(server) as stream:
        await stream.add_stream(name=name, subjects=[name, f"{name}.>"])
        for each in payloads:
            await stream.publish(name, each)
    return JetStreamSource(server.url, name, **{"durable": "worker", "follow": False, **options})


def numbers(count):
    return [b"%d" % n for n in range(1, count + 1)]


async def take(subscription, count=1000):
    taken = []
    while len(taken) < count:
        try:
            taken.append(await anext(subscription))
        except StopAsyncIteration:
            break
    return taken


def items(messages):
    return [each.item for each in messages]


def acks(messages):
    return [Answer(each) for each in messages]


def nacks(messages):
    return [Answer(each, ValueError("no")) for each in messages]


async def consumer(server, name):
    async with jetstream(server) as stream:
        return await stream.consumer_info(name, "worker")


@pytest.fixture
def name(new_name):
    return new_name("STREAM")


@pytest.mark.parametrize("confirm", [True, False])
async def test_what_is_acked_does_not_come_again(nats, name, confirm):
    source = await filled(nats, name, numbers(5), fetch=2, confirm=confirm)
    async with source.open() as subscription:
        messages = await take(subscription)
        assert items(messages) == [1, 2, 3, 4, 5]
        await subscription.answer(acks(messages[:2] + messages[4:]))
    async with source.open() as subscription:
        messages = await take(subscription)
        assert items(messages) == [3, 4]
        await subscription.answer(acks(messages))
        assert await take(subscription) == []
    assert (await consumer(nats, name)).num_ack_pending == 0


async def test_a_nacked_message_comes_before_new_ones(nats, name):
    source = await filled(nats, name, numbers(6), fetch=4)
    async with source.open() as subscription:
        one, two = await take(subscription, 2)
        await subscription.answer(nacks([two]))
        assert items(await take(subscription)) == [2, 3, 4, 5, 6]
        await subscription.answer(acks([one]))


async def test_the_most_deliveries(nats, name):
    source = await filled(nats, name, numbers(2), redeliver=Retry(attempts=3, backoff=0))
    async with source.open() as subscription:
        for expected in ([1, 2], [1, 2], [1, 2], []):
            messages = await take(subscription, 2)
            assert sorted(items(messages)) == expected
            await subscription.answer(nacks(messages))


async def test_the_wait_behind_a_nack_grows_and_others_are_given_meanwhile(nats, name):
    waits = Retry(attempts=None, backoff=1e-6, factor=1e12, max_backoff=3600, jitter=0)
    source = await filled(nats, name, numbers(1), follow=True, redeliver=waits)
    async with source.open() as subscription, jetstream(nats) as stream:
        for _ in range(2):  # at once behind the first delivery, in an hour behind the second
            messages = await take(subscription, 1)
            assert items(messages) == [1]
            await subscription.answer(nacks(messages))
        await stream.publish(name, b"2")
        messages = await take(subscription, 1)
        assert items(messages) == [2]
        await subscription.answer(acks(messages))
        assert (await consumer(nats, name)).num_ack_pending == 1


async def test_a_message_is_answered_once_and_only_in_its_session(nats, name, caplog):
    source = await filled(nats, name, numbers(2))
    async with source.open() as first:
        (early, _) = await take(first)
    async with source.open() as second:
        again, other = await take(second)
        await second.answer(acks([early]))
        assert (await consumer(nats, name)).num_ack_pending == 2
        await second.answer(acks([again]))
        await second.answer(nacks([again]))
        await first.answer(acks([other]))
        assert (await consumer(nats, name)).num_ack_pending == 1
    assert caplog.text.count("is ignored") == 3


async def test_heartbeats_keep_what_takes_long(nats, name):
    source = await filled(nats, name, numbers(2), ack_wait=0.4, follow=True)
    async with source.open() as busy, source.open() as idle:
        messages = await take(busy, 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await anext(idle)
        await busy.answer(acks(messages))
    assert (await consumer(nats, name)).num_redelivered == 0


async def test_competing_consumers_share_the_messages(nats, name):
    source = await filled(nats, name, numbers(300), fetch=7)
    seen = []

    async def consume():
        async with source.open() as subscription:
            async for message in subscription:
                seen.append(message.item)
                await subscription.answer(acks([message]))

    await asyncio.gather(*(consume() for _ in range(3)))
    assert sorted(seen) == list(range(1, 301))


async def test_new_messages_are_followed(nats, name):
    source = await filled(nats, name, [], follow=True)
    async with source.open() as subscription, jetstream(nats) as stream:
        coming = asyncio.create_task(anext(subscription))
        await stream.publish(name, b'"new"')
        message = await coming
        assert message.item == "new"
        await subscription.answer(acks([message]))


async def test_only_a_subject(nats, name):
    source = await filled(nats, name, [b"1"], subject=f"{name}.*")
    async with jetstream(nats) as stream:
        await stream.publish(f"{name}.a", b"2")
    async with source.open() as subscription:
        assert items(await take(subscription)) == [2]


HOSTILE = [
    pytest.param(b"[" * 200_000, id="deep"),
    pytest.param(b"9" * 5000, id="huge number"),
    pytest.param(b"\xff\xfe\xfd", id="no UTF-8"),
    pytest.param(b'"nul\x00"', id="NUL"),
    pytest.param(b"", id="empty"),
    pytest.param(b'{"secret":', id="torn"),
]


@pytest.mark.parametrize("payload", HOSTILE)
async def test_hostile_payloads(nats, name, payload, caplog):
    source = await filled(nats, name, [b"1", payload, b"3"])
    async with source.open() as subscription:
        with pytest.raises(BadMessageError, match=rf"message 2 \({len(payload)} bytes\)") as caught:
            await take(subscription)
        assert "secret" not in str(caught.value)
    skipping = JetStreamSource(nats.url, name, durable="worker", follow=False, bad="skip")
    async with skipping.open() as subscription:
        messages = await take(subscription)
        assert items(messages) == [1, 3]
        await subscription.answer(acks(messages))
        assert await take(subscription) == []
    assert (await consumer(nats, name)).num_ack_pending == 0
    plain = JetStreamSource(nats.url, name, durable="bytes", follow=False, decode="bytes")
    async with plain.open() as subscription:
        assert items(await take(subscription)) == [b"1", payload, b"3"]


async def test_a_cancelled_wait_loses_no_message(nats, name):
    source = await filled(nats, name, numbers(30), fetch=1)
    async with source.open() as subscription:
        taken = []
        for turns in range(100):
            coming = asyncio.create_task(anext(subscription, None))
            for _ in range(turns % 9):
                await asyncio.sleep(0)
            coming.cancel()
            try:
                taken.append(await coming)
            except asyncio.CancelledError:
                continue
        taken += await take(subscription, 30 - len(taken))
        assert items(taken) == list(range(1, 31))


async def test_a_killed_server_loses_nothing_that_was_not_acked(own_nats, name, caplog):
    caplog.set_level(logging.DEBUG, "asyncdataflow")
    source = await filled(own_nats, name, numbers(200), fetch=10, ack_wait=1.0, follow=True)
    done, seen = set(), []
    async with source.open() as subscription:
        while len(done) < 200:
            message = await anext(subscription)
            seen.append(message.item)
            if len(seen) in {50, 120}:
                await asyncio.to_thread(own_nats.restart)
            before = caplog.text.count("is ignored") + caplog.text.count("were lost with their")
            await subscription.answer(acks([message]))
            if caplog.text.count("is ignored") + caplog.text.count("were lost with their") == before:
                done.add(message.item)
    assert done == set(seen) == set(range(1, 201))
    async with JetStreamSource(own_nats.url, name, durable="worker", follow=False).open() as subscription:
        # A server writes ten times a second what is acked: what it had not when it was killed comes again.
        again = await take(subscription)
        assert set(items(again)) <= set(range(1, 121))
        await subscription.answer(acks(again))
        assert await take(subscription) == []


async def test_an_answer_from_before_a_lost_connection_is_ignored(own_nats, name, caplog):
    source = await filled(own_nats, name, numbers(1), ack_wait=0.5, follow=True)
    async with source.open() as subscription:
        early = await anext(subscription)
        await asyncio.to_thread(own_nats.restart)
        late = await anext(subscription)
        assert late.item == early.item
        await subscription.answer(acks([early]))
        assert "is ignored" in caplog.text
        assert (await consumer(own_nats, name)).num_ack_pending == 1
        await subscription.answer(acks([late]))
        assert (await consumer(own_nats, name)).num_ack_pending == 0


async def test_a_lost_connection_is_one_warning_with_the_number(own_nats, name, caplog):
    source = await filled(own_nats, name, numbers(9), ack_wait=0.5, follow=True)
    async with source.open() as subscription:
        early = await take(subscription, 8)
        await subscription.answer(acks(early[:2]))
        await asyncio.to_thread(own_nats.restart)
        await take(subscription, 2)  # what lay here, and the first that comes again
        for each in early[2:]:
            await subscription.answer(acks([each]))
    assert caplog.text.count("is ignored") == 6
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "lost with 7 messages unacked: they come again after 0.5 s" in warnings[0]


async def test_answers_that_are_not_confirmed_are_one_error_and_nothing_is_left_unsaid(nats, name):
    source = await filled(nats, name, numbers(3))
    async with source.open() as subscription:
        messages = await take(subscription, 3)
        line = subscription._line.client

        async def silent(*_, **__):
            raise client.errors.TimeoutError

        real, line.request = line.request, silent
        with pytest.raises(ConnectionLostError, match="does not confirm an answer"):
            await subscription.answer(acks(messages))
        line.request = real


async def test_a_server_that_stays_away_is_a_named_error(own_nats, name):
    source = await filled(own_nats, name, numbers(1), follow=True, reconnect=0.5)
    async with source.open() as subscription:
        (message,) = await take(subscription, 1)
        own_nats.kill()
        await subscription.answer(acks([message]))
        with pytest.raises(ConnectionLostError, match=name) as caught:
            await take(subscription)
        assert "hunter2" not in repr(caught.value)
    with pytest.raises(ConnectionLostError, match="cannot connect"):
        async with source.open():
            pass


async def test_what_is_not_set_up(nats, name):
    with pytest.raises(ConnectorSetupError, match="stream not found"):
        async with JetStreamSource(nats.url, name, durable="worker").open():
            pass
    source = await filled(nats, name, [], follow=True)
    async with jetstream(nats) as stream:
        await stream.add_consumer(name, durable_name="worker", ack_policy="none")
    with pytest.raises(ConnectorSetupError, match="has to be pulled"):
        async with source.open():
            pass
    with pytest.raises(ConnectorSetupError, match="how far it is done"):
        async with source.open({None: 1}):
            pass


async def test_a_consumer_that_is_deleted_meanwhile(nats, name):
    source = await filled(nats, name, [], follow=True)
    async with source.open() as subscription, jetstream(nats) as stream:
        coming = asyncio.create_task(anext(subscription))
        while not coming.done():
            await asyncio.sleep(0.1)
            try:
                await stream.delete_consumer(name, "worker")
            except client.js.errors.NotFoundError:
                await asyncio.wait([coming])
        with pytest.raises(ConnectorSetupError, match="has been deleted"):
            await coming


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_keeps_to_what_a_run_relies_on(nats, new_name):
    def make():
        name = new_name("KIT")
        fill(nats, name, numbers(3))
        return JetStreamSource(nats.url, name, durable="worker", follow=False, fetch=2)

    check_ackable_source(make, items=[1, 2, 3], real_time=True, seeds=1)


def fill(server, name, payloads):
    """From a plain function that is called on a running loop."""
    import threading

    thread = threading.Thread(target=lambda: asyncio.run(filled(server, name, payloads)))
    thread.start()
    thread.join()
