"""The kit passes answered sources that keep to what a run relies on, and names the rule that one breaks."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager

import pytest

from asyncdataflow.abc import AckableSource
from asyncdataflow.errors import BrokenRuleError
from asyncdataflow.message import Message
from asyncdataflow.testing import check_ackable_source

ALWAYS = ["C28", "RS 1.3", "A2", "E48", "E49", "E52", "E53", "E54", "C22", "C24", "D36"]
ALL = [*ALWAYS, "RS 1.7", "E50"]
ITEMS = [0, None, "c"]


class Queue(AckableSource):
    """Nothing is wrong with it: a queue that outlives its sessions, and takes its time."""

    ends = True

    def __init__(self):
        self.left = dict(enumerate(ITEMS, 1))

    @asynccontextmanager
    async def open(self, after=None):
        await asyncio.sleep(0.1)
        for position in list(self.left):
            if after is not None and position <= after.get(None, 0):
                del self.left[position]
        try:
            yield self.session()
        finally:
            await asyncio.sleep(0.1)

    def session(self):
        return Session(self)


class Session:
    def __init__(self, queue):
        self.queue = queue
        self.coming = list(queue.left)
        self.open = {}

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0.1)
        if not self.coming:
            if self.queue.ends:
                raise StopAsyncIteration
            await asyncio.Event().wait()
        return self.give(self.coming.pop(0))

    def give(self, position):
        message = Message(self.queue.left[position], position)
        message.handle = (self, object())
        self.open[message.handle] = position
        return message

    async def answer(self, answers):
        await asyncio.sleep(0.1)
        for each in answers:
            if each.message.handle in self.open:
                self.settle(self.open.pop(each.message.handle), each.is_ack)

    def settle(self, position, is_ack):
        if is_ack:
            del self.queue.left[position]
        else:
            self.coming.insert(0, position)


def of(session, **attributes):
    """A source whose sessions are of another class."""

    class Source(Queue):
        def session(self):
            return session(self)

    for name, value in attributes.items():
        setattr(Source, name, value)
    return Source


def broken_rules(make, **options):
    with pytest.raises(BrokenRuleError) as caught:
        check_ackable_source(make, items=ITEMS, seeds=1, **options)
    return re.findall(r"^  (\S+|RS \S+): ", str(caught.value), re.M)


def test_a_good_source_keeps_all_rules():
    rules = check_ackable_source(Queue, items=ITEMS, positions=True, seeds=2)
    assert sorted(rule.number for rule in rules) == sorted(ALL)


def test_a_source_that_never_ends_is_left_in_its_silence():
    rules = check_ackable_source(of(Session, ends=False), items=ITEMS, silence=60.0, deadline=3600.0, seeds=1)
    assert sorted(rule.number for rule in rules) == sorted(ALWAYS)


class Marks(Session):
    """Keeps no more than a mark."""

    def __init__(self, queue):
        super().__init__(queue)
        self.done = set()

    def settle(self, position, is_ack):
        if not is_ack:
            self.coming.insert(0, position)
            return
        self.done.add(position)
        while self.queue.left and min(self.queue.left) in self.done:
            del self.queue.left[min(self.queue.left)]


def test_what_is_done_behind_a_gap_may_come_again_where_a_mark_is_all_that_is_kept():
    check_ackable_source(of(Marks), items=ITEMS, low_water=True, seeds=1)
    assert "E48" in broken_rules(of(Marks))


def test_there_have_to_be_two_items():
    with pytest.raises(ValueError, match="two items or more"):
        check_ackable_source(Queue, items=[1])


class HighWater(Session):
    """Keeps the highest position: what is before it is lost."""

    def settle(self, position, is_ack):
        for each in [each for each in self.queue.left if is_ack and each <= position]:
            del self.queue.left[each]
            if each in self.coming:
                self.coming.remove(each)
        if not is_ack:
            self.coming.insert(0, position)


class AcksAtOnce(Session):
    """At most once."""

    def give(self, position):
        message = super().give(position)
        message.handle = None
        del self.queue.left[position]
        return message


class ForgetsAcks(Session):
    def settle(self, position, is_ack):
        if not is_ack:
            self.coming.insert(0, position)


class NacksLast(Session):
    def settle(self, position, is_ack):
        super().settle(position, is_ack)
        if not is_ack:
            self.coming.append(self.coming.pop(0))


class NacksNever(Session):
    def settle(self, position, is_ack):
        if is_ack:
            super().settle(position, is_ack)


class LosesWhatWasPulled(Session):
    async def __anext__(self):
        if not self.coming:
            raise StopAsyncIteration
        position = self.coming.pop(0)
        await asyncio.sleep(0.1)
        return self.give(position)


class ByPosition(Session):
    """Takes any answer for one of its own, as where a handle is no more than a number."""

    async def answer(self, answers):
        for each in answers:
            if each.is_ack:
                self.queue.left.pop(each.message.position, None)
            else:
                self.coming.insert(0, each.message.position)


class Backwards(Session):
    def __init__(self, queue):
        super().__init__(queue)
        self.coming.reverse()


class GoesOn(Session):
    def __init__(self, queue):
        super().__init__(queue)
        self.ended = False

    async def __anext__(self):
        if self.ended:
            return Message("more")
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            self.ended = True
            raise


class AcksBeforeItSays(Session):
    """Lets go of what was given when it is left, whatever was answered."""

    async def answer(self, answers):
        for each in answers:
            if each.message.handle in self.open:
                self.settle(self.open.pop(each.message.handle), each.is_ack)
        if any(each.is_ack for each in answers):
            for position in self.open.values():
                self.queue.left.pop(position, None)


class Starts(Queue):
    def __init__(self):
        super().__init__()
        self.task = asyncio.create_task(asyncio.sleep(3600))


class OffByOne(Queue):
    def open(self, after=None):
        return super().open(after and {None: after[None] - 1})


class LeavesATask(Queue):
    @asynccontextmanager
    async def open(self, after=None):
        self.task = asyncio.create_task(asyncio.sleep(3600))
        async with super().open(after) as session:
            yield session


class SwallowsCancellations(Queue):
    @asynccontextmanager
    async def open(self, after=None):
        async with super().open(after) as session:
            try:
                yield session
            except asyncio.CancelledError:
                return


class WrapsErrors(Queue):
    @asynccontextmanager
    async def open(self, after=None):
        async with super().open(after) as session:
            try:
                yield session
            except Exception as error:
                raise RuntimeError("wrapped") from error


BROKEN = [
    ("C28", Starts),
    ("RS 1.3", of(Backwards)),
    ("RS 1.7", of(GoesOn)),
    ("A2", of(LosesWhatWasPulled)),
    ("E48", of(HighWater)),
    ("E48", of(AcksAtOnce)),
    ("E48", of(ForgetsAcks)),
    ("E49", of(AcksBeforeItSays)),
    ("E49", of(AcksAtOnce)),
    ("E50", OffByOne),
    ("E52", of(NacksLast)),
    ("E52", of(NacksNever)),
    ("E53", of(Session, max_unacked=0)),
    ("E54", of(ByPosition)),
    ("C22", LeavesATask),
    ("C24", SwallowsCancellations),
    ("D36", WrapsErrors),
]


@pytest.mark.parametrize(
    ("rule", "make"), [pytest.param(*each, id=str(place)) for place, each in enumerate(BROKEN)]
)
def test_a_broken_source_is_found_and_the_rule_named(rule, make):
    assert rule in broken_rules(make, positions=True)


def test_every_rule_can_be_broken():
    assert {rule for rule, _ in BROKEN} == set(ALL)
