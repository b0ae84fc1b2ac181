"""An event loop whose time is virtual: it never waits, it jumps to the next timer.

``run_virtual(coroutine)`` runs seconds, hours or years of sleeping in no time, and
always in the same order. The idea is that of trio's ``MockClock(autojump)`` and of
aiostream's ``TimeTrackingTestLoop``; here the seam is the selector, which is where a
loop waits, so that nothing private of asyncio is touched.

Where no timer is left and nothing is ready, nothing can ever run again: that raises
:class:`Deadlock`, which names the tasks and the lines where they wait, instead of
hanging. Threads and processes would be such a wait too, so what runs here may only
have stages that stay on the loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

__all__ = ("Deadlock", "VirtualLoop", "run_virtual")

T = TypeVar("T")


class Deadlock(RuntimeError):  # noqa: N818 - what has come to pass, like the endings of a channel
    """Nothing is ready, no timer is set: every task waits for another one."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]  # chosen by platform
    """Looks whether there is input, and moves the clock where a real one would wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise Deadlock(self._loop.describe_waiting())
        self._loop.advance(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, which starts at 0."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))
        # A timer is due when it is less than this away. asyncio's own nanosecond is below the
        # step between two floats after some weeks, and a timer would then never be due.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self._now += seconds

    def describe_waiting(self) -> str:
        """Each task and the line where it waits."""
        lines = ["deadlock: nothing is ready, no timer is set, and these tasks wait:"]
        for task in sorted(asyncio.all_tasks(self), key=lambda each: each.get_name()):
            lines.append(f"  {task.get_name()}: {' > '.join(_awaits(task.get_coro())) or 'not begun'}")
        return "\n".join(lines)


def _awaits(awaitable: Any) -> Iterator[str]:
    """The lines where a coroutine waits, from its own down to the innermost."""
    while awaitable is not None:
        kind = next((each for each in ("cr", "ag", "gi") if hasattr(awaitable, f"{each}_frame")), None)
        frame = kind and getattr(awaitable, f"{kind}_frame")
        if not frame:
            return
        yield f"{frame.f_code.co_qualname} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
        awaitable = getattr(awaitable, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a virtual loop of its own, from a plain test function.

    Raises:
        Deadlock: Nothing could ever run again.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
