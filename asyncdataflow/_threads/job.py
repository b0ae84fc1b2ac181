"""Job: one call or one iteration on its way through a thread, and back to the loop.

A job is made on the loop, done in whichever thread takes it and answered on the loop.
Cancelled before a thread took it, it is not done at all; cancelled later, it is left to
finish, and its answer goes to nobody else.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from .bridge import Closed
from .workshop import Credits

__all__ = ("CallJob", "Job", "LaneIterator", "Send", "Target", "carried")

Target = Callable[..., Any]
"""What a thread calls.

Where several calls are better made together it has ``run_chunk(calls)``, called with pairs of
positional and keyword arguments. It gives ``(whether it succeeded, value or exception)`` for each
call, in order and as they become known, ends after the first failure, with the calls behind it
not begun, and raises no call's own error.

Where it can be killed from outside it has ``prepare()``, called before a call whose time is
limited, ``kill()``, called on the loop while the thread is in it, and ``renew()``, called
behind a job that was killed.
"""

Send = Callable[[tuple[Any, bool, Any]], None]
"""Takes what a thread has to say: the job, one of its own flags, and a value or failure."""

_END: Final = object()
_BEGUN: Final = object()


class Job(ABC):
    """What all kinds have in common: taken once or never, killed only while it is being done.

    Attributes:
        takes_place: There are never more of these than the lane has threads.
    """

    takes_place = True

    def __init__(self) -> None:
        self._abandoned = False
        self._target: Target | None = None
        # Held for moments only. Without it a kill could reach the target when its thread is
        # at the next job already.
        self._lock = threading.Lock()

    def work(self, target: Target, send: Send) -> None:
        """Called in the thread: do it and send what came of it."""
        outcome = self._done(target, send) if self._taken(target) else (False, None)
        with self._lock:
            self._target = None
            killed = self._abandoned
        if killed:
            renew = getattr(target, "renew", None)
            if renew is not None:
                renew()
        send((self, *outcome))
        # An exception keeps this frame alive, through those that it came through.
        del outcome

    def refuse(self, error: BaseException, send: Send) -> None:
        """Called in a thread that has nothing to call, because of ``error``."""
        send((self, False, error))

    def abandon(self) -> None:
        """Called on the loop: nobody waits for it any more."""
        with self._lock:
            self._abandoned = True
            kill = getattr(self._target, "kill", None)
            if kill is not None:
                kill()

    @abstractmethod
    def deliver(self, flag: bool, value: Any) -> bool:
        """Called on the loop with what the thread sent; true where nothing more will come."""

    @abstractmethod
    def _done(self, target: Target, send: Send) -> tuple[bool, Any]:
        """Called in the thread: do it; the last thing to send."""

    def _taken(self, target: Target) -> bool:
        """Whether it is still wanted; from here on it may be killed."""
        with self._lock:
            if self._abandoned:
                return False
            self._target = target
            return True


class CallJob(Job):
    """One call.

    Args:
        args: Positional arguments of the target.
        kwargs: Its keyword arguments.
        future: Gets ``(whether it succeeded, result or exception)``; a result in any case,
            because ``StopIteration`` may not be set as an exception.
        begun: Done when the call itself begins, where somebody wants to know: what a worker
            needs to be set up, a process to be started, does not count as the item's time.
    """

    def __init__(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        future: asyncio.Future[Any],
        begun: asyncio.Future[None] | None = None,
    ) -> None:
        super().__init__()
        self.args = args
        self.kwargs = kwargs
        self._future: asyncio.Future[Any] | None = future
        self._begun = begun

    def deliver(self, flag: bool, value: Any) -> bool:
        """Called on the loop with the answer, or with the news that the call begins."""
        if self._begun is not None and not self._begun.done():
            self._begun.set_result(None)
        if value is _BEGUN:
            return False
        # An exception knows the job by the frames it came through; the job is not to know it too.
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result((flag, value))
        return True

    def _done(self, target: Target, send: Send) -> tuple[bool, Any]:
        try:
            if self._begun is not None:
                prepare = getattr(target, "prepare", None)
                if prepare is not None:
                    prepare()
                send((self, True, _BEGUN))
            return True, target(*self.args, **self.kwargs)
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - carried to the loop whatever it is
            return False, carried(error)


class LaneIterator(Job, AsyncIterator[Any]):
    """An iterator that lives in one thread: made, advanced and closed there.

    The thread may run ahead by as many items as are sure to find room behind, so that a
    chunk of quick items costs one wake-up, and no item is taken that has nowhere to lie.

    Args:
        args: Positional arguments of the target, which makes the iterator.
        kwargs: Its keyword arguments.
        room: Items that are sure to find room.
        credits: How the thread waits for leave to take more.

    Attributes:
        ready: Items made and not yet asked for.
        room: As given.
    """

    def __init__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], room: Callable[[], int], credits: Credits
    ) -> None:
        super().__init__()
        self.args = args
        self.kwargs = kwargs
        self.room = room
        self.ready: deque[Any] = deque()
        self._granted = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._credits = credits
        self._stopped = False

    async def __anext__(self) -> Any:
        """The next item."""
        while not self.ready:
            if self._ended:
                self._raise_failure()
                raise StopAsyncIteration
            if not self._granted and not self._stopped:
                self._grant(1 + self.room())
            await self._wait()
        return self.ready.popleft()

    def stop(self) -> None:
        """Take no more from the iterator: what it has made already still comes, then the end."""
        if not self._stopped:
            self._stopped = True
            self._credits.release()

    async def aclose(self) -> None:
        """Close the iterator in its thread, and wait for that; cancelled, a target that can be is killed."""
        self.stop()
        try:
            while not self._ended:
                await self._wait()
        except asyncio.CancelledError:
            self.abandon()
            raise
        finally:
            self.ready.clear()
        self._raise_failure()

    def deliver(self, flag: bool, value: Any) -> bool:
        """Called on the loop with an item, or the end with or without a failure."""
        if flag:
            self._granted -= 1
            self.ready.append(value)
        else:
            self._ended = True
            self._failure = value
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return not flag

    def _done(self, target: Target, send: Send) -> tuple[bool, Any]:
        if self._stopped:
            return False, None
        try:
            items = iter(target(*self.args, **self.kwargs))
            try:
                while self._may_go_on():
                    item = next(items, _END)
                    if item is _END:
                        break
                    send((self, True, item))
                    del item
            finally:
                close = getattr(items, "close", None)
                # An iterator that is no generator may be the user's open file: not ours to close.
                if callable(close) and hasattr(items, "gi_frame"):
                    close()
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - carried to the loop whatever it is
            return False, carried(error)
        return False, None

    def _may_go_on(self) -> bool:
        """Called in the thread: wait for leave to take one more."""
        if not self._stopped:
            self._credits.acquire()
        return not self._stopped

    def _grant(self, items: int) -> None:
        self._granted += items
        self._credits.release(items)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _raise_failure(self) -> None:
        """Raise what the iterator raised, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                # Else the exception's traceback and this frame keep each other alive.
                del failure


def carried(error: BaseException) -> BaseException:
    """An exception ready to be raised on the loop.

    It loses the frame that caught it: that one knows the job, whose answer the exception
    is, and the circle would keep the item alive. ``StopIteration`` and
    ``StopAsyncIteration`` would end the coroutines and iterators that they pass through.
    """
    # Not by assignment, which a frozen dataclass refuses.
    BaseException.with_traceback(error, error.__traceback__ and error.__traceback__.tb_next)
    if isinstance(error, StopIteration | StopAsyncIteration):
        made = RuntimeError(f"{type(error).__name__} was raised in a thread")
        made.__cause__ = error
        return made
    return error
