"""A seeded loop that brings its own threads and processes."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, Final, TypeVar, TypeVarTuple

from .._processes.spawned import Spawned
from .._runtime.parts import Parts
from .._threads.bridge import Inbox, Outbox
from .._threads.workshop import Credits, Workshop
from ..stage import Stage
from .seeded_loop import SeededLoop
from .simulated_executor import SimulatedExecutor
from .simulated_process import SimulatedProcess
from .simulated_threads import SimulatedCredits, SimulatedInbox, SimulatedOutbox, SimulatedThread

__all__ = ("MOST_TURNS", "SimulatedLoop", "SimulatedWorkshop", "sleeping_in_virtual_time")


MOST_TURNS: Final = 200_000
"""Turns of the loop after which a run is taken to go in circles; a small flow takes some hundred."""

_DEFAULT_WORKERS: Final = 32
"""Threads of asyncio's own executor where there are many processors."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SimulatedLoop(SeededLoop):
    """A seeded loop on which every flow has simulated threads and processes.

    So has ``asyncio.to_thread``. Whatever else blocks in a thread of its own, or waits for
    a socket, is not governed by the seed.

    Args:
        seed: The schedule.
        most_turns: Turns of the loop after which it is taken to run in circles.

    Attributes:
        dataflow_parts: What runs on this loop are made from.
    """

    def __init__(self, seed: int, *, most_turns: int | None = MOST_TURNS) -> None:
        super().__init__(seed, most_turns=most_turns)
        self._not_mine = set(threading.enumerate())
        self._threads: list[SimulatedThread] = []
        self._executors: dict[Executor | None, SimulatedExecutor] = {}
        self.dataflow_parts = Parts(SimulatedWorkshop(self))

    def thread(self, main: Callable[[], None], name: str) -> SimulatedThread:
        """A simulated thread, not started."""
        self._threads = [each for each in self._threads if not each.over]
        thread = SimulatedThread(self, main, name)
        self._threads.append(thread)
        return thread

    def threads(self) -> list[SimulatedThread]:
        """Those that have not ended."""
        return [each for each in self._threads if not each.over]

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call a function in a simulated thread of an executor, which has as many as the real one."""
        pool = self._executors.get(executor)
        if pool is None:
            most = getattr(executor, "_max_workers", _DEFAULT_WORKERS)
            pool = self._executors[executor] = SimulatedExecutor(self, self.thread, most)
        return pool.submit(functools.partial(func, *args))

    async def end_executors(self) -> None:
        """Let what is being called come to its end, as ``asyncio.run`` does, and end the threads."""
        for pool in self._executors.values():
            await pool.end()

    def waiting(self) -> str:
        """Each task and thread, and the line where it waits; and what is there that no seed governs."""
        told = [f"  {each.described()}" for each in self.threads() if not each.idle]
        told += [
            f"  {each.name}: a thread that no simulation governs; what waits for it, waits in vain"
            for each in threading.enumerate()
            if each not in self._not_mine and not isinstance(each, SimulatedThread)
        ]
        if self.watched_files():
            told.append(
                "  and for sockets or pipes, which no simulation governs: put something in their place"
            )
        return "\n".join([super().waiting(), *told])

    def close(self) -> None:
        """End the threads that are left, and the loop."""
        for each in self.threads():
            each.end()
        super().close()


class SimulatedWorkshop(Workshop):
    """Threads and processes that the loop draws step by step."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def inbox(self) -> Inbox[Any]:
        """What is to do."""
        return SimulatedInbox(self._loop)

    def outbox(self) -> Outbox[Any]:
        """What was done."""
        return SimulatedOutbox(self._loop)

    def credits(self) -> Credits:
        """None yet."""
        return SimulatedCredits(self._loop)

    def thread(self, main: Callable[[], None], name: str) -> threading.Thread:
        """A simulated thread."""
        return self._loop.thread(main, name)

    def spawn(self, stage: Stage[Any, Any], payload: bytes) -> Spawned:
        """A simulated process."""
        prepared = functools.partial(self.prepared, stage)
        dies = functools.partial(self.dies, stage)
        return SimulatedProcess(self._loop, self._loop.thread, stage.title, payload, prepared, dies)

    def dies(self, stage: Stage[Any, Any]) -> bool:
        """Whether a process of a stage dies here; called in the process."""
        return False


@contextmanager
def sleeping_in_virtual_time() -> Iterator[None]:
    """Within, ``time.sleep`` in a simulated thread passes virtual time; anywhere else it sleeps."""
    real = time.sleep

    def sleep(seconds: float, /) -> None:
        thread = threading.current_thread()
        if isinstance(thread, SimulatedThread):
            thread.sleep(seconds)
        else:
            real(seconds)

    time.sleep = sleep  # type: ignore[assignment]
    try:
        yield
    finally:
        if time.sleep is sleep:
            time.sleep = real
