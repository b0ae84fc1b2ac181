"""A trial: a coroutine on a loop of its own, unharmed or cancelled, and what it leaves there."""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ..seeded_loop import SeededLoop, SeededRealLoop, quiet

__all__ = ("MOST_TURNS", "Bench", "Visit", "Watch", "end", "on_loop")

T = TypeVar("T")

MOST_TURNS: Final = 50_000
"""Of a virtual loop: what swallows every cancellation never ends, and time costs nothing there."""

_PATIENCE_WITH_THREADS: Final = 2.0


def on_loop(make_loop: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own, and end what it has left there."""
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(_tidied(main))


async def _tidied(main: Coroutine[Any, Any, T]) -> T:
    try:
        return await main
    finally:
        await end(asyncio.all_tasks() - {_current()})


async def end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel, more than once where a cancellation is swallowed."""
    for _ in range(10):
        tasks = {each for each in tasks if not each.done()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        done, _ = await asyncio.wait(tasks, timeout=1.0)
        for task in done:
            if not task.cancelled():
                task.exception()  # Looked at, or asyncio complains that nobody did.


def _current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a trial runs in a task")
    return task


class Watch:
    """Sees the tasks and async generators that are made from now on and do not end."""

    def __init__(self) -> None:
        self._tasks = asyncio.all_tasks()
        self._generators: list[weakref.ref[AsyncGenerator[Any, Any]]] = []
        hooks = sys.get_asyncgen_hooks()
        first = hooks.firstiter

        def begun(generator: AsyncGenerator[Any, Any]) -> None:
            self._generators.append(weakref.ref(generator))
            if first is not None:
                first(generator)

        # The loop's own come back when it stops.
        sys.set_asyncgen_hooks(firstiter=begun, finalizer=hooks.finalizer)

    async def left(self, *but: asyncio.Task[Any]) -> str | None:
        """What is left when all that was ready has run; it is ended then."""
        await quiet()
        tasks = asyncio.all_tasks() - self._tasks - set(but)
        named = [f"the task {each.get_name()} ({_name(each.get_coro())})" for each in tasks]
        await end(tasks)
        for reference in self._generators:
            generator: Any = reference()
            if generator is not None and generator.ag_frame is not None and not generator.ag_running:
                named.append(f"the generator {_name(generator)}, not closed")
                with suppress(Exception):
                    await generator.aclose()
        return ", ".join(sorted(named)) or None


def _name(coroutine: Any) -> str:
    return str(getattr(coroutine, "__qualname__", type(coroutine).__qualname__))


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of visiting a part in a task of its own.

    Attributes:
        case: In words, how it was visited.
        steps: Steps that ran meanwhile.
        error: What it raised.
        ended: It did, before the deadline.
        cancelled: It was cancelled before it had ended.
        left: What it left behind.
    """

    case: str
    steps: int
    error: BaseException | None
    ended: bool
    cancelled: bool
    left: str | None


@dataclass(frozen=True, slots=True)
class Bench:
    """Where sources and sinks are visited.

    Attributes:
        real_time: On real time, for what waits for the world outside; else on virtual time.
        deadline: Seconds of that time after which a visit is taken to hang.
        seeds: How many orders of steps a visit that is cancelled is tried in.
    """

    real_time: bool
    deadline: float
    seeds: int

    def run(self, main: Coroutine[Any, Any, T], seed: int = 0) -> T:
        """Run to the end, on a loop of its own.

        Raises:
            TimeoutError: It did not end before the deadline.
        """
        return on_loop(lambda: self._loop(seed), self._in_time(main))

    def visit(self, case: str, visit: Callable[[], Coroutine[Any, Any, None]]) -> Visit:
        """Visit once, unharmed."""
        return self._visit(case, visit, 0, None)

    def visits_cancelled(self, visit: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[Visit]:
        """Count the steps of a visit, and then cancel it after each of them."""
        for seed in range(self.seeds):
            steps = self._visit("unharmed", visit, seed, None).steps
            for step in range(1, steps + 1):
                yield self._visit(f"cancelled after step {step} of seed {seed}", visit, seed, step)

    def _visit(
        self, case: str, visit: Callable[[], Coroutine[Any, Any, None]], seed: int, step: int | None
    ) -> Visit:
        threads = set(threading.enumerate())
        seen = on_loop(lambda: self._loop(seed), self._visited(case, visit, step))
        started = [each for each in threading.enumerate() if each not in threads]
        for thread in started:
            thread.join(_PATIENCE_WITH_THREADS)
        named = [f"the thread {each.name}" for each in started if each.is_alive()]
        left = ", ".join([*([seen.left] if seen.left else []), *named]) or None
        return Visit(seen.case, seen.steps, seen.error, seen.ended, seen.cancelled, left)

    async def _visited(
        self, case: str, visit: Callable[[], Coroutine[Any, Any, None]], step: int | None
    ) -> Visit:
        loop: Any = asyncio.get_running_loop()
        watch = Watch()
        begun = loop.steps
        task = asyncio.create_task(visit(), name="the visit")
        asked: list[bool] = []
        if step is not None:
            loop.hooks[begun + step] = lambda: asked.append(task.cancel())
        await asyncio.wait([task], timeout=self.deadline)
        steps = loop.steps - begun
        ended = task.done()
        if not ended:
            await end({task})
        error: BaseException | None = None
        if task.cancelled():
            error = asyncio.CancelledError()
        elif task.done():
            error = task.exception()
        return Visit(case, steps, error, ended, any(asked), await watch.left(task))

    async def _in_time(self, main: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self.deadline) as scope:
                return await main
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise TimeoutError(f"it did not end within {self.deadline:g} s") from error

    def _loop(self, seed: int) -> asyncio.AbstractEventLoop:
        return SeededRealLoop(seed) if self.real_time else SeededLoop(seed, most_turns=MOST_TURNS)
