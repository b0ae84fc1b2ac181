"""W1a: five trivial coroutine stages whose source is told what became of each item."""

# What a contestant needs is imported where it runs: a release before acks has nothing of it.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from . import w1
from .feed import STAGES, in_order, step
from .workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload


async def acked(items: int) -> list[int]:
    """A worker per stage, and an answer for each item."""
    from asyncdataflow import AckableSource, Answer, DataFlow, Message

    class Told:
        def __init__(self) -> None:
            self.acks = 0

        async def __aiter__(self) -> AsyncGenerator[Message[int], None]:
            for number in range(items):
                yield Message(number, number)

        async def answer(self, answers: Sequence[Answer]) -> None:
            self.acks += len(answers)

    class Numbers(AckableSource[int]):
        @asynccontextmanager
        async def open(self, after: Any = None) -> AsyncGenerator[Told, None]:
            session = Told()
            yield session
            if session.acks != items:
                raise RuntimeError(f"{session.acks} answers for {items} items")

    async with DataFlow((Numbers(), *[step] * STAGES), fuse=False).stream() as run:
        return [each async for each in run]


W1A = Workload(
    "W1a",
    "five trivial coroutine stages with acks, a worker each (fuse=False)",
    100_000,
    (
        Contestant(LIMIT, w1.ours, "limit", note="ours without acks"),
        Contestant(OURS, acked, "ours"),
        *w1.PEERS,
    ),
    in_order,
    (Floor(LIMIT, 0.6), Floor(BEST_PEER, 1)),
    cannot={"acks": "no peer has them across its stages: these run without"},
)
