"""Between the loop and threads: janus queues that carry chunks.

Known of janus 2.0.0 and kept to here: it loses a wake-up when an async waiter is
cancelled in the tick in which it was notified (CPython before 3.13), and each such wake-up
costs a task of its own, so nobody on the loop ever waits at a queue: a thread has the loop
look, once for all that threads send before it does. Its ``aclose()`` drops what lies there,
so the end is ``shutdown(immediate=False)``, drain, ``wait_closed()``.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import janus

__all__ = ("Closed", "Inbox", "JanusInbox", "JanusOutbox", "Outbox")

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - an ending, not an error
    """In a thread: its inbox or outbox was shut down.

    A class of our own: what janus raises is ``queue.ShutDown`` from CPython 3.13 on, which
    user code in the thread may raise as well.
    """


class Inbox(Protocol[T]):
    """From the loop to threads; whoever is free takes the next."""

    def put(self, item: T) -> None:
        """Called on the loop; the caller sees to it that there are not too many."""

    def get(self) -> T:
        """Called in a thread; waits. Raises ``Closed`` after :meth:`close`."""

    def close(self) -> None:
        """Called on the loop: what nobody has taken is let go, and all waiting threads end."""


class Outbox(Protocol[T]):
    """From threads to the loop."""

    def put(self, item: T) -> None:
        """Called in a thread; never waits. Raises ``Closed`` when the loop has gone."""

    async def pump(self, deliver: Callable[[T], None]) -> None:
        """Hand every item to ``deliver`` until :meth:`close`, whoever cancels that."""

    def close(self) -> None:
        """Called on the loop: :meth:`pump` hands out what lies there and returns."""

    async def wait_closed(self) -> None:
        """Wait until nothing of it is left on the loop."""


class JanusInbox(Generic[T]):
    """An inbox that is a janus queue."""

    def __init__(self) -> None:
        self._queue: janus.Queue[T] = janus.Queue()

    def put(self, item: T) -> None:
        """Called on the loop; the caller sees to it that there are not too many."""
        try:
            self._queue.async_q.put_nowait(item)
        except janus.AsyncQueueShutDown:
            raise Closed from None

    def get(self) -> T:
        """Called in a thread; waits. Raises ``Closed`` after :meth:`close`."""
        try:
            return self._queue.sync_q.get()
        except janus.SyncQueueShutDown:
            raise Closed from None

    def close(self) -> None:
        """Called on the loop: what nobody has taken is let go, and all waiting threads end."""
        self._queue.shutdown(immediate=True)


class JanusOutbox(Generic[T]):
    """An outbox that is a janus queue of chunks: one wake-up for all that came since the last look.

    Nobody waits at the queue on the loop, so that janus has nobody to notify: a thread that
    begins a chunk has the loop look.
    """

    def __init__(self) -> None:
        self._queue: janus.Queue[list[T]] = janus.Queue()
        self._loop = asyncio.get_running_loop()
        # The loop looks in a context of its own, not in that of the thread.
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._open: list[T] | None = None
        self._deliver: Callable[[T], None] | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()

    def put(self, item: T) -> None:
        """Called in a thread; never waits. Raises ``Closed`` when the loop has gone."""
        with self._lock:
            if self._open is not None:
                self._open.append(item)
                return
            chunk = [item]
            try:
                self._queue.sync_q.put(chunk)
                self._loop.call_soon_threadsafe(self._look, context=self._context)
            except (janus.SyncQueueShutDown, RuntimeError):
                # RuntimeError: the loop was closed.
                raise Closed from None
            self._open = chunk

    async def pump(self, deliver: Callable[[T], None]) -> None:
        """Hand every item to ``deliver`` until :meth:`close`.

        A cancellation does not end it: ``asyncio.run`` on its way out cancels every task,
        and whoever then buries the threads still needs their answers.
        """
        self._deliver = deliver
        self._look()
        while not self._closed.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._closed)
        self._look()
        self._deliver = None  # Whose it is has this outbox: a cycle.

    def close(self) -> None:
        """Called on the loop: :meth:`pump` hands out what lies there and returns."""
        self._queue.shutdown(immediate=False)
        if not self._closed.done():
            self._closed.set_result(None)

    async def wait_closed(self) -> None:
        """Wait until janus has nothing left on the loop."""
        while True:
            with suppress(asyncio.CancelledError):
                await self._queue.wait_closed()
                return

    def _look(self) -> None:
        """Hand out what lies there; what comes from now on has the loop look again."""
        if self._deliver is None:
            return
        with self._lock:
            self._open = None
            # Counted in here: a chunk begun right behind it is still open, and has a look of its own.
            chunks = self._queue.async_q.qsize()
        for _ in range(chunks):
            for item in self._queue.async_q.get_nowait():
                self._deliver(item)
