"""An executor whose threads are simulated: ``asyncio.to_thread`` under a seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from .._threads.bridge import Closed
from .seeded_loop import SeededLoop
from .simulated_threads import SimulatedInbox, SimulatedThread

__all__ = ("SimulatedExecutor",)

T = TypeVar("T")


class SimulatedExecutor:
    """Up to ``most`` threads, each of which does one call after another.

    Args:
        loop: The loop of the simulation.
        thread: Makes a thread, out of what it does and its name.
        most: Most threads; whoever has an executor of one relies on it being always the same.
    """

    def __init__(
        self,
        loop: SeededLoop,
        thread: Callable[[Callable[[], None], str], SimulatedThread],
        most: int,
    ) -> None:
        self._loop = loop
        self._thread = thread
        self._most = most
        self._calls: SimulatedInbox[Callable[[], None]] = SimulatedInbox(loop)
        self._threads: list[SimulatedThread] = []
        self._pending = 0
        self._ended: asyncio.Future[None] | None = None

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Call in a thread; the future has what comes of it."""
        future: asyncio.Future[T] = self._loop.create_future()

        def work() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - carried to whoever awaits it
                self._loop.call_soon_threadsafe(self._answer, future.set_exception, future, error)
            else:
                self._loop.call_soon_threadsafe(self._answer, future.set_result, future, result)

        self._pending += 1
        if len(self._threads) < min(self._pending, self._most):
            self._threads.append(self._thread(self._live, f"executor-{len(self._threads)}"))
            self._threads[-1].start()
        self._calls.put(work)
        return future

    async def end(self) -> None:
        """Wait for the calls, and end the threads."""
        if self._pending:
            self._ended = self._loop.create_future()
            await self._ended
        self._calls.close()
        # A thread cannot say that it has ended, once it has.
        while not all(each.over for each in self._threads):  # noqa: ASYNC110
            await asyncio.sleep(0)

    def _answer(self, setter: Callable[[Any], None], future: asyncio.Future[Any], value: Any) -> None:
        if not future.done():
            setter(value)
        self._pending -= 1
        if not self._pending and self._ended is not None:
            self._ended.set_result(None)

    def _live(self) -> None:
        try:
            while True:
                self._calls.get()()
        except Closed:
            return
