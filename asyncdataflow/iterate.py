"""A run for synchronous code: on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator, Set
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from ._runtime.run import Run
from .closing import leave
from .errors import UnsettledError
from .naming import annotate, describe_error

__all__ = ("SyncRun",)

T = TypeVar("T")


class SyncRun(Iterator[T], Generic[T]):
    """The results of a run, one by one; a context manager that stops it.

    Each result is fetched when it is asked for, so that the consumer's pace is the
    backpressure. It starts at ``with`` or at the first result. Exhausted, closed, or
    dropped, the thread and its loop end.

    Args:
        make: Makes the run, in the loop's thread.
    """

    def __init__(self, make: Callable[[], Run[T]]) -> None:
        self._make = make
        self._run: Run[T] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._behind: set[asyncio.Task[None]] = set()
        self._consumer: int | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> SyncRun[T]:
        """Start."""
        run, loop = self._start()
        try:
            _, error = asyncio.run_coroutine_threadsafe(_outcome(Run.__aenter__, run), loop).result()
        except BaseException as interrupt:
            # Ctrl-C while waiting here: `__exit__` is not called.
            self._close_behind(interrupt)
            raise
        if error is not None:
            self._close_behind(error)
            raise error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; an error of the block's own body wins."""
        if error is None:
            self.close()
        else:
            self._close_behind(error)

    def __iter__(self) -> SyncRun[T]:
        """It is its own iterator."""
        return self

    def __next__(self) -> T:
        """The next result; raises what failed."""
        if self._closed:
            raise StopIteration
        self._consumer = threading.get_ident()
        try:
            result, error = self._ask().result()
        except BaseException as interrupt:
            # Ctrl-C while waiting here.
            self._close_behind(interrupt)
            raise
        if error is None:
            return cast("T", result)
        self.close()
        if isinstance(error, StopAsyncIteration):
            raise StopIteration
        raise error

    def close(self) -> None:
        """Stop the run, wait until nothing is left, and end the thread. Idempotent."""
        if self._consumer in (None, threading.get_ident()):
            self._close(_left_with(None))
        else:
            self._close(Run.aclose)

    def _close(self, leave: Callable[[Run[Any]], Awaitable[Any]]) -> None:
        # Another thread may wait for its next result meanwhile, and close when it hears the end.
        with self._lock:
            if self._closed or self._run is None or self._loop is None:
                self._closed = True
                return
            try:
                closing = _outcome(leave, self._run)
                _, error = asyncio.run_coroutine_threadsafe(closing, self._loop).result()
            finally:
                self._end_thread()
        if error is not None:
            raise error

    def _close_behind(self, error: BaseException) -> None:
        """Close on the way out with an error, which wins."""
        try:
            self._close(_left_with(error))
        except BaseException as failure:  # noqa: BLE001 - told on the error that wins
            annotate(error, f"and the run failed: {describe_error(failure)}")

    def __del__(self, warn: Callable[..., Any] = warnings.warn) -> None:
        """Dropped while it works: stop, and say so."""
        if getattr(self, "_thread", None) is not None and not self._closed:
            try:
                warn(
                    "an iteration was dropped while it worked; it is being stopped. "
                    "Write: with flow.iterate(…) as results",
                    ResourceWarning,
                    source=self,
                    stacklevel=2,
                )
            finally:
                # Not waited for: the collector may run in any thread, even the loop's own.
                loop, run = self._loop, self._run
                if loop is not None and run is not None and not sys.is_finalizing():
                    loop.call_soon_threadsafe(_end_later, loop, run, self._behind)

    def _start(self) -> tuple[Run[T], asyncio.AbstractEventLoop]:
        if self._run is None or self._loop is None:
            loop = asyncio.new_event_loop()
            # The run sees the context variables of whoever iterates.
            context = contextvars.copy_context()
            self._thread = threading.Thread(
                target=context.run,
                args=(_serve, loop, self._behind),
                name="asyncdataflow iterate",
                daemon=True,
            )
            self._thread.start()
            self._loop, self._run = loop, self._make()
        return self._run, self._loop

    def _ask(self) -> Future[tuple[Any, BaseException | None]]:
        """Ask for the next result; another thread may close in between."""
        with self._lock:
            if self._closed:
                closed: Future[tuple[Any, BaseException | None]] = Future()
                closed.set_result((None, StopAsyncIteration()))
                return closed
            run, loop = self._start()
            return asyncio.run_coroutine_threadsafe(_outcome(anext, run), loop)

    def _end_thread(self) -> None:
        self._closed = True
        if self._loop is not None and self._run is not None and self._thread is not None:
            self._behind |= self._run.left_behind
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


def _end_later(loop: asyncio.AbstractEventLoop, run: Run[Any], behind: set[asyncio.Task[None]]) -> None:
    def stop(_: object) -> None:
        behind.update(run.left_behind)
        loop.stop()

    dropped = UnsettledError("the iteration was dropped")
    closing = loop.create_task(_outcome(_left_with(dropped), run))
    closing.add_done_callback(stop)


def _left_with(error: BaseException | None) -> Callable[[Run[Any]], Awaitable[Any]]:
    """Leave as the consumer: because of an error, what it has in hand is not done with."""
    return lambda run: run.__aexit__(None if error is None else type(error), error, None)


async def _outcome(
    ask: Callable[[Run[Any]], Awaitable[Any]], run: Run[Any]
) -> tuple[Any, BaseException | None]:
    """What came of it; raised out of a task, ``KeyboardInterrupt`` would end the loop under the run."""
    try:
        return await ask(run), None
    except BaseException as error:  # noqa: BLE001 - carried to the thread that asked, whatever it is
        return None, error


def _serve(loop: asyncio.AbstractEventLoop, behind: Set[asyncio.Task[None]]) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # Whoever waits in another thread for an answer gets it.
        answering = asyncio.all_tasks(loop) - behind
        if answering:
            loop.run_until_complete(asyncio.wait(answering))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        if asyncio.all_tasks(loop):
            leave(loop)
        else:
            loop.close()
