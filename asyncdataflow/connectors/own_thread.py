"""A thread of a session's own, for what would block the loop: files, databases."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, ParamSpec, TypeVar

from ..naming import annotate, describe_error

__all__ = ("OwnThread", "own_thread")

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE: Final = 10.0
"""Seconds for which somebody who is cancelled still waits for a call that cannot be."""

_logger = logging.getLogger("asyncdataflow")


class OwnThread:
    """Makes a session's calls one after the other; made by :func:`own_thread`.

    Attributes:
        closing: What the session's calls have opened. Only they may touch it; it is closed in the
            thread, behind the last of them.
    """

    def __init__(self, name: str) -> None:
        self.closing = contextlib.ExitStack()
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None]
        self._calls = queue.SimpleQueue()
        self._ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        # A daemon: a disk that does not answer must not keep a program from ending.
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def begin(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Have a call made, behind those that were begun before.

        Returns:
            What comes of it. Cancelled before its turn, it is not made; later, it goes on.
        """
        answer: asyncio.Future[T] = self._loop.create_future()
        self._calls.put((answer, functools.partial(function, *args, **kwargs)))
        return answer

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a call made, and wait for what comes of it."""
        return await self.begin(function, *args, **kwargs)

    async def end(self) -> None:
        """Wait until all calls are made, all is closed, and the thread is at its end.

        Raises:
            BaseException: What closing raised.
        """
        self._calls.put(None)
        try:
            error = await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            await asyncio.wait([self._ended], timeout=_PATIENCE)
            if self._ended.done() and (error := self._ended.result()) is not None:
                _logger.error("closing failed while it was cancelled", exc_info=error)
            raise
        if error is not None:
            raise error

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            answer, function = call
            if not answer.cancelled():
                self._answer(answer, *_made(function))
            del call, answer, function  # Or an item would live on until the next call.
        _, error = _made(self.closing.close)
        self._answer(self._ended, error, None)

    def _answer(self, answer: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
        # The loop may be closed: whoever closed it has given up waiting.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_settle, answer, value, error)


def _made(function: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """What a call returned, or what it raised."""
    try:
        return function(), None
    except StopIteration as error:
        # A future refuses it, since whoever waits could not tell it from an end.
        told = RuntimeError("a call in a thread raised StopIteration")
        told.__cause__ = error
        return None, told
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        return None, error


def _settle(answer: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
        return
    answer.set_exception(error)
    answer.exception()  # Looked at: one whom nobody awaits any more is no complaint of asyncio's.


@contextlib.asynccontextmanager
async def own_thread(name: str) -> AsyncIterator[OwnThread]:
    """A thread for the time of a session.

    Left, it has made all calls and closed what they opened. Cancelled while a call is under way
    that does not come back, it waits ten seconds for it and then leaves it to end by itself.

    Args:
        name: The thread's.

    Example:
        >>> import asyncio, threading
        >>> from asyncdataflow.connectors.own_thread import own_thread
        >>> async def main():
        ...     async with own_thread("reader") as thread:
        ...         return await thread.call(lambda: threading.current_thread().name)
        >>> asyncio.run(main())
        'reader'
    """
    thread = OwnThread(name)
    try:
        yield thread
    except BaseException as error:
        try:
            await thread.end()
        except Exception as closing:  # noqa: BLE001 - told with what came before it
            annotate(error, f"closing raised {describe_error(closing)}")
        raise
    await thread.end()
