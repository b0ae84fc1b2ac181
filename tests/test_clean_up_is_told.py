"""What fails in clean-up, and before a clean-up that awaits, reaches the consumer (invariants 26, 34, 37)."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import Buffer, DataFlow, Source, stage, take, through, until, zip_
from asyncdataflow.testing.virtual_clock import run_virtual


async def double(item):
    return item * 2


async def numbers():
    for number in itertools.count():
        yield number


class Broker:
    """Two items, then maybe an error; a polite good-bye takes time and may fail as well."""

    def __init__(self, fails, log):
        self.fails = fails
        self.log = log

    async def read(self):
        yield 1
        yield 2
        if self.fails == "reading":
            raise ConnectionError("reading")

    async def say_good_bye(self):
        await asyncio.sleep(0.1)
        self.log.append("closed")
        if self.fails == "closing":
            raise ConnectionError("closing")


class Opened(Broker, Source):
    @asynccontextmanager
    async def open(self):
        try:
            yield self.read()
        finally:
            await self.say_good_bye()


class Iterated(Broker):
    """An async iterator with an ``aclose`` that awaits, as a cursor or a response has."""

    def __init__(self, fails, log):
        super().__init__(fails, log)
        self.items = self.read()

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await anext(self.items)

    async def aclose(self):
        await self.items.aclose()
        await self.say_good_bye()


class Generated(Broker):
    async def __call__(self):
        try:
            async for item in self.read():
                yield item
        finally:
            await self.say_good_bye()


def streamed(kind, source, *behind):
    """The run of a flow from such a source, which stands in the definition or is handed to the run."""
    return DataFlow(behind).stream(items=source) if kind == "items" else DataFlow((source, *behind)).stream()


async def outcome(run):
    """The results, and what was raised behind them."""
    got = []
    try:
        async with run:
            async for each in run:
                got.append(each)
    except Exception as error:  # noqa: BLE001 - what the tests look at
        return got, error
    return got, None


SOURCES = {"source": Opened, "iterator": Iterated, "generator": Generated, "items": Iterated}


@pytest.mark.parametrize("behind", [(double,), (double, stage(double, concurrency=3))], ids=len)
@pytest.mark.parametrize("fails", ["reading", "closing"])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_sources_error_survives_its_clean_up(kind, fails, behind):
    log = []

    async def main():
        run = streamed(kind, SOURCES[kind](fails, log), *behind)
        _, error = await outcome(run)
        return error, run.failures, run.state

    error, failures, state = run_virtual(main())
    assert isinstance(error, ConnectionError)
    assert str(error) == fails
    assert failures == [error]
    assert state == "failed"
    assert log == ["closed"]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_ended_well_closes_in_peace(kind):
    """The stages behind it end first; that nobody wants more of it is no reason to cut its good-bye short."""
    log = []

    async def main():
        return await outcome(streamed(kind, SOURCES[kind](None, log), double))

    assert run_virtual(main()) == ([2, 4], None)
    assert log == ["closed"]


def test_what_a_source_sent_is_finished_while_it_says_good_bye():
    async def main():
        async with DataFlow((Opened(None, []), double)).stream() as run:
            got = [await anext(run), await anext(run)]
            return got, asyncio.get_running_loop().time()

    assert run_virtual(main()) == ([2, 4], 0)


def test_a_zip_does_not_take_a_failed_source_for_one_that_ended():
    async def main():
        return await outcome(DataFlow(((Opened("reading", []), numbers), zip_)).stream())

    _, error = run_virtual(main())
    assert isinstance(error, ConnectionError)


@pytest.mark.parametrize("threaded", [False, True], ids=["loop", "thread"])
async def test_an_edge_that_cannot_weigh_an_item_fails_the_source_in_front_of_it(threaded):
    def in_a_thread():
        yield from range(5)

    def size(_):
        raise LookupError("size")

    source = in_a_thread if threaded else numbers
    run = DataFlow((source, stage(double, buffer=Buffer(bytes=10, size=size)))).stream()
    async with asyncio.timeout(20):
        got, error = await outcome(run)
    assert got == []
    assert isinstance(error, LookupError)


class Endless:
    """One thing that makes items without end, in each of the ways a step can; its clean-up awaits."""

    def __init__(self, error=None):
        self.log = []
        self.error = error

    @asynccontextmanager
    async def polite(self):
        try:
            yield
        finally:
            await asyncio.sleep(0.1)
            self.log.append("closed")
            if self.error is not None:
                raise self.error

    async def generator(self):
        async with self.polite():
            async for number in numbers():
                yield number

    async def generator_stage(self, item):
        async with self.polite():
            async for number in numbers():
                yield number

    async def stream_stage(self, items):
        async with self.polite():
            async for item in items:
                yield item

    def definition(self, kind):
        if kind == "source":
            return (_OfPolite(self),)
        if kind == "through":
            return (numbers, through(self.stream_stage))
        return (self.generator,) if kind == "generator" else (numbers, self.generator_stage)


class _OfPolite(Source):
    def __init__(self, endless):
        self.endless = endless

    @asynccontextmanager
    async def open(self):
        async with self.endless.polite():
            yield numbers()


KINDS = ["source", "generator", "generator stage", "through"]

ENOUGH = [
    (take(1),),
    (double, take(1)),
    (until(lambda number: number > 20),),
    (stage(double, buffer=1), stage(double, buffer=1), take(2)),
]
"""What takes a few of the items and then no more."""


@pytest.mark.parametrize("behind", ENOUGH, ids=["take", "stage-take", "until", "buffers-take"])
@pytest.mark.parametrize("kind", KINDS)
def test_clean_up_is_not_cut_short_where_nobody_wants_more(kind, behind):
    endless = Endless()

    async def main():
        return await outcome(DataFlow((*endless.definition(kind), *behind)).stream())

    got, error = run_virtual(main())
    assert got
    assert error is None
    assert endless.log == ["closed"]


@pytest.mark.parametrize("behind", ENOUGH, ids=["take", "stage-take", "until", "buffers-take"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_clean_up_is_told_where_nobody_wants_more(kind, behind):
    endless = Endless(LookupError("cleaning"))

    async def main():
        run = DataFlow((*endless.definition(kind), *behind)).stream()
        return (await outcome(run))[1], run.failures

    error, failures = run_virtual(main())
    assert error is endless.error
    assert failures == [error]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_clean_up_is_told_where_the_consumer_leaves(kind):
    endless = Endless(LookupError("cleaning"))

    async def main():
        with pytest.raises(LookupError, match="cleaning"):
            async with DataFlow((*endless.definition(kind), double)).stream() as run:
                await anext(run)

    run_virtual(main())


async def opening(item):
    """What an ``async def`` stage with ``many=True`` returns is opened and closed for it."""
    return Iterated(item.fails, item.log)


def begun(kind, broker):
    """Steps whose items are all made at once, so that their good-bye has begun when one was taken."""

    async def one():
        yield broker

    if kind == "many":
        return (one, stage(opening, many=True))
    if kind == "through":
        return (one, through(lambda _: Iterated(broker.fails, broker.log)))
    return (SOURCES[kind](broker.fails, broker.log),)


BEGUN = ["source", "iterator", "many", "through"]


@pytest.mark.parametrize("kind", BEGUN)
def test_clean_up_that_has_begun_is_finished_where_nobody_wants_more(kind):
    """Leaving cuts what a step waits for; what it leaves behind itself is not cut."""
    broker = Broker(None, [])

    async def main():
        return await outcome(DataFlow((*begun(kind, broker), take(1))).stream())

    got, error = run_virtual(main())
    assert len(got) == 1
    assert error is None
    assert broker.log == ["closed"]


@pytest.mark.parametrize("kind", BEGUN)
def test_an_error_of_clean_up_that_has_begun_is_told_where_nobody_wants_more(kind):
    broker = Broker("closing", [])

    async def main():
        return (await outcome(DataFlow((*begun(kind, broker), take(1))).stream()))[1]

    error = run_virtual(main())
    assert isinstance(error, ConnectionError)
    assert broker.log == ["closed"]


def test_an_error_whose_clean_up_is_cut_because_nobody_wants_more_is_logged(caplog):
    """It ends nothing any more: what was asked for has come."""

    async def fails_and_takes_leave():
        try:
            yield 1
            yield 2
            raise ConnectionError("reading")
        finally:
            await asyncio.sleep(10)

    async def slowly(n):
        await asyncio.sleep(1)
        return n

    with caplog.at_level("INFO", "asyncdataflow"):
        assert run_virtual(DataFlow((fails_and_takes_leave, slowly, take(2))).run()) == [1, 2]
    assert "fails_and_takes_leave was cancelled while it dealt with ConnectionError('reading')" in caplog.text
