"""An instrument that writes everything down, and what it is tried on."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from contextlib import asynccontextmanager, contextmanager

from asyncdataflow import DataFlow, Sink
from asyncdataflow.abc import Instrument, Span
from asyncdataflow.message import outgoing_headers

CURRENT = contextvars.ContextVar("CURRENT", default=None)


class Step(Span):
    def __init__(self, book, stage, attempt, traces):
        self.book, self.stage, self.attempt, self.traces = book, stage, attempt, list(traces)
        book.steps.append(self)
        self.error = self.ended = None

    @contextmanager
    def current(self):
        token = CURRENT.set(self)
        try:
            yield
        finally:
            CURRENT.reset(token)

    def headers(self, place):
        return {"trace": str(self.traces[place])}

    def end(self, error):
        assert self.ended is None, "once"
        self.ended, self.error = True, error


class Book(Instrument):
    """Writes everything down; a message's trace is its item."""

    def __init__(self, follows=lambda item: True):
        self.follows = follows
        self.begun, self.steps, self.outcomes = [], [], []

    def begin(self, flow, source, message):
        self.begun.append((flow, source, message.item))
        return message.item if self.follows(message.item) else None

    def call(self, stage, attempt, traces):
        return Step(self, stage, attempt, traces)

    def settled(self, trace, error):
        self.outcomes.append((trace, error))

    @property
    def told(self):
        """Of each call, where it was and of what."""
        return sorted((each.stage, each.attempt, each.traces) for each in self.steps)

    def check(self):
        """All that was begun has ended, once."""
        assert all(each.ended for each in self.steps)
        followed = [item for _, _, item in self.begun if self.follows(item)]
        assert Counter(trace for trace, _ in self.outcomes) == Counter(followed)


def ran(definition, *, items=range(3), follows=lambda item: True, **options):
    book = Book(follows)
    results = asyncio.run(DataFlow(definition, instruments=[book], **options).run(items=items))
    book.check()
    return book, results


async def double(n):
    return n * 2


def thrice(n):
    return n * 3


class Told(Sink):
    """Writes down which headers each item goes with."""

    def __init__(self, chunk):
        self.chunk, self.told = chunk, {}

    @asynccontextmanager
    async def open(self):
        async def write(given):
            await asyncio.create_task(self.writing([given] if self.chunk == 1 else given))

        yield write

    async def writing(self, items):
        for place, item in enumerate(items):
            self.told[item] = dict(outgoing_headers(place))
