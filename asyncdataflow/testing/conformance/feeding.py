"""Runs that are fed numbers in this process, wherever their workers live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from ...dataflow import DataFlow
from ...engine import Engine, LiveRun
from .trial import on_loop

__all__ = ("Feeding", "Trial", "asking", "turns")

T = TypeVar("T")


class Feeding:
    """0, 1, 2, … as a run's ``items=``, which knows how far it was pulled.

    Args:
        limit: How many; ``None`` is without end.
        stalls_at: The number before which it waits until :meth:`go_on`.

    Attributes:
        begun: How many times it was iterated over.
        pulled: Numbers that it gave.
        closed: How many of its iterations have ended.
    """

    def __init__(self, limit: int | None = None, stalls_at: int | None = None) -> None:
        self.begun = self.pulled = self.closed = 0
        self._limit = limit
        self._stalls_at = stalls_at
        self._change = asyncio.Event()

    def __aiter__(self) -> AsyncGenerator[int, None]:
        """From the first number on."""
        return self._read()

    def go_on(self) -> None:
        """Stall no longer."""
        self._stalls_at = None
        self._change.set()

    async def is_pulled_beyond(self, most: int, seconds: float) -> bool:
        """Whether it gives more than so many numbers within some time."""
        return await self._comes_true(lambda: self.pulled > most, seconds)

    async def is_read(self, seconds: float) -> bool:
        """Whether somebody iterates over it within some time."""
        return await self._comes_true(lambda: self.begun > 0, seconds)

    async def _comes_true(self, condition: Callable[[], bool], seconds: float) -> bool:
        # A machine that stands still for so long has not shown anything.
        await turns(100)
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            return condition()
        return True

    async def _read(self) -> AsyncGenerator[int, None]:
        self.begun += 1
        self._change.set()
        try:
            number = 0
            while self._limit is None or number < self._limit:
                while number == self._stalls_at:
                    self._change.clear()
                    await self._change.wait()
                self.pulled += 1
                self._change.set()
                yield number
                number += 1
        finally:
            self.closed += 1
            self._change.set()


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: an engine.

    Attributes:
        engine: The engine.
        settle: Seconds that what must not happen is given to happen.
        deadline: Seconds after which a run is taken to hang.
    """

    engine: Engine
    settle: float
    deadline: float

    def stream(self, flow: DataFlow[Any, T], items: Any = None, buffer: int = 2) -> LiveRun[T]:
        """A run of a flow."""
        return flow.stream(items=items, engine=self.engine, buffer=buffer)

    def run(self, scenario: Callable[[Trial], Coroutine[Any, Any, str | None]]) -> str | None:
        """What a scenario sees, on a loop of its own.

        Raises:
            TimeoutError: It did not end before the deadline.
        """
        return on_loop(asyncio.new_event_loop, self._in_time(scenario(self)))

    async def is_done(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task ends, well before the deadline."""
        await asyncio.wait([task], timeout=self.deadline / 2)
        return task.done()

    async def _in_time(self, scenario: Coroutine[Any, Any, str | None]) -> str | None:
        try:
            async with asyncio.timeout(self.deadline) as scope:
                return await scenario
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise TimeoutError(f"it did not end within {self.deadline:g} s") from error


def asking(run: LiveRun[T]) -> asyncio.Task[T]:
    """A task that asks for the next result; how it ends, nobody has to look at."""
    task = asyncio.create_task(_next_of(run))
    task.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())
    return task


async def _next_of(run: LiveRun[T]) -> T:
    return await anext(run)


async def turns(many: int = 10) -> None:
    """Let what is ready run."""
    for _ in range(many):
        await asyncio.sleep(0)
