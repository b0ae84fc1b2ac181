"""Lane: a stage's own threads, and calling and iterating in them from the loop.

Never the loop's default executor: its few threads are shared, so that long-lived
workers starve each other, and the interpreter's exit waits for them. These are daemon
threads, started when first needed, each with a copy of the run's context. A thread that
will not end is named with its stack and left behind; it finds its queues shut down when
it does come back, and ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from ..errors import EndOfChannel, StageTimeoutError
from ..policy import Buffer
from .bridge import Closed, Inbox, Outbox
from .channel import Channel

__all__ = ("Lane", "LaneIterator", "Target")

Target = Callable[..., Any]
"""What a thread calls; where it can be killed from outside, it has a ``kill`` method."""


class _Job:
    """One call on its way through a thread: written by the loop before, by the thread after."""

    __slots__ = ("abandoned", "args", "future", "kwargs", "target")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], future: asyncio.Future[Any]) -> None:
        self.args = args
        self.kwargs = kwargs
        self.future = future
        self.abandoned = False
        self.target: Target | None = None

    def work(self, target: Target, send: Callable[[Any], None]) -> None:
        """Called in the thread."""
        if self.abandoned:
            send((self, False, None))
            return
        self.target = target
        if hasattr(target, "abandoned"):
            target.abandoned = lambda: self.abandoned
        try:
            outcome = (self, True, target(*self.args, **self.kwargs))
        except BaseException as error:  # noqa: BLE001 - carried to the loop whatever it is
            outcome = (self, False, error)
        send(outcome)

    def deliver(self, succeeded: bool, value: Any) -> None:
        """Called on the loop. A result, not an exception, is set: ``StopIteration`` may not be set."""
        if not self.future.done():
            self.future.set_result((succeeded, value))


class _Iteration:
    """One iterator that lives in one thread: made, advanced and closed there."""

    __slots__ = ("args", "credits", "iterator", "kwargs", "stopped")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], iterator: LaneIterator) -> None:
        self.args = args
        self.kwargs = kwargs
        self.iterator = iterator
        self.credits = threading.Semaphore(0)
        self.stopped = False

    def work(self, target: Target, send: Callable[[Any], None]) -> None:
        """Called in the thread: one item for each credit, until the end or until stopped."""
        failure: BaseException | None = None
        try:
            made = target(*self.args, **self.kwargs)
            items = iter(made)
            try:
                while True:
                    self.credits.acquire()
                    if self.stopped:
                        break
                    try:
                        item = next(items)
                    except StopIteration:
                        break
                    send((self, True, item))
            finally:
                close = getattr(items, "close", None)
                # An iterator that is no generator may be the user's open file: not ours to close.
                if callable(close) and hasattr(items, "gi_frame"):
                    close()
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - carried to the loop whatever it is
            failure = error
        send((self, False, failure))

    def deliver(self, has_item: bool, value: Any) -> None:
        """Called on the loop."""
        self.iterator.deliver(has_item, value)


class Lane:
    """Up to ``size`` threads of one stage.

    Args:
        name: The stage's name; threads are called after it.
        size: Most threads.
        setup: Called once in each thread; what its context manager gives is what the
            thread calls, and it is left in the same thread when the lane ends.
    """

    def __init__(self, name: str, size: int, setup: Callable[[], AbstractContextManager[Target]]) -> None:
        self.name = name
        self.on_broken: Callable[[BaseException], None] | None = None
        self._setup = setup
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._inbox: Inbox[_Job | _Iteration] = Inbox()
        self._outbox: Outbox[tuple[Any, bool, Any]] = Outbox()
        self._threads: dict[threading.Thread, asyncio.Future[None]] = {}
        self._busy = 0
        self._places: Channel[None] = Channel(Buffer(size), name=name)
        self._place_in = self._places.sender()
        self._place_out = self._places.receiver()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False
        for _ in range(size):
            self._place_in.send_nowait(None)

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None) -> Any:
        """Call the target in a free thread and wait for what it returns.

        Cancelled or out of time, the thread is left to finish and holds its place until
        then; a target that can be killed is.
        """
        await self._begin()
        job = _Job(args, kwargs, self._loop.create_future())
        self._inbox.put(job)
        try:
            if timeout is None:
                succeeded, value = await job.future
            else:
                succeeded, value = await self._in_time(job, timeout)
        finally:
            if not job.future.done() or job.future.cancelled():
                job.abandoned = True
                kill = getattr(job.target, "kill", None)
                if kill is not None:
                    kill()
        if succeeded:
            return value
        try:
            raise value
        finally:
            # Else the exception's traceback and this frame keep each other alive.
            del value, job

    async def _in_time(self, job: _Job, timeout: float) -> Any:
        try:
            async with asyncio.timeout(timeout) as scope:
                return await job.future
        except TimeoutError:
            if scope.expired():
                raise StageTimeoutError(f"no result within timeout={timeout} s") from None
            raise

    async def iterate(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], room: Callable[[], int]
    ) -> LaneIterator:
        """Iterate over what the target returns, in one thread of its own until it ends."""
        await self._begin()
        iterator = LaneIterator(args, kwargs, room)
        self._inbox.put(iterator.job)
        return iterator

    def shut(self) -> list[asyncio.Future[None]]:
        """Let the threads end after their current call; a future for each that has not."""
        self._closed = True
        self._inbox.close()
        return [each for each in self._threads.values() if not each.done()]

    async def close(self) -> list[str]:
        """Bury the threads after :meth:`shut`; those that have not ended are described and left behind."""
        left = [thread for thread, ended in self._threads.items() if not ended.done()]
        for thread in self._threads:
            if thread not in left:
                thread.join()
        self._outbox.close()
        if self._pump is not None:
            await asyncio.wait([self._pump])
        await self._outbox.wait_closed()
        return [_described(thread) for thread in left]

    async def _begin(self) -> None:
        """Wait for a thread to be free, and start one if there may be more."""
        await self._place_out.receive()
        if self._closed:
            raise EndOfChannel(self.name)
        if self._pump is None:
            self._pump = self._loop.create_task(self._outbox.pump(self._deliver), name=f"{self.name} pump")
        self._busy += 1
        if self._busy > len(self._threads):
            self._start_thread()

    def _start_thread(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(
            target=self._context.copy().run,
            args=(self._thread_main,),
            name=f"{self.name}-{number}",
            daemon=True,
        )
        self._threads[thread] = self._loop.create_future()
        thread.start()

    def _thread_main(self) -> None:
        """The life of one thread."""
        try:
            with self._setup() as target:
                while True:
                    self._inbox.get().work(target, self._outbox.put)
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - carried to the loop whatever it is
            with suppress(Closed):
                self._outbox.put((None, False, error))
        finally:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._thread_ended, threading.current_thread())

    def _thread_ended(self, thread: threading.Thread) -> None:
        ended = self._threads[thread]
        if not ended.done():
            ended.set_result(None)

    def _deliver(self, message: tuple[Any, bool, Any]) -> None:
        job, first, value = message
        if job is None:
            if self.on_broken is not None:
                self.on_broken(value)
            return
        if isinstance(job, _Job) or not first:
            self._busy -= 1
            self._place_in.send_nowait(None)
        job.deliver(first, value)


class LaneIterator(AsyncIterator[Any]):
    """The loop's side of an iterator in a thread.

    The thread may run ahead by as many items as are sure to find room behind, so that a
    chunk of quick items costs one wake-up, and no item is taken that has nowhere to lie.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], room: Callable[[], int]) -> None:
        self.job = _Iteration(args, kwargs, self)
        self._room = room
        self._ready: deque[Any] = deque()
        self._granted = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def deliver(self, has_item: bool, value: Any) -> None:
        """An item, or the end with or without a failure."""
        if has_item:
            self._granted -= 1
            self._ready.append(value)
        else:
            self._ended = True
            self._failure = value
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def __anext__(self) -> Any:
        """The next item."""
        while not self._ready:
            if self._ended:
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise failure
                raise StopAsyncIteration
            if not self._granted:
                self._grant(1 + self._room())
            await self._wait()
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Close the iterator in its thread, and wait for that."""
        if not self._ended:
            self.job.stopped = True
            self.job.credits.release()
        while not self._ended:
            await self._wait()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _grant(self, items: int) -> None:
        self._granted += items
        self.job.credits.release(items)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


def _described(thread: threading.Thread) -> str:
    """A thread's name and where it is."""
    frame = sys._current_frames().get(thread.ident or -1)  # noqa: SLF001 - the only way to a thread's stack
    stack = "".join(traceback.format_stack(frame)[-4:]) if frame is not None else "  (no stack)\n"
    return f"thread {thread.name} is still in\n{stack.rstrip()}"
