"""A flow whose sources want to know what became of each item, where they did not before."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from asyncdataflow import AckableSource, Answer, DataFlow, Message, Stage
from asyncdataflow.notation import Compiled
from asyncdataflow.operators.combine import Zip
from asyncdataflow.operators.select import Take, Until
from asyncdataflow.operators.streamwise import Through, opened

__all__ = ("acked", "is_followed", "unsettled")

_READ = ("iterable", "async_iterable", "async_generator", "source")
"""Generators may block, and stay in their threads."""


def is_followed(flow: DataFlow[Any, Any]) -> bool:
    """What becomes of its items can be followed."""
    stages = flow.graph.stages
    read = any(each.role == "source" and each.call is not None and each.call.kind in _READ for each in stages)
    return read and not any(isinstance(each.operator, Through) for each in stages)


def unsettled(flow: DataFlow[Any, Any], told: Sequence[Answer]) -> list[Answer]:
    """What should have been acked, of a run in which nothing went wrong and all was wanted."""
    if any(isinstance(each.operator, Take | Until | Zip) for each in flow.graph.stages):
        return []
    return [each for each in told if not each.is_ack]


def acked(flow: DataFlow[Any, Any]) -> list[Answer]:
    """Change the flow; gives what its sources will be told."""
    told: list[Answer] = []

    def answered(stage: Stage[Any, Any]) -> Stage[Any, Any]:
        if stage.role != "source" or stage.call is None or stage.call.kind not in _READ:
            return stage
        call = dataclasses.replace(stage.call, kind="ackable_source", many=True)
        return dataclasses.replace(stage, fn=_Answered(stage, told), call=call, executor="loop")

    compiled = flow._compiled
    stages = tuple(answered(each) for each in compiled.graph.stages)
    flow._compiled = Compiled(dataclasses.replace(compiled.graph, stages=stages), compiled.resources)
    return told


class _Answered(AckableSource[Any]):
    """A source of a flow, whatever it was."""

    has_positions = True

    def __init__(self, stage: Stage[Any, Any], told: list[Answer]) -> None:
        self._stage = stage
        self._told = told

    @asynccontextmanager
    async def open(self, after: Any = None) -> AsyncIterator[_Session]:
        session = _Session(self._stage, self._told)
        try:
            async with session.reading():
                yield session
        finally:
            session.check()


class _Session:
    """Checks that each message is answered exactly once."""

    def __init__(self, stage: Stage[Any, Any], told: list[Answer]) -> None:
        self._stage = stage
        self._told = told
        self._given: list[Message[Any]] = []
        self._answers: Counter[int] = Counter()
        self._busy = False
        self._items: AsyncIterator[Any]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        kind = self._stage.call.kind if self._stage.call is not None else None
        fn: Any = self._stage.fn
        if kind == "source":
            async with fn.open() as items, aclosing(items) as self._items:
                yield
            return
        items = fn() if kind == "async_generator" else fn
        async with aclosing(_each(items)) as self._items:
            yield

    async def __aiter__(self) -> AsyncGenerator[Message[Any], None]:
        async for item in self._items:
            message = Message(item, len(self._given))
            self._given.append(message)
            yield message

    async def answer(self, answers: Sequence[Answer]) -> None:
        if self._busy:
            _report(f"{self._stage.title} is answered twice at a time")
        self._busy = True
        try:
            await asyncio.sleep(0)
        finally:
            self._busy = False
        self._told += answers
        self._answers.update(id(each.message) for each in answers)

    def check(self) -> None:
        """It is being left: every message has its answer."""
        for message in self._given:
            answers = self._answers[id(message)]
            if answers != 1:
                _report(f"{self._stage.title}: message {message.position} has {answers} answers")


def _report(message: str) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": message})


async def _each(items: Any) -> AsyncGenerator[Any, None]:
    if hasattr(items, "__aiter__"):
        async with opened(items) as each:
            async for item in each:
                yield item
    else:
        for item in items:
            yield item
