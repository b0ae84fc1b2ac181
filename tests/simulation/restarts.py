"""Shapes of sources that fail and are opened anew."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from asyncdataflow import AckableSource, Answer, DataFlow, Message, batch, stage
from asyncdataflow.policy import Restart

from .shape import FIRM, HARD, Built, Shape, report, step

__all__ = ("SHAPES",)

_ITEMS = 8
_RESTART = Restart(attempts=None, first=0.5, most=2)


class _Breaking(AckableSource[int]):
    """A queue whose sessions break; it gives again what it has not heard of as done.

    Args:
        deaf: It breaks while it is told something, too.
    """

    max_unacked = 4

    def __init__(self, *, deaf: bool) -> None:
        self.deaf = deaf
        self.left = list(range(_ITEMS))

    @asynccontextmanager
    async def open(self, after: Any = None) -> AsyncIterator[_Session]:
        await self.breaks("is opened")
        session = _Session(self)
        try:
            yield session
        finally:
            session.end()

    async def breaks(self, when: str) -> None:
        if random.random() < 0.3:
            await asyncio.sleep(random.random())
        if random.random() < 0.15:
            raise ConnectionError(f"it breaks when it {when}")


class _Session:
    """Each of its messages is answered once, unless it could not be told."""

    def __init__(self, source: _Breaking) -> None:
        self.source = source
        self.given: set[int] = set()
        self.broken = self.over = False
        self.is_read = True

    async def __aiter__(self) -> AsyncGenerator[Message[int], None]:
        try:
            for item in list(self.source.left):
                await self.source.breaks("is pulled")
                self.given.add(item)
                yield Message(item)
            # Its end is final: what it cannot be told of behind it is a failure that stands.
            while self.given:
                await asyncio.sleep(0.1)
        finally:
            self.is_read = False

    async def answer(self, answers: Sequence[Answer]) -> None:
        if self.over:
            report("a session that was left is told something")
        if self.broken:
            raise ConnectionError("it is broken")
        if self.source.deaf and self.is_read:
            try:
                await self.source.breaks("is told")
            except ConnectionError:
                self.broken = True
                raise
        for each in answers:
            self.given.remove(each.message.item)
            if each.is_ack:
                self.source.left.remove(each.message.item)

    def end(self) -> None:
        self.over = True
        if self.given and not self.broken:
            report(f"it is left with {sorted(self.given)} not answered")


def a_queue_that_breaks() -> Built:
    """What it has given is settled before it is opened anew: nothing comes twice."""
    source = _Breaking(deaf=False)
    flow = DataFlow((stage(source, restart=_RESTART), stage(step, concurrency=3, buffer=2, retry=FIRM)))

    def claim(results: list[int]) -> None:
        assert results == list(range(_ITEMS))
        assert source.left == []

    return flow, claim


def a_queue_that_does_not_hear() -> Built:
    """What it has not heard of comes again: nothing is lost."""
    source = _Breaking(deaf=True)
    steps = stage(step, concurrency=2, ordered=False, retry=FIRM), batch(2, seconds=1)
    flow = DataFlow((stage(source, restart=_RESTART), *steps))

    def claim(results: list[list[int]]) -> None:
        assert {item for lot in results for item in lot} == set(range(_ITEMS))
        assert source.left == []

    return flow, claim


def a_feed_that_breaks() -> Built:
    """It begins at its beginning, each time."""
    begun: list[int] = []

    async def feed() -> AsyncIterator[int]:
        begun.append(0)
        for n in range(4):
            yield await step(n)
            if len(begun) < 4 and random.random() < 0.3:
                raise ConnectionError
            begun[-1] = n + 1

    flow = DataFlow((stage(feed, restart=_RESTART), stage(step, buffer=1, retry=FIRM)))

    def claim(results: list[int]) -> None:
        # A fault may have ended it before its first item.
        starts = [place for place, item in enumerate(results) if item == 0]
        parts = [results[a:b] for a, b in zip(starts, [*starts[1:], len(results)], strict=True)]
        assert all(part == list(range(len(part))) for part in parts)
        assert parts[-1] == [0, 1, 2, 3]

    return flow, claim


SHAPES = (
    Shape(a_queue_that_breaks, HARD),
    Shape(a_queue_that_does_not_hear, replace(HARD, reconnects=0.05, redelivers=0.05)),
    Shape(a_feed_that_breaks, HARD),
)
