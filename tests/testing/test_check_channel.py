"""The channel kit passes our channel, and names the rule that a broken one breaks."""

from __future__ import annotations

import re
import sys

import janus
import pytest

from asyncdataflow import Buffer
from asyncdataflow._runtime.channel import Channel, Receiver, Sender
from asyncdataflow.errors import BrokenRuleError, ChannelClosed, EndOfChannel, WouldBlock
from asyncdataflow.testing import check_channel

ALL = ["A1", "A2", "A3", "A5", "A6", "A8", "A9", "A10", "A11", "B21", "C31"]


def broken_rules(make, seeds):
    with pytest.raises(BrokenRuleError) as caught:
        check_channel(make, seeds=seeds)
    return re.findall(r"^  (\S+): ", str(caught.value), re.M)


def test_our_channel_keeps_all_rules():
    assert [rule.number for rule in check_channel(lambda capacity: Channel(Buffer(capacity)))] == ALL


class Ours(Channel):
    """The channel, with one thing wrong with it."""

    SenderType, ReceiverType = Sender, Receiver

    def __init__(self, capacity):
        super().__init__(Buffer(capacity))

    def sender(self):
        self._senders += 1
        return self.SenderType(self)

    def receiver(self):
        self._receivers += 1
        return self.ReceiverType(self)


class Forgetful(Ours):
    def put(self, item):
        return True if item == (0, 1) else super().put(item)


class Repeating(Ours):
    def take(self):
        item = super().take()
        if item == (0, 1) and not vars(self).setdefault("repeated", False):
            self.repeated = True
            self._store.append(item, 1)
        return item


class LosesWakeUps(Ours):
    """As janus does: who was woken and is cancelled passes nothing on."""

    async def wait_for_item(self):
        waiter = self._loop.create_future()
        self._getters.append(waiter)
        try:
            await waiter
        finally:
            if waiter.done() and not waiter.cancelled():
                self._grants -= 1


class TakesWhenCancelled(Ours):
    """Sent although its sender was told that it was not."""

    async def wait_to_put(self, item):
        try:
            await super().wait_to_put(item)
        except BaseException:
            self._store.append(item, 1)
            raise


class LeavesSendersAsleep(Ours):
    def wake_senders(self):
        if len(self._putters) > 1:
            super().wake_senders()


class OneMore(Ours):
    def __init__(self, capacity):
        super().__init__(capacity + 1)


class OneLess(Ours):
    def __init__(self, capacity):
        super().__init__(max(capacity - 1, 1))


class NeedsTwoSlots(Ours):
    def wake_senders(self):
        if self._capacity > 1:
            super().wake_senders()


class LastInFirstOut(Ours):
    def take(self):
        self._store.items.rotate(1)
        return super().take()


class LastSenderFirst(Ours):
    def _promise_slot(self):
        self._putters.rotate(1)
        super()._promise_slot()


class LastReceiverFirst(Ours):
    def _promise_item(self):
        self._getters.rotate(1)
        super()._promise_item()


class OneSentinel(Ours):
    """The end is taken by whoever comes first."""

    def _wake_all_getters(self):
        if self._getters:
            self._promise_item()


class EndsWithTheFirst(Ours):
    def sender_closed(self):
        self.end()


class DropsAtTheEnd(Ours):
    def sender_closed(self):
        super().sender_closed()
        if not self._senders:
            self._store.items.clear()
            self._wake_all_getters()


class LeavesSendersWaiting(Ours):
    def receiver_closed(self):
        self._receivers -= 1
        self._abandoned = not self._receivers


class TakesForNobody(Ours):
    def receiver_closed(self):
        super().receiver_closed()
        self._abandoned = False


class NoneIsNothing(Ours):
    class ReceiverType(Receiver):
        async def receive(self):
            while (item := await super().receive()) is None:
                pass
            return item


class RaisesErrors(Ours):
    class ReceiverType(Receiver):
        async def receive(self):
            item = await super().receive()
            if isinstance(item, Exception):
                raise item
            return item


class ClosesSendersAgain(Ours):
    class SenderType(Sender):
        def close(self):
            self.channel.sender_closed()


class ClosesReceiversAgain(Ours):
    class ReceiverType(Receiver):
        def close(self):
            self.channel.receiver_closed()


BROKEN = [
    ("A1", Forgetful),
    ("A1", Repeating),
    ("A2", LosesWakeUps),
    ("A2", TakesWhenCancelled),
    ("A3", LeavesSendersAsleep),
    ("A5", OneMore),
    ("A5", OneLess),
    ("A6", NeedsTwoSlots),
    ("A8", LastInFirstOut),
    ("A9", LastSenderFirst),
    ("A9", LastReceiverFirst),
    ("A10", OneSentinel),
    ("A10", EndsWithTheFirst),
    ("A10", DropsAtTheEnd),
    ("A11", LeavesSendersWaiting),
    ("A11", TakesForNobody),
    ("B21", NoneIsNothing),
    ("B21", RaisesErrors),
    ("C31", ClosesSendersAgain),
    ("C31", ClosesReceiversAgain),
]


@pytest.mark.parametrize(
    "make", [pytest.param(make, id=make.__name__) for make in dict.fromkeys(make for _, make in BROKEN)]
)
def test_a_broken_channel_is_found_and_the_rule_named(make):
    found = broken_rules(make, seeds=8)
    assert {rule for rule, of in BROKEN if of is make} <= set(found)


def test_every_rule_can_be_broken():
    assert {rule for rule, _ in BROKEN} == set(ALL)


class JanusChannel:
    """A janus queue in its place, with counted ends."""

    def __init__(self, capacity):
        self.queue = janus.Queue(capacity)
        self.senders = self.receivers = 0

    def sender(self):
        self.senders += 1
        return JanusEnd(self, "senders", immediate=False)

    def receiver(self):
        self.receivers += 1
        return JanusEnd(self, "receivers", immediate=True)

    async def aclose(self):
        await self.queue.aclose()


class JanusEnd:
    def __init__(self, channel, kind, *, immediate):
        self.channel, self.queue = channel, channel.queue.async_q
        self.kind, self.immediate, self.open = kind, immediate, True

    async def send(self, item):
        try:
            await self.queue.put(item)
        except janus.AsyncQueueShutDown:
            raise ChannelClosed from None

    def send_nowait(self, item):
        try:
            self.queue.put_nowait(item)
        except janus.AsyncQueueFull:
            raise WouldBlock from None
        except janus.AsyncQueueShutDown:
            raise ChannelClosed from None

    async def receive(self):
        try:
            return await self.queue.get()
        except janus.AsyncQueueShutDown:
            raise EndOfChannel from None

    def receive_nowait(self):
        try:
            return self.queue.get_nowait()
        except janus.AsyncQueueEmpty:
            raise WouldBlock from None
        except janus.AsyncQueueShutDown:
            raise EndOfChannel from None

    def close(self):
        if self.open:
            self.open = False
            left = getattr(self.channel, self.kind) - 1
            setattr(self.channel, self.kind, left)
            if not left:
                self.channel.queue.shutdown(immediate=self.immediate)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="CPython's gh-112202 is fixed there")
def test_a_janus_queue_in_its_place_loses_wake_ups():
    """Invariant 2: the queue that edges on the loop are not made of."""
    assert "A2" in broken_rules(JanusChannel, seeds=2)


def test_the_report_says_what_was_seen_and_under_which_seed():
    with pytest.raises(BrokenRuleError) as caught:
        check_channel(OneMore, seeds=2)
    assert str(caught.value).splitlines() == [
        "the channel breaks 1 of 11 rules:",
        "  A5: It holds as many items as its capacity says, and no more.",
        "    seen: seed 0: item 2 was taken without waiting, with a capacity of 1",
    ]


def test_what_a_channel_raises_is_told_with_its_line():
    class Raising(Ours):
        def sender(self):
            raise LookupError("no sender")

    with pytest.raises(BrokenRuleError, match=r"seen: it raised LookupError\('no sender'\) \(test_"):
        check_channel(Raising, seeds=1)
