"""A worker process, seen from the thread that owns it.

Each thread of a process stage's lane owns one process, spawned (never forked: a fork
copies locks that other threads hold) with a pipe of its own. A process that dies is
replaced, and the item that it held is sent again; an item that kills two fails.
``concurrent.futures`` can do neither: one kill fails everything that is pending.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from ..errors import RemoteError, ResultError, WorkerLostError
from . import child

__all__ = ("ProcessTarget",)

_ENDINGS: Final = (EOFError, ConnectionError, BrokenPipeError)
_PATIENCE: Final = 2.0


class ProcessTarget:
    """Calls a function in a worker process; made, used and closed by one thread.

    Args:
        name: The stage's name.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
        redeliver: Send an item again whose process died.
        many: The function makes an iterator to be iterated over there.

    Attributes:
        abandoned: Asked before an item is sent again: whether nobody waits for it any more.
    """

    def __init__(self, name: str, payload: bytes, *, redeliver: bool, many: bool) -> None:
        self._name = name
        self._payload = payload
        self._redeliver = redeliver
        self._many = many
        self.abandoned: Callable[[], bool] = lambda: False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> ProcessTarget:
        """Start the process, so that a broken one is known before the first item."""
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask the process to end, and end it if it does not."""
        process, pipe = self._process, self._pipe
        if process is None or pipe is None:
            return
        with suppress(*_ENDINGS, OSError):
            pipe.send_bytes(pickle.dumps((child.CLOSE, (), {})))
        process.join(_PATIENCE)
        self._discard()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One call there: its result, or an iterator over its items."""
        if self._many:
            return self._iterate(args, kwargs)
        request = pickle.dumps((child.CALL, args, kwargs), pickle.HIGHEST_PROTOCOL)
        try:
            return self._exchange(request)
        except _ENDINGS:
            self._lost(again=self._redeliver and not self.abandoned())
        try:
            return self._exchange(request)
        except _ENDINGS:
            self._lost(again=False, times=2)
            raise AssertionError("unreachable: the line above raises") from None

    def kill(self) -> None:
        """End the process now; called on the loop, for an item that nobody waits for any more."""
        process = self._process
        if process is not None:
            with suppress(ValueError, AttributeError):
                process.kill()

    def _iterate(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
        """Items one by one; not sent again, since the first ones may be on their way."""
        try:
            pipe = self._running()
            pipe.send_bytes(pickle.dumps((child.EACH, args, kwargs), pickle.HIGHEST_PROTOCOL))
            ended = False
            try:
                while True:
                    pipe.send_bytes(pickle.dumps((child.NEXT,)))
                    try:
                        answer = self._answer(pipe)
                    except BaseException:
                        ended = True
                        raise
                    if answer is child.END:
                        ended = True
                        return
                    yield answer[0]
            finally:
                if not ended:
                    pipe.send_bytes(pickle.dumps((child.CLOSE,)))
                    self._answer(pipe)
        except _ENDINGS:
            self._lost(again=False)

    def _exchange(self, request: bytes) -> Any:
        pipe = self._running()
        pipe.send_bytes(request)
        answer = self._answer(pipe)
        return None if answer is child.END else answer[0]

    def _answer(self, pipe: Connection) -> Any:
        """A one-tuple with the value, or ``END``; raises what the child raised."""
        received = pipe.recv_bytes()
        try:
            kind, *rest = pickle.loads(received)  # noqa: S301 - from our own child, by an inherited pipe
        except Exception as error:
            raise ResultError(f"the result cannot be unpickled here: {error}") from error
        if kind == child.END:
            return child.END
        if kind in (child.ERROR, child.BROKEN):
            raise _rebuilt(*rest)
        return rest or (None,)

    def _running(self) -> Connection:
        if self._pipe is None:
            self._start()
        if self._pipe is None:
            raise WorkerLostError(f"no worker process of {self._name} could be started")
        return self._pipe

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=child.main, args=(theirs, self._payload), name=f"{self._name} worker", daemon=True
        )
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        try:
            self._answer(ours)
        except _ENDINGS:
            code = self._discard()
            raise WorkerLostError(
                f"a worker process of {self._name} died while starting (exit code {code})"
            ) from None
        except BaseException:
            self._discard()
            raise

    def _lost(self, *, again: bool, times: int = 1) -> None:
        """Bury the process; raises unless the item is to be sent again."""
        code = self._discard()
        if again:
            return
        raise WorkerLostError(
            f"the worker process of {self._name} died (exit code {code}), "
            + ("twice with the same item" if times > 1 else "and the item is not sent again")
        )

    def _discard(self) -> int | None:
        """End what is left of the process; its exit code."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is None:
            return None
        process.kill()
        process.join()
        code = process.exitcode
        process.close()
        return code


def _rebuilt(pickled: bytes | None, kind: str, text: str, trace: str) -> BaseException:
    """The child's exception with its traceback as a note, or a ``RemoteError`` that describes it."""
    if pickled is not None:
        with suppress(Exception):
            error: BaseException = pickle.loads(pickled)  # noqa: S301 - from our own child, by an inherited pipe
            error.add_note(f"in the worker process:\n{trace.rstrip()}")
            return error
    return RemoteError(f"{kind}: {text}\nin the worker process:\n{trace.rstrip()}")
