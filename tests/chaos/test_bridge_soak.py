"""Invariant 67: the bridge under a hostile scheduler, closed at random: no loss, no deadlock."""

from __future__ import annotations

import asyncio
import faulthandler
import random
import sys
import threading
import time

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow._threads.bridge import Closed, JanusInbox, JanusOutbox

DEADLINE = 50
"""Seconds after which all threads are dumped and the process is ended: a deadlock cannot be caught."""


@pytest.fixture(autouse=True)
def _hostile():
    """Threads change places between almost any two bytecodes."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


async def round_of_queues(seed):
    """Threads echo what the loop sends; the loop closes at a random moment."""
    rng = random.Random(seed)
    inbox, outbox = JanusInbox(), JanusOutbox()
    taken, refused, delivered = [[] for _ in range(rng.randint(1, 6))], [], []

    def echo(mine):
        try:
            while True:
                item = inbox.get()
                mine.append(item)
                try:
                    outbox.put(item)
                except Closed:
                    refused.append(item)
        except Closed:
            pass

    threads = [threading.Thread(target=echo, args=(mine,)) for mine in taken]
    pumping = asyncio.create_task(outbox.pump(delivered.append))
    await asyncio.sleep(0)
    for thread in threads:
        thread.start()
    sent = rng.randint(0, 400)
    for number in range(sent):
        inbox.put(number)
        if rng.random() < 0.05:
            await asyncio.sleep(0)
        if rng.random() < 0.01:
            pumping.cancel()
    early = rng.random() < 0.5
    while not early and len(delivered) < sent:
        await asyncio.sleep(0)
    if rng.random() < 0.5:
        # The outbox first: threads are refused in the middle of an answer.
        outbox.close()
        inbox.close()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    else:
        inbox.close()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        outbox.close()
        assert not refused
    await pumping
    await outbox.wait_closed()
    everything = [item for mine in taken for item in mine]
    assert sorted(everything) == sorted(set(everything)), "an item went to two threads"
    assert sorted(delivered + refused) == sorted(everything), "an answer was lost or came twice"
    assert early or sorted(delivered) == list(range(sent))


async def round_of_a_flow(seed):
    """Thread stages in a row, left at a random moment; the ledger is what the consumer saw."""
    rng = random.Random(seed)
    total, left_at = rng.randint(1, 300), rng.choice([None, rng.randint(0, 200)])
    steps = [
        stage(_same, name=f"step {place}", concurrency=rng.randint(1, 6), buffer=rng.choice([1, 4, 64]))
        for place in range(rng.randint(1, 3))
    ]
    flow = DataFlow((_counting(total), *steps))
    seen = []
    async with flow.stream(buffer=rng.choice([1, 16])) as run:
        async for result in run:
            seen.append(result)
            if left_at is not None and len(seen) > left_at:
                break
    expected = total if left_at is None else min(total, left_at + 1)
    assert seen == list(range(expected))


def _same(item):
    return item


def _counting(total):
    def numbers():
        yield from range(total)

    return numbers


ROUNDS = pytest.mark.parametrize("play", [round_of_queues, round_of_a_flow])


def soak(play, seeds):
    faulthandler.dump_traceback_later(DEADLINE, exit=True)
    try:
        for seed in seeds:
            try:
                asyncio.run(play(seed))
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
    finally:
        faulthandler.cancel_dump_traceback_later()


@ROUNDS
def test_no_loss_and_no_deadlock(play):
    soak(play, range(15))


@pytest.mark.slow
@pytest.mark.timeout(300)
@ROUNDS
def test_no_loss_and_no_deadlock_for_long(play):
    """New seeds each time; the failing one is in the error's notes."""
    until, base = time.monotonic() + 60, random.randrange(1 << 32)
    batch = 0
    while time.monotonic() < until:
        soak(play, range(base + 20 * batch, base + 20 * (batch + 1)))
        batch += 1
