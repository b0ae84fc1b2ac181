"""Between the loop and threads: nothing is lost, nobody is left waiting, nothing is kept alive."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import janus
import pytest

from asyncdataflow._threads.bridge import Closed, JanusInbox, JanusOutbox

DEADLINE = 20
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


def in_thread(function):
    """Run a function in a thread of its own; joined by ``settled``."""
    thread = threading.Thread(target=function)
    thread.start()
    return thread


async def settled(*threads):
    for thread in threads:
        await asyncio.to_thread(thread.join, DEADLINE)
        assert not thread.is_alive()


@pytest.fixture
async def outbox():
    """An outbox whose pump delivers to ``outbox.seen``; closed and waited for at the end."""
    made = JanusOutbox()
    made.seen = []
    made.pumping = asyncio.create_task(made.pump(made.seen.append))
    await asyncio.sleep(0)
    yield made
    made.close()
    await made.pumping
    await made.wait_closed()


class TestInbox:
    async def test_each_item_goes_to_one_thread(self):
        inbox, taken = JanusInbox(), []

        def take():
            with pytest.raises(Closed):
                while True:
                    taken.append(inbox.get())
                    if len(taken) == 300:
                        everything.set()

        everything = threading.Event()
        threads = [in_thread(take) for _ in range(3)]
        for number in range(300):
            inbox.put(number)
        assert await asyncio.to_thread(everything.wait, DEADLINE)
        inbox.close()
        await settled(*threads)
        assert sorted(taken) == list(range(300))

    async def test_closed_it_lets_go_what_nobody_took(self):
        inbox = JanusInbox()
        inbox.put("left")
        inbox.close()
        with pytest.raises(Closed):
            inbox.get()
        with pytest.raises(Closed):
            inbox.put("late")

    async def test_what_janus_raises_is_not_what_it_raises(self):
        """On CPython 3.13 janus raises ``queue.ShutDown``, which a stage may raise as well."""
        assert not issubclass(janus.SyncQueueShutDown, Closed)
        assert not issubclass(Closed, janus.SyncQueueShutDown)


class TestOutbox:
    async def test_items_of_one_thread_keep_their_order(self, outbox):
        def send():
            for number in range(1000):
                outbox.put(number)

        await settled(in_thread(send))
        outbox.close()
        await outbox.pumping
        assert outbox.seen == list(range(1000))

    async def test_what_comes_before_the_loop_looks_costs_one_wake_up(self, outbox):
        """The loop is held by this test meanwhile, so that the count is exact."""
        loop, woken = asyncio.get_running_loop(), []
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args, **options: (woken.append(args), wake(*args, **options))
        thread = in_thread(lambda: [outbox.put(number) for number in range(100)])
        thread.join(DEADLINE)
        loop.call_soon_threadsafe = wake
        while len(outbox.seen) < 100:
            await asyncio.sleep(0)
        assert outbox.seen == list(range(100))
        assert len(woken) == 1

    async def test_closed_it_delivers_what_lies_there_first(self, outbox):
        thread = in_thread(lambda: [outbox.put(number) for number in range(10)])
        thread.join(DEADLINE)
        outbox.close()
        await outbox.pumping
        assert outbox.seen == list(range(10))

    async def test_closed_it_refuses(self, outbox):
        outbox.close()
        with pytest.raises(Closed):
            outbox.put("late")

    @pytest.mark.parametrize("ticks", range(8))
    async def test_a_cancelled_pump_goes_on(self, outbox, ticks):
        """``asyncio.run`` cancels every task on its way out; janus then loses the wake-up."""
        thread = in_thread(lambda: outbox.put("before"))
        thread.join(DEADLINE)
        for _ in range(ticks):
            await asyncio.sleep(0)
        outbox.pumping.cancel()
        await asyncio.sleep(0)
        outbox.pumping.cancel()
        await settled(in_thread(lambda: outbox.put("after")))
        outbox.close()
        await outbox.pumping
        assert outbox.seen == ["before", "after"]

    async def test_waiting_for_the_end_survives_cancellation(self, outbox):
        outbox.put("something")
        outbox.close()

        async def wait():
            await outbox.wait_closed()
            return "waited"

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        assert await waiting == "waited"

    def test_with_the_loop_closed_it_refuses_rather_than_hangs(self):
        """Whatever moment the loop is closed in, a thread learns of it within two calls."""

        async def begin():
            made = JanusOutbox()
            pumping = asyncio.create_task(made.pump(lambda _: None))
            await asyncio.sleep(0)
            return made, pumping

        loop = asyncio.new_event_loop()
        outbox, pumping = loop.run_until_complete(begin())
        closed = loop.is_closed
        loop.is_closed = lambda: False  # As somebody has seen just before.
        outbox_closing = loop.call_soon_threadsafe

        def closed_meanwhile(*args, context=None):
            raise RuntimeError("Event loop is closed")

        loop.call_soon_threadsafe = closed_meanwhile
        try:
            with pytest.raises(Closed):
                outbox.put("late")
        finally:
            loop.is_closed, loop.call_soon_threadsafe = closed, outbox_closing
        outbox.close()
        loop.run_until_complete(pumping)
        loop.run_until_complete(outbox.wait_closed())
        loop.close()

    async def test_what_was_delivered_is_not_kept_alive(self):
        """Invariant 32: the pump waits for the next chunk without holding the last one."""

        class Item:
            pass

        outbox, gone = JanusOutbox(), []
        pumping = asyncio.create_task(outbox.pump(lambda _: None))
        await asyncio.sleep(0)
        item = Item()
        weakref.finalize(item, gone.append, True)
        outbox.put(item)
        gc.disable()
        try:
            del item
            for _ in range(10):
                await asyncio.sleep(0)
            assert gone == [True]
        finally:
            gc.enable()
        outbox.close()
        await pumping
        await outbox.wait_closed()


class Interposed:
    """A lock; behind its first release on the loop, a thread gets its turn."""

    def __init__(self, lock, turn):
        self._lock, self._turn = lock, turn

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()
        turn, self._turn = self._turn, None
        if turn is not None:
            turn()


async def test_a_chunk_that_is_begun_while_the_loop_looks_is_not_taken_half_full():
    """What a thread added to it later had nobody to look for it."""
    outbox, seen = JanusOutbox(), []
    pumping = asyncio.create_task(outbox.pump(seen.append))
    await asyncio.sleep(0)
    outbox.put("before")
    outbox._lock = Interposed(outbox._lock, lambda: outbox.put("meanwhile"))
    outbox._look()
    outbox.put("into the open chunk")
    outbox.close()
    await pumping
    await outbox.wait_closed()
    assert seen == ["before", "meanwhile", "into the open chunk"]
