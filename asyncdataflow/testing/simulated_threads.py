"""Threads of which one runs at a time, in an order drawn by the loop.

They are threads of the system (a stage's function sees its own thread-local data, its own
context, and may hold what is bound to a thread), but they pass a baton: the loop stands
still while one runs, and one runs until it would wait, or says that it might be
interrupted here. So a seed is a whole schedule of them too, and what is out of reach is
only what two of them do to each other between two bytecodes. (Shuttle and loom do the
same for Rust's threads.)
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from .._threads.bridge import Closed
from ..errors import LivelockError
from .seeded_loop import SeededLoop

__all__ = (
    "SimulatedCredits",
    "SimulatedInbox",
    "SimulatedOutbox",
    "SimulatedThread",
    "StuckThreadError",
    "Waiters",
    "give_way",
)

T = TypeVar("T")

_PATIENCE: Final = 10.0
"""Real seconds that a thread may keep the baton: it computes, or waits for what is not simulated."""


class _Ended(BaseException):
    """Raised in a thread whose simulation is over, so that it unwinds."""


class StuckThreadError(LivelockError):
    """A thread keeps the baton: no seed can change that."""


class SimulatedThread(threading.Thread):
    """A thread that runs only while the loop waits for it.

    Args:
        loop: The loop that draws when it runs.
        main: What it does.
        name: Its name.

    Attributes:
        over: It has ended.
        idle: It waits for something to do.
    """

    def __init__(self, loop: SeededLoop, main: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._loop = loop
        self._main = main
        self._go = threading.Lock()
        self._back = threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._ending = False
        self._lost = False
        self.over = False
        self.idle = False

    def start(self) -> None:
        """Start it; its first step is drawn like any other."""
        super().start()
        self.resume()

    def run(self) -> None:
        """Called by ``start``, in the thread."""
        self._go.acquire()
        try:
            if not self._ending:
                self._main()
        except _Ended:
            pass
        finally:
            self.over = True
            self._back.release()

    def resume(self) -> None:
        """It has something to do: its next step may be drawn."""
        if not self._lost:
            self._loop.offer(self._step, context=contextvars.Context())

    def pause(self) -> None:
        """Called in the thread: pass the baton on, until :meth:`resume`."""
        if self._ending:
            raise _Ended
        self._back.release()
        self._go.acquire()
        if self._ending:
            raise _Ended

    def sleep(self, seconds: float) -> None:
        """Called in the thread: pass virtual time."""
        wake = functools.partial(self._loop.call_later, max(seconds, 0.0), self.resume)
        self._loop.call_soon_threadsafe(wake, context=contextvars.Context())
        self.pause()

    def kill(self) -> None:
        """Unwind it in its next steps."""
        if not self.over:
            self._ending = True
            self.resume()

    def end(self) -> None:
        """Unwind it now, as far as what runs in it lets that happen; when the simulation is over."""
        self._ending = True
        for _ in range(100):
            if self.over or not self._run_on():
                return

    def described(self) -> str:
        """Its name and where it is."""
        frame = sys._current_frames().get(self.ident or -1)
        stack = traceback.extract_stack(frame) if frame is not None else []
        own = [each for each in stack if each.filename not in (__file__, threading.__file__)]
        place = f" ({own[-1].name}, line {own[-1].lineno})" if own else ""
        return f"thread {self.name}{place}"

    def _step(self) -> None:
        if self.over:
            return
        if not self._run_on():
            self._loop.fail(
                StuckThreadError(
                    f"{self.described()} has kept a simulation waiting for {_PATIENCE:g} s: it computes for "
                    "long, or waits for what no simulation governs (a socket, another loop, or a lock that "
                    "another thread holds over a time.sleep)"
                )
            )

    def _run_on(self) -> bool:
        """Hand it the baton; false where it does not come back, and is left behind."""
        if not self._lost:
            self._go.release()
            if not self._back.acquire(timeout=_PATIENCE):
                self._lost = self._ending = True
        return not self._lost


def _current() -> SimulatedThread:
    """The simulated thread that calls."""
    thread = threading.current_thread()
    if not isinstance(thread, SimulatedThread):
        raise RuntimeError(f"{thread.name} is no thread of the simulation, and waits for one")
    return thread


def give_way() -> None:
    """Called in a thread: anything may happen here, before it goes on."""
    thread = _current()
    thread.resume()
    thread.pause()


class Waiters:
    """Threads that wait for the same thing to change."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop
        self._threads: list[SimulatedThread] = []

    def wait(self, timeout: float | None = None, *, idle: bool = False) -> None:
        """Called in a thread: wait for :meth:`wake`, or for ``timeout`` virtual seconds.

        Args:
            timeout: Virtual seconds; ``None`` is for good.
            idle: There is nothing to do until then.
        """
        thread = _current()
        thread.idle = idle
        self._threads.append(thread)
        if timeout is not None:
            expire = functools.partial(self._expire, thread)
            wake = functools.partial(self._loop.call_later, timeout, expire)
            self._loop.call_soon_threadsafe(wake, context=contextvars.Context())
        thread.pause()
        thread.idle = False

    def wake(self) -> None:
        """All of them look again."""
        threads, self._threads = self._threads, []
        for each in threads:
            each.resume()

    def _expire(self, thread: SimulatedThread) -> None:
        if thread in self._threads:
            self._threads.remove(thread)
            thread.resume()


class SimulatedInbox(Generic[T]):
    """What is to do, on its way to simulated threads."""

    def __init__(self, loop: SeededLoop) -> None:
        self._waiting = Waiters(loop)
        self._items: deque[T] = deque()
        self._closed = False

    def put(self, item: T) -> None:
        """Called on the loop."""
        if self._closed:
            raise Closed
        self._items.append(item)
        self._waiting.wake()

    def get(self) -> T:
        """Called in a thread."""
        while not self._items:
            if self._closed:
                raise Closed
            self._waiting.wait(idle=True)
        item = self._items.popleft()
        give_way()
        return item

    def close(self) -> None:
        """Called on the loop."""
        self._closed = True
        self._items.clear()
        self._waiting.wake()


class SimulatedOutbox(Generic[T]):
    """What was done, on its way from simulated threads to the loop.

    Args:
        loop: The loop of the simulation.
        said: Called with what is put in, in the thread.
    """

    def __init__(self, loop: SeededLoop, said: Callable[[T], None] | None = None) -> None:
        self._loop = loop
        self._said = said
        self._items: deque[T] = deque()
        self._changed = loop.create_future()
        self._closed = False

    def put(self, item: T) -> None:
        """Called in a thread."""
        give_way()
        if self._closed:
            raise Closed
        if self._said is not None:
            self._said(item)
        self._items.append(item)
        self._loop.call_soon_threadsafe(self._change, context=contextvars.Context())
        give_way()

    async def pump(self, deliver: Callable[[T], None]) -> None:
        """Hand every item to ``deliver`` until :meth:`close`."""
        while True:
            while self._items:
                deliver(self._items.popleft())
            if self._closed:
                return
            # A cancellation does not end it, as in the bridge that it stands for.
            with suppress(asyncio.CancelledError):
                await self._changed
            self._changed = self._loop.create_future()

    def close(self) -> None:
        """Called on the loop."""
        self._closed = True
        self._change()

    async def wait_closed(self) -> None:
        """Nothing of it is on the loop."""

    def _change(self) -> None:
        if not self._changed.done():
            self._changed.set_result(None)


class SimulatedCredits:
    """Leave to take items, for a simulated thread."""

    def __init__(self, loop: SeededLoop) -> None:
        self._waiting = Waiters(loop)
        self._left = 0

    def acquire(self) -> object:
        """Called in the thread."""
        while not self._left:
            self._waiting.wait()
        self._left -= 1
        return True

    def release(self, n: int = 1) -> object:
        """Called on the loop."""
        self._left += n
        self._waiting.wake()
        return None
