"""Between the loop and threads: janus queues that carry chunks.

Known of janus 2.0.0 and kept to here: it loses a wake-up when an async waiter is
cancelled in the tick in which it was notified (CPython before 3.13), so there is one
async waiter on a queue, which is never cancelled and is ended by ``shutdown()``; its
``aclose()`` drops what lies there, so the end is ``shutdown(immediate=False)``, drain,
``wait_closed()``; and each wake-up of the loop costs a task of its own, so what threads
send while the loop has not yet looked goes into the chunk that already lies there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

import janus

__all__ = ("Closed", "Inbox", "Outbox")

T = TypeVar("T")

Closed = janus.SyncQueueShutDown
"""Raised in a thread when its inbox or outbox was shut down."""


class Inbox(Generic[T]):
    """From the loop to threads; whoever is free takes the next."""

    def __init__(self) -> None:
        self._queue: janus.Queue[T] = janus.Queue()

    def put(self, item: T) -> None:
        """Called on the loop; the caller sees to it that there are not too many."""
        self._queue.async_q.put_nowait(item)

    def get(self) -> T:
        """Called in a thread; waits. Raises ``Closed`` after :meth:`close`."""
        return self._queue.sync_q.get()

    def close(self) -> None:
        """Called on the loop: what nobody has taken is let go, and all waiting threads end."""
        self._queue.shutdown(immediate=True)


class Outbox(Generic[T]):
    """From threads to the loop, in chunks: one wake-up for all that came since the last look."""

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
            except RuntimeError:
                # The loop was closed between janus's look at it and its call.
                raise Closed from None
            self._open = chunk

    async def pump(self, deliver: Callable[[T], None]) -> None:
        """Hand every item to ``deliver`` until :meth:`close`; the queue's one async waiter."""
        with suppress(janus.AsyncQueueShutDown):
            while True:
                chunk = await self._queue.async_q.get()
                with self._lock:
                    if self._open is chunk:
                        self._open = None
                for item in chunk:
                    deliver(item)

    def close(self) -> None:
        """Called on the loop: :meth:`pump` hands out what lies there and returns."""
        self._queue.shutdown(immediate=False)

    async def wait_closed(self) -> None:
        """Wait for janus's own notifier tasks, which would else be destroyed while pending."""
        await self._queue.wait_closed()
