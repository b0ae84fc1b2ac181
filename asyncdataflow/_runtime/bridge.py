"""Between the loop and threads: janus queues that carry chunks.

Known of janus 2.0.0 and kept to here: it loses a wake-up when an async waiter is
cancelled in the tick in which it was notified (CPython before 3.13), so there is one
async waiter on a queue, which looks again if it is cancelled all the same and is ended
by ``shutdown()``; its ``aclose()`` drops what lies there, so the end is
``shutdown(immediate=False)``, drain, ``wait_closed()``; and each wake-up of the loop
costs a task of its own, so what threads send while the loop has not yet looked goes into
the chunk that already lies there.
"""

from __future__ import annotations

import asyncio
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
    """An outbox that is a janus queue of chunks: one wake-up for all that came since the last look."""

    def __init__(self) -> None:
        self._queue: janus.Queue[list[T]] = janus.Queue()
        self._lock = threading.Lock()
        self._open: list[T] | None = None

    def put(self, item: T) -> None:
        """Called in a thread; never waits. Raises ``Closed`` when the loop has gone."""
        with self._lock:
            if self._open is not None:
                self._open.append(item)
                return
            chunk = [item]
            try:
                self._queue.sync_q.put(chunk)
            except (janus.SyncQueueShutDown, RuntimeError):
                # RuntimeError: the loop was closed between janus's look at it and its call.
                raise Closed from None
            self._open = chunk

    async def pump(self, deliver: Callable[[T], None]) -> None:
        """Hand every item to ``deliver`` until :meth:`close`; the queue's one async waiter.

        A cancellation does not end it: ``asyncio.run`` on its way out cancels every task,
        and whoever then buries the threads still needs their answers. It looks again before
        it waits, so a wake-up that janus lost with the cancellation is made up for.
        """
        while True:
            try:
                self._hand_out(await self._queue.async_q.get(), deliver)
            except janus.AsyncQueueShutDown:
                return
            except asyncio.CancelledError:
                continue

    def close(self) -> None:
        """Called on the loop: :meth:`pump` hands out what lies there and returns."""
        self._queue.shutdown(immediate=False)

    async def wait_closed(self) -> None:
        """Wait for janus's own notifier tasks, which would else be destroyed while pending."""
        while True:
            with suppress(asyncio.CancelledError):
                await self._queue.wait_closed()
                return

    def _hand_out(self, chunk: list[T], deliver: Callable[[T], None]) -> None:
        """A function of its own, so that what was handed out is not kept alive while the pump waits."""
        with self._lock:
            if self._open is chunk:
                self._open = None
        for item in chunk:
            deliver(item)
