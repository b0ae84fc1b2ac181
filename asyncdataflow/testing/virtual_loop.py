"""An event loop whose time is virtual: it never waits, it jumps to the next timer.

Seconds, hours or years of sleeping pass in no time, and always in the same order. The
idea is that of trio's ``MockClock(autojump)`` and of aiostream's ``TimeTrackingTestLoop``;
here the seam is the selector, which is where a loop waits, so that nothing private of
asyncio is touched.

Where no timer is left and nothing is ready, nothing can ever run again: that raises
``DeadlockError``, which names the tasks and the lines where they wait, instead of
hanging. Real threads, processes and sockets would be such a wait too: what runs here has
to stay on the loop, or has to be simulated (``SimulatedLoop``).
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

from ..errors import DeadlockError, LivelockError
from ..frames import awaited_frames

__all__ = ("VirtualLoop",)

_PACKAGE: Final = Path(__file__).parent.parent


class _JumpingSelector(selectors.DefaultSelector):
    """Looks whether there is input, and moves the clock where a real one would wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        # An exception out of a callback would be logged and forgotten; out of here it ends the loop.
        self._loop.count_turn()
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise DeadlockError(
                "deadlock: nothing is ready, no timer is set, and these tasks wait:\n" + self._loop.waiting()
            )
        self._loop.advance(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, which starts at 0.

    Args:
        most_turns: Turns of the loop after which it is taken to run in circles; ``None`` is
            without a bound.

    Attributes:
        unseen: A task that is nobody's business, and is not named among those that wait.
        governs_time: Everything is measured by its clock.
    """

    governs_time = True

    def __init__(self, *, most_turns: int | None = None) -> None:
        self._now = 0.0
        self._turns = 0
        self._most_turns = most_turns
        self._error: BaseException | None = None
        self.unseen: asyncio.Task[Any] | None = None
        self._jumping = _JumpingSelector(self)
        super().__init__(self._jumping)
        # A timer is due when it is less than this away. asyncio's own nanosecond is below the
        # step between two floats after some weeks, and a timer would then never be due.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock; called when nothing is ready and a timer is set."""
        self._now += seconds

    def fail(self, error: BaseException) -> None:
        """End the loop with an error, at its next turn."""
        self._error = self._error or error

    def count_turn(self) -> None:
        """One more turn.

        Raises:
            LivelockError: There have been more than ``most_turns``; as many again are left to
                whoever cleans up.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        self._turns += 1
        if self._most_turns is not None and self._turns > self._most_turns:
            self._turns = 0
            raise LivelockError(
                f"livelock: {self._most_turns} turns of the loop, {self._now:g} virtual seconds, and no end "
                "(if it only takes long: most_turns=); these tasks live:\n" + self.waiting()
            )

    def watched_files(self) -> int:
        """Sockets and pipes that are waited for, beside the loop's own."""
        return max(len(self._jumping.get_map()) - 1, 0)

    def waiting(self) -> str:
        """Each task and the line where it waits; the pumps of threads wait all the time."""
        return "\n".join(sorted(f"  {self.described(each)}" for each in self._told_of()))

    def _told_of(self) -> Iterator[asyncio.Task[Any]]:
        tasks = asyncio.all_tasks(self) - {self.unseen}
        return (each for each in tasks if not each.get_name().endswith(" pump"))

    def described(self, task: asyncio.Task[Any]) -> str:
        """A task's name and the lines where it waits; of this library's own the last only."""
        frames = [frame for frame in awaited_frames(task.get_coro()) if frame is not None]
        told = [frame for frame in frames if not _is_ours(frame)] or frames[-1:]
        return f"{task.get_name()}: {' > '.join(map(_line, told)) or 'not begun'}"


def _is_ours(frame: FrameType) -> bool:
    return _PACKAGE in Path(frame.f_code.co_filename).parents


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_qualname} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
