"""Drain loses nothing that a source has made, whatever kind of source it is (invariant 28)."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from asyncdataflow import DataFlow, stage, zip_
from asyncdataflow.errors import UnevenZipError
from asyncdataflow.testing.virtual_clock import run_virtual

DEADLINE = 20.0
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


async def double(item):
    return item * 2


def now():
    return asyncio.get_running_loop().time()


async def collected(run):
    return [each async for each in run]


class Polling:
    """A source in a thread whose third item takes until it is let go, as a poll of a queue does."""

    def __init__(self):
        self.polls = threading.Event()
        self.arrives = threading.Event()
        self.taken = []

    def generator(self):
        for number in itertools.count():
            if number == 2:
                self.polls.set()
                assert self.arrives.wait(DEADLINE)
            self.taken.append(number)
            yield number

    def expanded(self):
        return self.generator()

    def __iter__(self):
        return self

    def __next__(self):
        if len(self.taken) == 2:
            self.polls.set()
            assert self.arrives.wait(DEADLINE)
        self.taken.append(len(self.taken))
        return self.taken[-1]


@pytest.mark.parametrize("kind", ["generator", "iterator", "items", "many"])
async def test_an_item_that_a_thread_waits_for_is_the_last_one(kind, monkeypatch):
    """However long the poll takes: a thread cannot be cut, so what it brings is not thrown away."""
    monkeypatch.setattr("asyncdataflow._runtime.execution._PATIENCE_WITH_SOURCES", 0)
    source = Polling()
    if kind == "items":
        run = DataFlow((double,)).stream(items=source)
    elif kind == "many":
        run = DataFlow((stage(source.expanded, many=True), double)).stream()
    else:
        run = DataFlow((source.generator if kind == "generator" else source, double)).stream()
    async with run:
        got = [await anext(run), await anext(run)]
        assert await asyncio.to_thread(source.polls.wait, DEADLINE)
        run.drain()
        cut = asyncio.Event()
        asyncio.get_running_loop().call_later(0, cut.set)
        await cut.wait()
        source.arrives.set()
        got += await collected(run)
    assert got == [each * 2 for each in source.taken]
    assert source.taken == [0, 1, 2]
    assert run.state == "ended"
    assert run.failures == []


def every(seconds):
    async def ticks():
        for number in itertools.count(1):
            await asyncio.sleep(seconds)
            yield number

    return ticks


async def joined(left, right):
    return left, right


@pytest.mark.parametrize("last", [zip_, joined], ids=["zip_", "signature"])
def test_sources_that_stop_behind_different_counts_fail_no_zip(last):
    """The rows that are whole arrive; the run has drained, it has not failed."""

    async def main():
        run = DataFlow(((every(0.1), every(0.15)), last)).stream()
        got = []
        async with run:
            async for each in run:
                got.append(each)
                if len(got) == 10:
                    run.drain()
        return got, run.state

    got, state = run_virtual(main())
    assert got == [(n, n) for n in range(1, len(got) + 1)]
    assert len(got) >= 10
    assert state == "ended"


def test_a_stages_own_error_of_that_kind_still_fails_a_drained_run():
    async def raises(item):
        if item == 3:
            raise UnevenZipError("of the user's own")
        return item

    async def main():
        async with DataFlow((every(0.5), raises)).stream() as run:
            async for each in run:
                if each == 2:
                    run.drain()

    with pytest.raises(UnevenZipError, match="own"):
        run_virtual(main())


class Consumer:
    """An async iterator with a ``stop`` of its own, as clients of message brokers have."""

    def __init__(self):
        self.count = 0
        self.stopped = []

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0.25)
        self.count += 1
        return self.count

    def stop(self):
        self.stopped.append(now())


@pytest.mark.parametrize("given", ["source", "items"])
def test_a_method_of_the_users_iterator_is_not_taken_for_the_runtimes(given):
    """It ends at its next item, and what else it can do is the user's to call."""
    consumer = Consumer()

    async def main():
        if given == "items":
            run = DataFlow((double,)).stream(items=consumer)
        else:
            run = DataFlow((consumer, double)).stream()
        async with run:
            assert await anext(run) == 2
            run.drain()
            return await collected(run)

    assert run_virtual(main()) == [4]
    assert consumer.count == 2
    assert consumer.stopped == []


@pytest.mark.parametrize("how", ["stop", "leave"])
def test_stop_overrules_the_deadline_of_drain(how):
    """What is stopped has the grace of the stop to clean up; drain's own deadline is over."""
    cleaned = []

    async def patient(_):
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            cleaned.append(now())

    async def main():
        async with DataFlow((every(0.1), patient)).stream() as run:
            await asyncio.sleep(1)
            run.drain(timeout=0.5)
            await asyncio.sleep(0.25)
            if how == "stop":
                run.stop(timeout=10)
                await run.wait()
        return run.state, run.failures

    assert run_virtual(main()) == ("ended", [])
    assert cleaned == [2.25]
