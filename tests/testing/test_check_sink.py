"""The sink kit passes sinks that keep to what a run relies on, and names the rule that one breaks."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress

import pytest

from asyncdataflow import Sink
from asyncdataflow.errors import BrokenRuleError
from asyncdataflow.testing import CollectSink, check_sink

ALL = ["C28", "C29", "C22", "C24", "D36", "A1", "A2", "A8", "B21"]
ITEMS = ["a", None, "c", ""]


def lying(sink):
    return sink.items


class Batching(Sink):
    """Nothing is wrong with it: it writes two by two, and each takes a while."""

    def __init__(self):
        self.items = []

    @asynccontextmanager
    async def open(self):
        held, is_open = [], True

        async def write(item):
            if not is_open:
                raise RuntimeError("closed")
            held.append(item)
            if len(held) == 2:
                await flush()

        async def flush():
            await asyncio.sleep(0.1)
            self.items += held
            held.clear()

        try:
            yield write
            await flush()
        finally:
            is_open = False


class Plain(Sink):
    """Each subclass says what is wrong with it."""

    def __init__(self):
        self.items = []

    @asynccontextmanager
    async def open(self):
        self.left = False
        yield self.write
        self.left = True

    async def write(self, item):
        await asyncio.sleep(0.1)
        if self.left:
            raise RuntimeError("closed")
        self.items.append(item)


def broken_rules(make, **options):
    with pytest.raises(BrokenRuleError) as caught:
        check_sink(make, ITEMS, read=lying, **options)
    return re.findall(r"^  (\S+|RS \S+): ", str(caught.value), re.M)


@pytest.mark.parametrize(
    "make",
    [Batching, CollectSink, lambda: CollectSink(delay=1)],
    ids=["one that batches", "CollectSink", "a slow CollectSink"],
)
def test_a_good_sink_keeps_all_rules(make):
    assert [rule.number for rule in check_sink(make, ITEMS, read=lying)] == ALL


def test_without_a_way_to_read_its_context_is_tried():
    assert [rule.number for rule in check_sink(CollectSink, ITEMS)] == ALL[:5]


def test_what_lies_there_may_be_awaited():
    async def read(sink):
        await asyncio.sleep(0.1)
        return sink.items

    assert [rule.number for rule in check_sink(CollectSink, ITEMS, read=read)] == ALL


def test_without_items_it_is_refused():
    with pytest.raises(ValueError, match="at least one item"):
        check_sink(CollectSink, [])


class Starts(Plain):
    def __init__(self):
        super().__init__()
        self.task = asyncio.create_task(asyncio.sleep(3600))


class NoContext(Plain):
    async def open(self):
        return self.write


class OpensOnce(Plain):
    opened = False

    @asynccontextmanager
    async def open(self):
        if self.opened:
            raise RuntimeError("opened already")
        self.opened = True
        async with super().open() as write:
            yield write


class KeepsItsBatch(Plain):
    """What a run needs lies on the sink."""

    def __init__(self):
        super().__init__()
        self.held = []

    @asynccontextmanager
    async def open(self):
        yield self.write
        self.items += self.held

    async def write(self, item):
        self.held.append(item)


class OneConnection(Plain):
    """Leaving one that is open closes the other; as Plain does."""


class LeavesATask(Plain):
    @asynccontextmanager
    async def open(self):
        self.task = asyncio.create_task(asyncio.sleep(3600), name="the flusher")
        async with super().open() as write:
            yield write


class LeavesATaskWhenCancelled(CollectSink):
    @asynccontextmanager
    async def open(self):
        task = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0.1)
        async with super().open() as write:
            try:
                yield write
            finally:
                task.cancel()


class NeverCloses(Plain):
    @asynccontextmanager
    async def open(self):
        yield self.write
        await asyncio.Event().wait()


class SwallowsCancellations(Plain):
    async def write(self, item):
        with suppress(asyncio.CancelledError):
            await super().write(item)


class RaisesAnotherError(Plain):
    async def write(self, item):
        try:
            await super().write(item)
        except asyncio.CancelledError:
            raise ConnectionError("interrupted") from None


class SwallowsErrors(Plain):
    @asynccontextmanager
    async def open(self):
        with suppress(Exception):
            yield self.write


class WrapsErrors(Plain):
    @asynccontextmanager
    async def open(self):
        try:
            yield self.write
        except Exception as error:
            raise ConnectionError("while writing") from error


class KeepsTheLastBatch(Plain):
    @asynccontextmanager
    async def open(self):
        held = []

        async def write(item):
            held.append(item)
            if len(held) == 3:
                self.items += held
                held.clear()

        yield write


class WritesTwice(Plain):
    async def write(self, item):
        self.items += [item, item]


class WritesAgainWhenCancelled(Plain):
    async def write(self, item):
        try:
            self.items.append(item)
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            self.items.append(item)
            raise


class NewestFirst(Plain):
    async def write(self, item):
        self.items.insert(0, item)


class NoneIsNothing(Plain):
    async def write(self, item):
        if item:
            self.items.append(item)


BROKEN = [
    ("C28", Starts),
    ("C28", NoContext),
    ("C29", OpensOnce),
    ("C29", KeepsItsBatch),
    ("C29", OneConnection),
    ("C22", LeavesATask),
    ("C22", LeavesATaskWhenCancelled),
    ("C22", NeverCloses),
    ("C24", SwallowsCancellations),
    ("C24", RaisesAnotherError),
    ("D36", SwallowsErrors),
    ("D36", WrapsErrors),
    ("A1", KeepsTheLastBatch),
    ("A1", WritesTwice),
    ("A2", WritesAgainWhenCancelled),
    ("A8", NewestFirst),
    ("B21", NoneIsNothing),
]


@pytest.mark.parametrize(
    ("rule", "make"), [pytest.param(*each, id=f"{each[0]} {each[1].__name__}") for each in BROKEN]
)
def test_a_broken_sink_is_found_and_the_rule_named(rule, make):
    assert rule in broken_rules(make, seeds=1)


def test_every_rule_can_be_broken():
    assert {rule for rule, _ in BROKEN} == set(ALL)
