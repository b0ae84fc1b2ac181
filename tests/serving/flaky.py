"""Sources that fail where they are told to, for tests of how they are opened anew."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from asyncdataflow import AckableSource, Message

__all__ = ("Flaky",)


class Flaky(AckableSource):
    """Gives what is left in it, ten items a second, and fails where it is told to, once each.

    Args:
        items: How many it has.
        opens: Sessions, by number, that cannot be opened.
        pulls: Items in place of which a pull raises.
        answers: Items of which it cannot be told, nor of any other in that session.
        closes: Sessions that raise when they are left.
        hang_ups: Sessions whose messages raise when they are closed, as a lost connection does.
    """

    has_positions = True

    def __init__(
        self, items=10, *, opens=(), pulls=(), answers=(), closes=(), hang_ups=(), most=1000, silent=False
    ):
        self.left = list(range(items))
        self.acked, self.nacked, self.seen_after = [], [], []
        self.sessions = 0
        self.opened_at = []
        self.max_unacked = most
        self.silent = silent
        self.opens, self.pulls, self.answers, self.closes = map(set, (opens, pulls, answers, closes))
        self.hang_ups = hang_ups

    @asynccontextmanager
    async def open(self, after=None):
        self.sessions += 1
        self.opened_at.append(asyncio.get_running_loop().time())
        self.seen_after.append(after)
        if self.sessions in self.opens:
            raise ConnectionError(f"session {self.sessions} cannot be opened")
        number = self.sessions
        session = _Session(self, -1 if after is None else after.get(None, -1))
        try:
            yield session
        finally:
            session.over = True
            assert session.given == session.answered or session.broken, "each message is answered once"
        if number in self.closes:
            raise OSError("on closing")


class _Session:
    def __init__(self, source, done):
        self.source = source
        self.done = done
        self.given, self.answered = set(), set()
        self.broken = self.over = False

    def __aiter__(self):
        messages = self._messages()
        return _Lost(messages) if self.source.sessions in self.source.hang_ups else messages

    async def _messages(self):
        for item in [each for each in self.source.left if each > self.done]:
            if item in self.source.pulls:
                self.source.pulls.discard(item)
                raise ConnectionError(f"no {item}")
            self.given.add(item)
            yield Message(item, item)
            await asyncio.sleep(0.1)
        if self.source.silent:
            await asyncio.Event().wait()

    async def answer(self, answers):
        assert not self.over
        await asyncio.sleep(0)
        for each in answers:
            item = each.message.item
            if item in self.source.answers:
                self.source.answers.discard(item)
                self.broken = True
            if self.broken:
                raise ConnectionError(f"not told of {item}")
            assert item not in self.answered
            self.answered.add(item)
            if each.is_ack:
                self.source.left.remove(item)
                self.source.acked.append(item)
            else:
                self.source.nacked.append(item)


class _Lost:
    def __init__(self, messages):
        self.messages = messages

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await anext(self.messages)

    async def aclose(self):
        await self.messages.aclose()
        raise ConnectionError("cannot say goodbye")
