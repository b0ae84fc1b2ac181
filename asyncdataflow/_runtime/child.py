"""What runs in a worker process: take a request from the pipe, answer, again.

It ignores SIGINT, since Ctrl-C reaches the whole foreground group and the parent decides
what it means. It ends when the pipe does, and a watcher ends it when the parent was
killed while a call runs.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from ..errors import ArgumentsError, ResultError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = (
    "CALL",
    "CLOSE",
    "EACH",
    "END",
    "ERROR",
    "ITEM",
    "NEXT",
    "RESULT",
    "Pipe",
    "enter",
    "kind_of",
    "live",
    "main",
    "packed",
    "said",
    "unpacked",
)

# Requests: a call; an iteration up to its first item; its next item; its end, or that of the process.
CALL: Final = b"c"
EACH: Final = b"e"
NEXT: Final = b"n"
CLOSE: Final = b"q"
# Answers: each request has exactly one.
RESULT: Final = b"r"
ITEM: Final = b"i"
END: Final = b"."
ERROR: Final = b"!"


def packed(kind: bytes, value: Any = None) -> bytes:
    """A message: its kind can be told without unpickling what it carries."""
    buffer = io.BytesIO()
    buffer.write(kind)
    pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def kind_of(message: bytes) -> bytes:
    """The kind of a message."""
    return message[:1]


def unpacked(message: bytes) -> Any:
    """What a message carries."""
    return pickle.loads(memoryview(message)[1:])  # noqa: S301 - between a parent and its own child, by an inherited pipe


def enter(stack: contextlib.ExitStack, made: Any) -> Any:
    """What a resource's callable made: entered where it is a context manager, else as it is."""
    if hasattr(made, "__enter__") and hasattr(made, "__exit__"):
        return stack.enter_context(made)
    return made


def said(error: BaseException) -> str:
    """An exception's type and text on one line."""
    return f"{type(error).__name__}: {_text(error)}"


def main(pipe: Connection, payload: bytes) -> None:
    """The life of a worker process.

    Args:
        pipe: Requests and answers.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _end_with_parent()
    live(pipe, payload)


def live(pipe: Pipe, payload: bytes, prepared: Callable[[Any], Any] | None = None) -> None:
    """What the process does, apart from being one.

    Args:
        pipe: Requests and answers.
        payload: As in :func:`main`.
        prepared: Makes of the function what shall be called in its place.
    """
    with contextlib.suppress(_ParentGone):
        _Worker(pipe, prepared).live(payload)


class Pipe(Protocol):
    """What is used of a ``multiprocessing`` connection."""

    def send_bytes(self, message: bytes, /) -> None:
        """Send; raises ``OSError`` where nobody is there."""

    def recv_bytes(self) -> bytes:
        """Wait for a message; raises ``EOFError`` or ``OSError`` where none will come."""


class _ParentGone(Exception):  # noqa: N818 - an ending, not an error
    """The pipe has ended; a class of its own, since a stage's function may raise ``EOFError`` too."""


class _Worker:
    """The child's end of the pipe."""

    def __init__(self, pipe: Pipe, prepared: Callable[[Any], Any] | None) -> None:
        self._pipe = pipe
        self._prepared = prepared

    def live(self, payload: bytes) -> None:
        """Make what the process has of its own, answer requests, clean up."""
        try:
            with contextlib.ExitStack() as stack:
                function = _made(stack, payload)
                if self._prepared is not None:
                    function = self._prepared(function)
                self._send(packed(END))
                while self._served(function):
                    pass
        except _ParentGone:
            raise
        except BaseException as error:  # noqa: BLE001 - told to the parent whatever it is
            self._send(_failure(error))
        else:
            self._send(packed(END))

    def _served(self, function: Callable[..., Any]) -> bool:
        """Answer one request; false where it is to end. Nothing of an item outlives it."""
        message = self._receive()
        kind = kind_of(message)
        if kind == CLOSE:
            return False
        if kind == EACH:
            self._each(function, message)
        else:
            self._call(function, message)
        return True

    def _call(self, function: Callable[..., Any], message: bytes) -> None:
        try:
            args, kwargs = _arguments(message)
            answer = _result(RESULT, function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - told to the parent whatever it is
            answer = _failure(error)
        self._send(answer)

    def _each(self, function: Callable[..., Any], message: bytes) -> None:
        """Send one item for each request, so that the parent's pace is the backpressure."""
        try:
            args, kwargs = _arguments(message)
            items = iter(function(*args, **kwargs))
            try:
                for item in items:
                    self._send(_result(ITEM, item))
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
        self._send(answer)

    def _receive(self) -> bytes:
        try:
            return self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise _ParentGone from None

    def _send(self, message: bytes) -> None:
        try:
            self._pipe.send_bytes(message)
        except OSError:
            raise _ParentGone from None


def _end_with_parent() -> None:
    # Here, because the parent imports this module too and most flows have no processes.
    from multiprocessing import connection, parent_process  # noqa: PLC0415

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent watcher", daemon=True).start()


def _made(stack: contextlib.ExitStack, payload: bytes) -> Callable[..., Any]:
    """The function, with what it gets by name."""
    function, kwargs, per_worker = pickle.loads(payload)  # noqa: S301 - from our own parent, by an inherited pipe
    own = {name: enter(stack, make()) for name, make in cast("Mapping[str, Any]", per_worker).items()}
    return functools.partial(function, **kwargs, **own)


def _arguments(message: bytes) -> Any:
    try:
        return unpacked(message)
    except Exception as error:
        raise ArgumentsError(f"the item cannot be unpickled in the worker process ({said(error)})") from error


def _result(kind: bytes, value: Any) -> bytes:
    try:
        return packed(kind, value)
    except Exception as error:
        if isinstance(value, Generator):
            value.close()
            raise ResultError(
                "the stage returned a generator object; write stage(f, many=True) to send its items"
            ) from None
        raise ResultError(f"the result cannot be sent from the worker process ({said(error)})") from error


def _failure(error: BaseException) -> bytes:
    """An error as ``(pickle or None, type name, text, traceback)``.

    The pickle is sent only if it can be loaded again: an exception class with two
    arguments often cannot, and would break a whole ``ProcessPoolExecutor``.
    """
    trace = error.__traceback__
    text = "".join(traceback.format_exception(type(error), error, trace and (trace.tb_next or trace)))
    pickled: bytes | None = None
    with contextlib.suppress(Exception):
        made = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        if type(pickle.loads(made)) is type(error):  # noqa: S301 - what was dumped the line before
            pickled = made
    return packed(ERROR, (pickled, type(error).__qualname__, _text(error), text))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a __str__ may raise anything
        return "(its text cannot be had)"
