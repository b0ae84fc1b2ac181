"""A source that is answered and whose session is lost: it is left at once, and that is one failure."""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import AckableSource, DataFlow, Message, stage
from asyncdataflow.policy import Restart
from asyncdataflow.testing import simulate
from asyncdataflow.testing.virtual_clock import run_virtual

STEADY = Restart(first=1, jitter=0)


class Losing(AckableSource):
    """Gives what is left in it; its first sessions fall silent, and cannot be told.

    Args:
        items: How many it has.
        lost: How many sessions.
        silent: Behind how many items.
        deaf: Of which item, and of later ones, it cannot be told then.
        ends_badly: The iterator raises where it is cancelled.
        closes_badly: The context raises where it is left.
    """

    def __init__(self, items=1, *, lost=1, silent=1, deaf=0, ends_badly=False, closes_badly=False):
        self.left = list(range(items))
        self.lost, self.silent, self.deaf = lost, silent, deaf
        self.ends_badly, self.closes_badly = ends_badly, closes_badly
        self.opened_at = []

    @asynccontextmanager
    async def open(self, after=None):
        self.opened_at.append(asyncio.get_running_loop().time())
        session = Session(self, lost=len(self.opened_at) <= self.lost)
        yield session
        if session.lost and self.closes_badly:
            raise ConnectionError("the context: not connected")


class Session:
    def __init__(self, source, *, lost):
        self.source, self.lost = source, lost

    async def __aiter__(self):
        for place, item in enumerate(list(self.source.left)):
            if self.lost and place == self.source.silent:
                break
            yield Message(item)
        if self.lost:
            try:
                await asyncio.Event().wait()
            finally:
                if self.source.ends_badly:
                    raise ConnectionError("the iterator: not connected")

    async def answer(self, answers):
        if self.lost and any(each.message.item >= self.source.deaf for each in answers):
            raise ConnectionError("the answer: not connected")
        for each in answers:
            if each.is_ack:
                self.source.left.remove(each.message.item)


async def taken(item):
    """Taken, and nothing made of it."""


async def taken_with_a_pause(item):
    """Taken; the last of nine later than the others."""
    if item % 9 == 8:
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.mark.parametrize("sink", [taken, taken_with_a_pause])
def test_it_is_given_up_while_its_puller_gives_way_to_the_others(sink):
    """Its failure comes in between two waits for a message, of which the next would last for ever."""

    def make():
        source = Losing(40, silent=27, deaf=18)
        restart = Restart(first=0.01, settle=0.1)
        return DataFlow((stage(source, restart=restart), stage(sink, buffer=9)), fuse=False)

    simulate(make, seeds=range(60)).raise_for_failures()


HOWS = {
    "it cannot be told": {},
    "and its iterator raises when it is cancelled": {"ends_badly": True},
    "and its context raises when it is left": {"closes_badly": True},
    "and both": {"ends_badly": True, "closes_badly": True},
}


@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
class TestWhateverItRaisesOnItsWayOut:
    def test_it_has_failed_once(self, how, caplog):
        source = Losing(lost=4, **how)
        with caplog.at_level(logging.WARNING):
            run_virtual(DataFlow((stage(source, restart=STEADY), taken)).run())
        waits = [later - before for before, later in itertools.pairwise(source.opened_at)]
        assert waits == [1, 2, 4, 8]
        assert source.left == []
        # Why it is opened anew is the first that was wrong.
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == sum("the answer: not connected" in each for each in told) == 4

    def test_its_budget_is_of_sessions(self, how):
        restart = Restart(attempts=2, first=1, jitter=0)
        source = Losing(lost=3, **how)
        with pytest.raises(ConnectionError):
            run_virtual(DataFlow((stage(source, restart=restart), taken)).run())
        assert len(source.opened_at) == 3
