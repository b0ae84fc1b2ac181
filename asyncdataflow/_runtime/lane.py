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
import functools
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any

from .._threads.bridge import Closed, Inbox, Outbox
from .._threads.job import CallJob, Job, LaneIterator, Target
from .._threads.workshop import Workshop
from ..errors import EndOfChannel, StageTimeoutError
from ..policy import Buffer
from .channel import Channel
from .leaving import settled

__all__ = ("Lane", "LaneIterator", "Target", "closed")


class Lane:
    """Up to ``size`` threads of one stage.

    Args:
        name: The stage's name; threads are called after it.
        size: Most threads.
        setup: Called once in each thread; what its context manager gives is what the
            thread calls, and it is left in the same thread when the lane ends. Where the
            context manager can be killed while it is being entered, it has ``kill()``.
        workshop: Where the threads come from.

    Attributes:
        on_broken: Called on the loop when a thread cannot be set up or cleaned up.
    """

    def __init__(
        self,
        name: str,
        size: int,
        setup: Callable[[], AbstractContextManager[Target]],
        workshop: Workshop,
    ) -> None:
        self.name = name
        self.on_broken: Callable[[BaseException], None] | None = None
        self._setup = setup
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._workshop = workshop
        self._inbox: Inbox[Job] = workshop.inbox()
        self._outbox: Outbox[tuple[Job | None, bool, Any]] = workshop.outbox()
        self._threads: dict[threading.Thread, asyncio.Future[None]] = {}
        self._entering: set[AbstractContextManager[Target]] = set()
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

        The time is that of the call itself, once its thread is ready for it. Cancelled or
        out of time, the thread is left to finish and holds its place until
        then; a target that can be killed is.
        """
        await self._begin()
        future: asyncio.Future[Any] = self._loop.create_future()
        begun: asyncio.Future[None] | None = None if timeout is None else self._loop.create_future()
        job = CallJob(args, kwargs, future, begun)
        self._inbox.put(job)
        try:
            if timeout is None or begun is None:
                succeeded, value = await future
            else:
                await begun
                succeeded, value = await _in_time(future, timeout)
        finally:
            if not future.done() or future.cancelled():
                job.abandon()
        if succeeded:
            return value
        try:
            raise value
        finally:
            # Else the exception's traceback and this frame keep each other alive.
            del value, future

    async def iterate(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], room: Callable[[], int]
    ) -> LaneIterator:
        """Iterate over what the target returns, in one thread of its own until it ends."""
        await self._begin()
        iterator = LaneIterator(args, kwargs, room, self._workshop.credits())
        self._inbox.put(iterator)
        return iterator

    @property
    def idle(self) -> int:
        """Threads that have nothing to do, those included that were not started yet."""
        return max(self._size - self._busy, 0)

    def post(self, job: Job) -> None:
        """Give the threads a job that needs no place; the caller sees to it that there are not too many.

        Raises:
            EndOfChannel: The lane has ended.
        """
        if self._closed:
            raise EndOfChannel(self.name)
        self._employ()
        self._inbox.put(job)

    def shut(self) -> list[asyncio.Future[None]]:
        """Let the threads end after their current call; a future for each that has not."""
        self._closed = True
        self._inbox.close()
        self._place_in.close()
        for manager in list(self._entering):
            self._cut_short(manager)
        return [each for each in self._threads.values() if not each.done()]

    def forsake(self) -> None:
        """Let the threads end where there is no loop any more to bury them on."""
        self._inbox.close()

    async def close(self) -> list[str]:
        """Bury the threads after :meth:`shut`; those that have not ended are described and left behind.

        A cancellation changes nothing: it takes moments, and half done it would leave tasks.
        """
        left = [thread for thread, ended in self._threads.items() if not ended.done()]
        for thread in self._threads:
            if thread not in left:
                thread.join()
        self._outbox.close()
        while self._pump is not None and not self._pump.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([self._pump])
        await self._outbox.wait_closed()
        return [_described(thread) for thread in left]

    async def _begin(self) -> None:
        """Wait for a thread to be free, and start one if there may be more."""
        await self._place_out.receive()
        if self._closed:
            raise EndOfChannel(self.name)
        try:
            self._employ()
        except RuntimeError:
            self._place_in.send_nowait(None)
            raise

    def _employ(self) -> None:
        """One job more: start a thread for it, if there may be one more."""
        if self._pump is None:
            self._start_pump()
        if len(self._threads) <= self._busy and len(self._threads) < self._size:
            # Raises where the system has no more threads to give.
            self._start_thread()
        self._busy += 1

    def _start_pump(self) -> None:
        self._pump = self._loop.create_task(self._outbox.pump(self._deliver), name=f"{self.name} pump")
        self._pump.add_done_callback(self._pump_ended)

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        # A task that is cancelled before its first step never runs, however it takes cancellation.
        if pump.cancelled():
            self._start_pump()

    def _start_thread(self) -> None:
        main = functools.partial(self._context.copy().run, self._thread_main)
        thread = self._workshop.thread(main, f"{self.name}-{len(self._threads)}")
        ended = self._loop.create_future()
        thread.start()
        # Its end cannot be looked up before this line: that too is told on the loop.
        self._threads[thread] = ended

    def _thread_main(self) -> None:
        """The life of one thread, to the end of all jobs even where it cannot do any."""
        try:
            self._do_jobs()
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - carried to the loop whatever it is
            with suppress(Closed):
                self._outbox.put((None, False, error))
                while True:
                    self._inbox.get().refuse(error, self._outbox.put)
        finally:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._thread_ended, threading.current_thread())

    def _do_jobs(self) -> None:
        manager = self._setup()
        self._entering.add(manager)
        if self._closed:
            self._cut_short(manager)
        with ExitStack() as stack:
            try:
                target = stack.enter_context(manager)
            except BaseException:
                if manager in self._entering:
                    raise
                raise Closed from None
            self._entering.discard(manager)
            # Kept inside: what is left on exit is not to take the end of the jobs for an error.
            with suppress(Closed):
                while True:
                    self._inbox.get().work(target, self._outbox.put)

    def _cut_short(self, manager: AbstractContextManager[Target]) -> None:
        """Kill what is still being set up, where that is possible: there will be no job for it."""
        kill = getattr(manager, "kill", None)
        if kill is not None:
            self._entering.discard(manager)
            kill()

    def _thread_ended(self, thread: threading.Thread) -> None:
        ended = self._threads[thread]
        if not ended.done():
            ended.set_result(None)

    def _deliver(self, message: tuple[Job | None, bool, Any]) -> None:
        job, flag, value = message
        if job is not None:
            if job.deliver(flag, value):
                self._free(job)
        elif self.on_broken is not None:
            self.on_broken(value)

    def _free(self, job: Job) -> None:
        self._busy -= 1
        if job.takes_place:
            self._place_in.send_nowait(None)


async def closed(lanes: Sequence[Lane], deadline: float) -> list[str]:
    """End the threads of several lanes side by side, and wait up to then; describe those that do not end."""
    loop = asyncio.get_running_loop()
    threads = [ended for lane in lanes for ended in lane.shut()]
    while any(not each.done() for each in threads) and loop.time() < deadline:
        await settled(threads, deadline - loop.time())
    left: list[str] = []
    for lane in lanes:
        with suppress(asyncio.CancelledError):
            left += await lane.close()
    return left


async def _in_time(future: asyncio.Future[Any], timeout: float) -> Any:
    try:
        async with asyncio.timeout(timeout) as scope:
            return await future
    except TimeoutError:
        if scope.expired():
            raise StageTimeoutError(f"no result within timeout={timeout} s") from None
        raise


def _described(thread: threading.Thread) -> str:
    """A thread's name and where it is."""
    frame = sys._current_frames().get(thread.ident or -1)
    stack = "".join(traceback.format_stack(frame)[-4:]) if frame is not None else "  (no stack)\n"
    return f"thread {thread.name} is still in\n{stack.rstrip()}"
