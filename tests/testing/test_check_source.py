"""The source kit passes sources that keep to what a run relies on, and names the rule that one breaks."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import asynccontextmanager, suppress

import pytest

from asyncdataflow import Source
from asyncdataflow.errors import BrokenRuleError
from asyncdataflow.testing import FeedSource, check_source

ALL = ["RS 1.3", "C28", "RS 1.7", "RS 1.8", "RS 3.7", "C22", "C24", "C29", "D36"]
ITEMS = [0, None, 2]


class Listed(Source):
    """Nothing is wrong with it: connecting, each item and disconnecting take a while."""

    def __init__(self, items=ITEMS):
        self.items = items

    @asynccontextmanager
    async def open(self):
        await asyncio.sleep(0.1)
        try:
            yield self.read()
        finally:
            await asyncio.sleep(0.1)

    async def read(self):
        for item in self.items:
            await asyncio.sleep(0.1)
            yield item


def broken_rules(make, **options):
    with pytest.raises(BrokenRuleError) as caught:
        check_source(make, **options)
    return re.findall(r"^  (\S+|RS \S+): ", str(caught.value), re.M)


@pytest.mark.parametrize(
    "make", [Listed, lambda: FeedSource(ITEMS)], ids=["one that takes its time", "FeedSource"]
)
def test_a_good_source_keeps_all_rules(make):
    assert [rule.number for rule in check_source(make, items=ITEMS)] == ALL


def test_a_source_without_end_is_read_as_far_as_told():
    class Endless(Listed):
        async def read(self):
            while True:
                yield "again"

    assert [rule.number for rule in check_source(Endless, most=5)] == [
        number for number in ALL if number != "RS 1.3"
    ]


def test_a_source_with_a_thread_is_tried_in_real_time():
    class Threaded(Listed):
        @asynccontextmanager
        async def open(self):
            yield self.read()

        async def read(self):
            for item in self.items:
                yield await asyncio.to_thread(lambda item=item: item)

    check_source(Threaded, items=ITEMS, real_time=True, seeds=1)


class Starts(Listed):
    def __init__(self):
        super().__init__()
        self.task = asyncio.create_task(asyncio.sleep(3600))


class NoContext(Listed):
    async def open(self):
        return self.read()


class KeepsItsPlace(Listed):
    """What a run needs lies on the source."""

    def __init__(self):
        super().__init__()
        self.left = list(ITEMS)

    async def read(self):
        while self.left:
            yield self.left.pop(0)


class OneConnection(Listed):
    """Leaving one that is open closes the other."""

    live = False

    @asynccontextmanager
    async def open(self):
        self.live = True
        yield self.read()
        self.live = False

    async def read(self):
        for item in self.items:
            if not self.live:
                raise ConnectionError("closed")
            yield item


class Skips(Listed):
    async def read(self):
        for item in self.items:
            if item is not None:
                yield item


class Repeats(Listed):
    async def read(self):
        for item in self.items:
            yield item
        yield item


class Iterator(Listed):
    """Of a class of its own; subclasses say what is wrong with it."""

    def read(self):
        self.left, self.closed = iter(self.items), False
        return self

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.closed:
            raise StopAsyncIteration
        try:
            return next(self.left)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self):
        self.closed = True


class EndsAndGoesOn(Iterator):
    async def __anext__(self):
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            self.left = iter(self.items)
            raise


class NeverEnds(Iterator):
    async def __anext__(self):
        return next(self.left, None)


class GivesWhenClosed(Iterator):
    async def aclose(self):
        pass


class ClosesOnce(Iterator):
    async def aclose(self):
        if self.closed:
            raise RuntimeError("closed already")
        await super().aclose()


class LeavesATask(Listed):
    @asynccontextmanager
    async def open(self):
        self.task = asyncio.create_task(asyncio.sleep(3600), name="the heartbeat")
        yield self.read()


class LeavesATaskWhenCancelled(Listed):
    """Its clean-up awaits before it cancels, so that a second await is never come to."""

    @asynccontextmanager
    async def open(self):
        task = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0.1)
        try:
            yield self.read()
        finally:
            task.cancel()


class LeavesAGenerator(Listed):
    async def read(self):
        self.inner = super().read()
        async for item in self.inner:
            yield item


class LeavesAThread(Listed):
    ended = threading.Event()

    @asynccontextmanager
    async def open(self):
        threading.Thread(target=self.ended.wait, name="the poller", daemon=True).start()
        yield self.read()


class NeverCloses(Listed):
    @asynccontextmanager
    async def open(self):
        yield self.read()
        await asyncio.Event().wait()


class SwallowsCancellations(Listed):
    async def read(self):
        for item in self.items:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
            yield item


class RaisesAnotherError(Listed):
    async def read(self):
        for item in self.items:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                raise ConnectionError("interrupted") from None
            yield item


class SwallowsErrors(Listed):
    @asynccontextmanager
    async def open(self):
        with suppress(Exception):
            yield self.read()


class WrapsErrors(Listed):
    @asynccontextmanager
    async def open(self):
        try:
            yield self.read()
        except Exception as error:
            raise ConnectionError("while reading") from error


BROKEN = [
    ("C28", Starts),
    ("C28", NoContext),
    ("C29", KeepsItsPlace),
    ("C29", OneConnection),
    ("RS 1.3", Skips),
    ("RS 1.3", Repeats),
    ("RS 1.7", EndsAndGoesOn),
    ("RS 1.7", NeverEnds),
    ("RS 1.8", GivesWhenClosed),
    ("RS 3.7", ClosesOnce),
    ("C22", LeavesATask),
    ("C22", LeavesATaskWhenCancelled),
    ("C22", LeavesAGenerator),
    ("C22", NeverCloses),
    ("C24", SwallowsCancellations),
    ("C24", RaisesAnotherError),
    ("D36", SwallowsErrors),
    ("D36", WrapsErrors),
]


@pytest.mark.parametrize(
    ("rule", "make"), [pytest.param(*each, id=f"{each[0]} {each[1].__name__}") for each in BROKEN]
)
def test_a_broken_source_is_found_and_the_rule_named(rule, make):
    assert rule in broken_rules(make, items=ITEMS, seeds=1)


def test_every_rule_can_be_broken():
    assert {rule for rule, _ in BROKEN} == set(ALL)


def test_a_thread_that_goes_on_is_found(monkeypatch):
    """It is waited for a while: one that is on its way out is none that is left."""
    monkeypatch.setattr("asyncdataflow.testing.conformance.trial._PATIENCE_WITH_THREADS", 0.0)
    monkeypatch.setattr(LeavesAThread, "ended", threading.Event())
    try:
        with pytest.raises(BrokenRuleError, match=r"there was left: .*the thread the poller"):
            check_source(LeavesAThread, items=ITEMS, seeds=1)
    finally:
        LeavesAThread.ended.set()


def test_a_source_that_hangs_is_told_after_the_deadline():
    class Hangs(Listed):
        async def read(self):
            await asyncio.Event().wait()
            yield

    with pytest.raises(BrokenRuleError, match=r"TimeoutError\('it did not end within 7 s'\)"):
        check_source(Hangs, items=ITEMS, seeds=1, deadline=7)


class Queue(Source):
    """What is read is gone."""

    def __init__(self):
        self.items = list(ITEMS)

    @asynccontextmanager
    async def open(self):
        async def read():
            while self.items:
                yield self.items.pop(0)

        yield read()


def test_a_source_that_is_used_up_is_not_asked_to_begin_anew():
    assert "C29" not in [rule.number for rule in check_source(Queue, items=ITEMS, used_up=True)]
    with pytest.raises(BrokenRuleError, match="C29"):
        check_source(Queue, items=ITEMS)
