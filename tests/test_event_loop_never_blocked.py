"""The event loop goes on while threads work, and no flow keeps it to itself (invariant 33).

No times are measured. A thread waits until the loop has turned: a library that waits for
the thread on the loop would stand still, and the thread would miss its deadline.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest

from asyncdataflow import DataFlow, batch, filter_, flatten, scan, split, stage, take
from asyncdataflow.testing.virtual_clock import run_virtual

DEADLINE = 20.0


class Handshake:
    """Called in a thread, it waits until the loop has turned some times since then."""

    def __init__(self):
        self._asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.shaken = 0
        self.missed = 0

    def __call__(self, value=None):
        turned = threading.Event()
        asyncio.run_coroutine_threadsafe(self._turn(turned), self._loop)
        if turned.wait(DEADLINE):
            self.shaken += 1
        else:
            self.missed += 1
        return value

    async def _turn(self, turned):
        for _ in range(3):
            await asyncio.sleep(0)
        turned.set()


@pytest.fixture
async def shake():
    """All tests here end with it: it was used, and the loop was never in the way."""
    handshake = Handshake()
    yield handshake
    assert handshake.shaken
    assert not handshake.missed


async def numbers():
    for number in range(5):
        yield number


async def same(item):
    return item


async def test_while_a_stage_works_in_its_thread(shake):
    assert await DataFlow((numbers, shake)).run() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("ordered", [True, False])
async def test_while_many_threads_work(shake, ordered):
    stages = [stage(shake, name=f"t{n}", concurrency=4, ordered=ordered) for n in range(3)]
    assert sorted(await DataFlow((numbers, *stages)).run()) == [0, 1, 2, 3, 4]


async def test_while_a_generator_reads_in_its_thread(shake):
    def source():
        for number in range(5):
            yield shake(number)

    assert await DataFlow((source, same)).run() == [0, 1, 2, 3, 4]


async def test_while_a_generator_stage_works_in_its_thread(shake):
    def twice(item):
        yield shake(item)
        yield shake(item)

    assert len(await DataFlow((numbers, twice)).run()) == 10


async def test_while_an_iterable_is_read_and_opened(shake):
    class Rows:
        def __iter__(self):
            shake()
            return map(shake, range(5))

    assert await DataFlow((Rows(), same)).run() == [0, 1, 2, 3, 4]
    assert await DataFlow((same,)).run(items=Rows()) == [0, 1, 2, 3, 4]


async def test_while_a_generator_closes_in_its_thread(shake):
    def source():
        try:
            yield from itertools.count()
        finally:
            shake()

    async with DataFlow((source, same)).stream() as run:
        await anext(run)


async def test_while_a_worker_makes_what_is_its_own(shake):
    @contextmanager
    def model():
        shake()
        yield "model"
        shake()

    def use(item, *, model):
        return model

    flow = DataFlow((numbers, stage(use, per_worker={"model": model}, concurrency=2)))
    assert await flow.run() == ["model"] * 5


async def test_while_resources_open_and_close(shake):
    @contextmanager
    def connection():
        shake()
        yield "connection"
        shake()

    def connect():
        shake()
        return connection()

    async def use(item, *, db):
        return db

    assert await DataFlow((numbers, use), resources={"db": connect}).run() == ["connection"] * 5
    assert shake.shaken == 3


@pytest.mark.parametrize("wrap", [filter_, split])
async def test_while_an_operators_function_works_in_a_thread(shake, wrap):
    def works(item):
        return shake((item, item))

    rest = ((same, same),) if wrap is split else ()
    assert await DataFlow((numbers, wrap(works, executor="thread"), *rest)).run()


async def test_while_a_run_ends_and_a_thread_has_not_yet(shake):
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(item):
        loop.call_soon_threadsafe(begun.set)
        return shake(item)

    async with DataFlow((numbers, slow)).stream():
        await begun.wait()


async def test_while_the_consumer_of_an_iteration_is_slow(shake):
    """Its loop is another one; this one is free because the consumer is in a thread."""

    def consume():
        return [shake(each) for each in DataFlow((numbers, same)).iterate()]

    assert await asyncio.to_thread(consume) == [0, 1, 2, 3, 4]


class Turns:
    """Counts the turns of the loop, and the most items that a source makes within one."""

    def __init__(self):
        self.most = 0
        self._items = 0

    async def source(self):
        for number in range(20_000):
            self._items += 1
            self.most = max(self.most, self._items)
            yield number

    @asynccontextmanager
    async def counted(self):
        task = asyncio.ensure_future(self._count())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _count(self):
        while True:
            self._items = 0
            await asyncio.sleep(0)


BUSY = {
    "a chain": (same, stage(same, name="b"), stage(same, name="c")),
    "several workers": (stage(same, concurrency=4),),
    "by key": (stage(same, concurrency=4, key=lambda n: n % 3),),
    "a filter of everything": (filter_(lambda _: False),),
    "an expansion": (stage(lambda n: [n] * 3, executor="inline", name="three"), flatten),
    "batches": (batch(64), flatten),
    "a scan": (scan(lambda total, n: total + n, 0),),
    "branches": ((same, stage(same, name="other")),),
    "drops": (stage(same, overflow="drop_newest", buffer=1),),
    "skips": (stage(lambda n: 1 // 0, executor="inline", on_error="skip", name="fails"),),
    "take": (take(10**9),),
}


@pytest.mark.parametrize("flow", BUSY)
def test_a_flow_that_never_has_to_wait_gives_the_loop_back(flow):
    """Nothing here ever suspends, and time stands still: only a count of items can do it."""
    turns = Turns()

    async def main():
        async with turns.counted(), DataFlow((turns.source, *BUSY[flow])).stream() as run:
            async for _ in run:
                pass

    run_virtual(main())
    assert 0 < turns.most <= 2048


def test_a_consumer_that_always_finds_results_gives_the_loop_back():
    """``async for`` over what lies ready need not suspend; the receiver does now and then."""
    turns = 0
    most = 0

    async def count():
        nonlocal turns
        while True:
            turns = 0
            await asyncio.sleep(0)

    async def main():
        nonlocal turns, most
        async with DataFlow(numbers_without_end).stream(buffer=4096) as run:
            counter = asyncio.ensure_future(count())
            for _ in range(20_000):
                await anext(run)
                turns += 1
                most = max(most, turns)
            counter.cancel()
            await asyncio.wait([counter])

    run_virtual(main())
    assert most <= 4096 + 1024


async def numbers_without_end():
    for number in itertools.count():
        yield number
