"""A worker process that is a simulated thread with a pipe.

What goes over the pipe is pickled, so that it is cut off from the parent's objects as
over a real one, and it lives by the code of ``child``. It shares the modules of its
parent, whose globals a real process would have for itself; and killed, it unwinds, where
a real one is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .._processes import child
from .._processes.spawned import ProcessGone
from .seeded_loop import SeededLoop
from .simulated_threads import SimulatedThread, Waiters, give_way

__all__ = ("SimulatedProcess",)

_SHARE_ACTED_BETWEEN: Final = 0.3


class SimulatedProcess:
    """One process; see ``spawned.Spawned`` for what each method is.

    Args:
        loop: The loop of the simulation.
        thread: Makes the thread that stands for it, out of what it does and its name.
        name: The stage's name.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
        prepared: Makes of the function what is called in its place.
        dies: Asked wherever it could die: whether it does.
    """

    def __init__(
        self,
        loop: SeededLoop,
        thread: Callable[[Callable[[], None], str], SimulatedThread],
        name: str,
        payload: bytes,
        prepared: Callable[[Any], Any],
        dies: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._changed = Waiters(loop)
        self._requests: deque[bytes] = deque()
        self._answers: deque[bytes] = deque()
        self._prepared = prepared
        self._dies = dies
        self._gone = False
        self._killed = False
        self._begun = 0
        self._act_between: Callable[[], None] | None = None
        self._thread = thread(lambda: self._live(payload), f"{name} worker")
        self._thread.start()

    def send(self, message: bytes) -> None:
        """Send a request; one that nobody reads any more is lost."""
        give_way()
        self._requests.append(message)
        self._changed.wake()

    def begun(self) -> int:
        """How many calls it has begun in its life."""
        return self._begun

    def receive(self) -> bytes:
        """Wait for the next answer."""
        while not self._answers:
            if self._gone:
                raise ProcessGone
            self._changed.wait()
        answer = self._answers.popleft()
        give_way()
        return answer

    def last_answer(self, request: bytes, patience: float) -> bytes | None:
        """Ask it to end, and wait for its answer and then for its end."""
        self.send(request)
        if not self._answers and not self._gone:
            self._changed.wait(patience)
        if not self._answers and not self._gone:
            return None
        answer = self.receive()
        if not self._gone:
            self._changed.wait(patience)
        return answer

    def has_died(self) -> bool:
        """Whether it has ended, or says something unasked."""
        return self._gone or bool(self._answers)

    def kill(self) -> None:
        """End it now."""
        self._killed = self._gone = True
        self._changed.wake()
        self._thread.kill()

    def bury(self) -> int | None:
        """End what is left of it."""
        code = -9 if not self._gone or self._killed else 0
        self.kill()
        # Killed before its first step, it never comes to say that it has ended.
        while not self._thread.over:
            give_way()
        return code

    def send_bytes(self, message: bytes, /) -> None:
        """Called in the process: send an answer."""
        self._may_die()
        self._answers.append(message)
        self._changed.wake()
        self._may_die()

    def recv_bytes(self) -> bytes:
        """Called in the process: wait for a request."""
        while not self._requests:
            if self._gone:
                raise EOFError
            self._changed.wait(idle=True)
        self._may_die()
        return self._requests.popleft()

    def begin(self) -> None:
        """Called in the process: one more call begins."""
        if self._act_between is not None and self._loop.draw.random() < _SHARE_ACTED_BETWEEN:
            self._act_between()
        self._may_die()
        self._begun += 1
        self._may_die()

    def repeat(self, act: Callable[[], None]) -> Callable[[bool], None]:
        """Called in the process: before some of its calls, as drawn, instead of while they run."""

        def switch(on: bool) -> None:
            self._act_between = act if on else None

        return switch

    def _may_die(self) -> None:
        give_way()
        if self._dies():
            self._killed = self._gone = True
            self._changed.wake()
        if self._gone:
            raise OSError("killed")

    def _live(self, payload: bytes) -> None:
        try:
            child.live(self, payload, self._prepared)
        finally:
            self._gone = True
            self._changed.wake()
