"""Loops that run ready task steps in an order drawn from a seed.

asyncio runs what is ready first in, first out, so that a test sees one interleaving of
very many. Here every step of a task goes into a pool, and one drawn from all that are
ready runs next; callbacks that are no task's step keep their order. A seed is a whole
schedule: the seed of a failure is its regression test.

``hooks`` is called between any two steps, where a test may cancel or close what it
likes. Only ``call_soon`` is overridden, through which every step of a task goes.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.virtual_clock import VirtualLoop

__all__ = ("SeededLoop", "SeededRealLoop", "quiet", "run_seeded")

T = TypeVar("T")


class _Drawing(asyncio.SelectorEventLoop):
    """A loop that draws which ready task step runs next.

    Attributes:
        steps: Steps that have run.
        hooks: By number of steps, what to call when so many have run.
    """

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._pool: list[tuple[contextvars.Context, Callable[..., Any], tuple[Any, ...]]] = []
        self.steps = 0
        self.hooks: dict[int, Callable[[], object]] = {}
        super().__init__()

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Put a task's step into the pool, and leave any other callback in its place."""
        if not isinstance(getattr(callback, "__self__", None), asyncio.Task):
            return super().call_soon(callback, *args, context=context)
        self._pool.append((context or contextvars.copy_context(), callback, args))
        # One runner for each step; which step it is to run is drawn when its turn comes.
        return super().call_soon(self._step, context=contextvars.Context())

    def _step(self) -> None:
        drawn = self._draw.randrange(len(self._pool))
        self._pool[drawn], self._pool[-1] = self._pool[-1], self._pool[drawn]
        context, callback, args = self._pool.pop()
        context.run(callback, *args)
        self.steps += 1
        hook = self.hooks.pop(self.steps, None)
        if hook is not None:
            hook()


class SeededLoop(_Drawing, VirtualLoop):
    """Drawn steps on virtual time."""


class SeededRealLoop(_Drawing):
    """Drawn steps on real time, for flows with threads or processes; the same seed is not the same run."""


async def quiet() -> None:
    """Return when nothing can move before virtual time does: what waits then, waits for good.

    Virtual time stands still as long as a step is ready.
    """
    await asyncio.sleep(1e-3)


def run_seeded(seed: int, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a seeded loop of its own, from a plain test function.

    Raises:
        Deadlock: Nothing could ever run again.
    """
    with asyncio.Runner(loop_factory=lambda: SeededLoop(seed)) as runner:
        return runner.run(main)
