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
import bisect
import contextvars
import itertools
import random
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple

from .virtual_loop import VirtualLoop

__all__ = ("SeededLoop", "SeededRealLoop", "quiet", "run_seeded")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_Step = tuple[int, int, int, contextvars.Context, Callable[..., Any], tuple[Any, ...]]
"""Whose it is, by number; how many steps and how many callbacks came before it; and what to call."""


class _Drawing(asyncio.SelectorEventLoop):
    """A loop that draws which ready step runs next.

    Args:
        seed: The schedule.

    Attributes:
        draw: Where every choice comes from.
        steps: Steps that have run.
        hooks: By number of steps, what to call when so many have run.
    """

    def __init__(self, seed: int, **options: Any) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - a schedule, no secret
        self.steps = 0
        self.hooks: dict[int, Callable[[], object]] = {}
        self._pool: list[_Step] = []
        self._offered = self._callbacks = 0
        self._counting = itertools.count()
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        super().__init__(**options)

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Put a task's step into the pool, and leave any other callback in its place."""
        if not _is_step(callback):
            self._callbacks += 1
            return super().call_soon(callback, *args, context=context)
        return self.offer(callback, *args, context=context)

    def offer(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Put a step into the pool, of a task or of whatever else goes on in steps."""
        # In the order in which their tasks and threads were made, not in that in which they became
        # ready: a TaskGroup, say, cancels its tasks in the order of a set, which no seed governs.
        owner = getattr(callback, "__self__", callback)
        number = self._numbers.get(owner)
        if number is None:
            number = self._numbers[owner] = next(self._counting)
        self._offered += 1
        context = context or contextvars.copy_context()
        bisect.insort(self._pool, (number, self._offered, self._callbacks, context, callback, args))
        # One runner for each step; which step it is to run is drawn when its turn comes.
        if self.get_debug():
            # The step may be offered in a simulated thread, while this one stands still.
            return super().call_soon_threadsafe(self._step, self._callbacks, context=contextvars.Context())
        return super().call_soon(self._step, self._callbacks, context=contextvars.Context())

    def forgotten(self) -> list[asyncio.Task[Any]]:
        """Tasks that have failed, and whose exception nobody has looked at.

        asyncio logs that when they are collected, which for what is in a cycle is any time.
        """
        tasks = [each for each in self._numbers if isinstance(each, asyncio.Task) and each.done()]
        return [each for each in tasks if getattr(each, "_log_traceback", False)]

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As in asyncio; counted like any callback."""
        self._callbacks += 1
        return super().call_soon_threadsafe(callback, *args, context=context)

    def _step(self, callbacks: int) -> None:
        """Run one that is ready.

        No step overtakes a callback that was there before it, as none does in asyncio: whoever
        added one to a task before awaiting it relies on that. So only those are drawn from
        that had no more callbacks before them than this runner's own step had.
        """
        ready = [at for at, step in enumerate(self._pool) if step[2] <= callbacks]
        *_, context, callback, args = self._pool.pop(self.draw.choice(ready))
        context.run(callback, *args)
        self.steps += 1
        hook = self.hooks.pop(self.steps, None)
        if hook is not None:
            hook()


def _is_step(callback: Callable[..., object]) -> bool:
    """Whether it goes on with a task; ``task.cancel``, say, is a callback like any other."""
    owner = getattr(callback, "__self__", None)
    return isinstance(owner, asyncio.Task) and not hasattr(asyncio.Task, getattr(callback, "__name__", ""))


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

    Args:
        seed: Which order of steps.
        main: What to run.

    Raises:
        DeadlockError: Nothing could ever run again.
    """
    with asyncio.Runner(loop_factory=lambda: SeededLoop(seed)) as runner:
        return runner.run(main)
