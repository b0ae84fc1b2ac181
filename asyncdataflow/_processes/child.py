"""What a worker process does, apart from being one: take a request from the pipe, answer, again."""

from __future__ import annotations

import contextlib
import functools
import threading
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol, cast

from ..entering import enter
from ..errors import ArgumentsError, ResultError
from .exceptions import portable_error
from .messages import (
    CLOSE,
    EACH,
    END,
    ERROR,
    ITEM,
    MORE,
    MOST_BYTES,
    RESULTS,
    SKIPPED,
    Message,
    joined,
    kind_of,
    packed,
    parts,
    pickled,
    said,
    text_of,
    unpickled,
)

__all__ = ("Pipe", "live")


def live(pipe: Pipe, payload: bytes, prepared: Callable[[Any], Any] | None = None) -> None:
    """Live until the pipe ends, or the parent says so.

    Args:
        pipe: Requests and answers.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
        prepared: Makes of the function what shall be called in its place.
    """
    with contextlib.suppress(_ParentGone):
        _Worker(pipe, prepared).live(payload)


class Pipe(Protocol):
    """What the process has of its parent."""

    def send_bytes(self, message: bytes, /) -> None:
        """Send; raises ``OSError`` where nobody is there."""

    def recv_bytes(self) -> Message:
        """Wait for a message; raises ``EOFError`` or ``OSError`` where none will come."""

    def begin(self) -> None:
        """Note that one more call begins, where the parent finds it whatever happens here."""

    def repeat(self, act: Callable[[], None]) -> Callable[[bool], None]:
        """Let something be called now and then, in a thread of its own, while it is switched on."""


class _ParentGone(Exception):  # noqa: N818 - an ending, not an error
    """The pipe has ended; a class of its own, since a stage's function may raise ``EOFError`` too."""


class _Worker:
    """The child's end of the pipe."""

    def __init__(self, pipe: Pipe, prepared: Callable[[Any], Any] | None) -> None:
        self._pipe = pipe
        self._prepared = prepared
        self._answers = _Answers(pipe)
        self._failed = False

    def live(self, payload: bytes) -> None:
        """Make what the process has of its own, answer requests, clean up."""
        try:
            with contextlib.ExitStack() as stack:
                function = _made(stack, payload)
                if self._prepared is not None:
                    function = self._prepared(function)
                self._answers.send(packed(END))
                while self._served(function):
                    pass
        except _ParentGone:
            raise
        except BaseException as error:  # noqa: BLE001 - told to the parent whatever it is
            self._answers.send(_failure(error))
        else:
            self._answers.send(packed(END))

    def _served(self, function: Callable[..., Any]) -> bool:
        """Answer one request; false where it is to end. Nothing of an item outlives it."""
        message = self._receive()
        kind = kind_of(message)
        if kind == CLOSE:
            return False
        if kind == EACH:
            self._each(function, message)
        elif kind == MORE and self._failed:
            self._answers.send(packed(SKIPPED))
        else:
            self._calls(function, message)
        return True

    def _calls(self, function: Callable[..., Any], message: Message) -> None:
        """Make calls up to the first that fails; one that has not begun leaves no trace."""
        self._failed = False
        answers, begin = self._answers, self._pipe.begin
        try:
            for request in parts(message):
                answers.look_in()
                begin()
                args, kwargs = _arguments(request)
                answers.add(_result(function(*args, **kwargs)))
                del args, kwargs  # Else they live until the next ones come.
        except _ParentGone:
            raise
        except BaseException as error:  # noqa: BLE001 - told to the parent whatever it is
            self._failed = True
            self._answers.send(_failure(error))
        else:
            self._answers.flush()

    def _each(self, function: Callable[..., Any], message: Message) -> None:
        """Send one item for each request, so that the parent's pace is the backpressure."""
        self._pipe.begin()
        try:
            args, kwargs = _arguments(memoryview(message)[1:])
            items = iter(function(*args, **kwargs))
            try:
                for item in items:
                    self._answers.send(ITEM + _result(item))
                    if kind_of(self._receive()) == CLOSE:
                        break
            finally:
                if isinstance(items, Generator):
                    items.close()
            answer = packed(END)
        except _ParentGone:
            raise
        except BaseException as error:  # noqa: BLE001 - told to the parent whatever it is
            answer = _failure(error)
        self._answers.send(answer)

    def _receive(self) -> Message:
        try:
            return self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise _ParentGone from None


class _Answers:
    """Answers on their way: results are put together, but none waits long for the next one.

    While a call takes its time, the results from before it go from another thread, which
    looks in now and then; what it finds a second time has waited long enough.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._found: list[bytes] | None = None
        self._switch: Callable[[bool], None] | None = None
        self._watched = False

    def add(self, result: bytes) -> None:
        """Have a result sent, by :meth:`flush` at the latest."""
        with self._lock:
            self._waiting.append(result)
            self._bytes += len(result)
            if self._bytes >= MOST_BYTES:
                self._send_waiting()

    def look_in(self) -> None:
        """A call begins: what waits is not to wait for its end."""
        if self._waiting and not self._watched:
            if self._switch is None:
                self._switch = self._pipe.repeat(self._send_late)
            self._switch(True)
            self._watched = True

    def flush(self) -> None:
        """Send what waits; nothing more comes for now."""
        with self._lock:
            self._send_waiting()
        if self._watched and self._switch is not None:
            self._switch(False)
            self._watched = False

    def send(self, message: bytes) -> None:
        """Send a message behind the results that wait."""
        self.flush()
        self._send(message)

    def _send_late(self) -> None:
        """Called in another thread."""
        # Where the parent has gone, this thread's owner is told of it too.
        with self._lock, contextlib.suppress(_ParentGone):
            if self._waiting and self._waiting is self._found:
                self._send_waiting()
            self._found = self._waiting

    def _send_waiting(self) -> None:
        if self._waiting:
            message = joined(RESULTS, self._waiting)
            self._waiting, self._bytes = [], 0
            self._send(message)

    def _send(self, message: bytes) -> None:
        try:
            self._pipe.send_bytes(message)
        except OSError:
            raise _ParentGone from None


def _made(stack: contextlib.ExitStack, payload: bytes) -> Callable[..., Any]:
    """The function, with what it gets by name."""
    function, kwargs, per_worker = unpickled(payload)
    own = {name: enter(stack, make()) for name, make in cast("Mapping[str, Any]", per_worker).items()}
    return functools.partial(function, **kwargs, **own)


def _arguments(request: memoryview) -> Any:
    try:
        return unpickled(request)
    except Exception as error:
        raise ArgumentsError(f"the item cannot be unpickled in the worker process ({said(error)})") from error


def _result(value: Any) -> bytes:
    try:
        return pickled(value)
    except Exception as error:
        if isinstance(value, Generator):
            value.close()
            raise ResultError(
                "the stage returned a generator object; write stage(f, many=True) to send its items"
            ) from None
        raise ResultError(f"the result cannot be sent from the worker process ({said(error)})") from error


def _failure(error: BaseException) -> bytes:
    """An error as ``(pickle or None, type name, text, traceback)``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    return packed(ERROR, (portable_error(error), type(error).__qualname__, text_of(error), text))
