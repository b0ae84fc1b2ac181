"""What runs in a worker process: take a call from the pipe, answer, again.

It ignores SIGINT, since Ctrl-C reaches the whole foreground group and the parent decides
what it means. It ends when the pipe does, and a watcher ends it when the parent was
killed while a call runs.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import Any, Final, cast

__all__ = ("BROKEN", "CALL", "CLOSE", "EACH", "END", "ERROR", "ITEM", "NEXT", "READY", "RESULT", "enter", "main")

CALL: Final = "call"
EACH: Final = "each"
NEXT: Final = "next"
CLOSE: Final = "close"
READY: Final = "ready"
BROKEN: Final = "broken"
RESULT: Final = "result"
ITEM: Final = "item"
END: Final = "end"
ERROR: Final = "error"


def enter(stack: contextlib.ExitStack, made: Any) -> Any:
    """What a resource's callable made: entered where it is a context manager, else as it is."""
    if hasattr(made, "__enter__") and hasattr(made, "__exit__"):
        return stack.enter_context(made)
    return made


def main(pipe: Connection, payload: bytes) -> None:
    """The life of a worker process.

    Args:
        pipe: Requests and answers, as pickles.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    with contextlib.ExitStack() as stack:
        try:
            function, kwargs, per_worker = pickle.loads(payload)  # noqa: S301 - from our own parent, by an inherited pipe
            own = {name: enter(stack, make()) for name, make in cast("Mapping[str, Any]", per_worker).items()}
        except BaseException as error:  # noqa: BLE001 - told to the parent whatever it is
            _answer(pipe, BROKEN, *_described(error))
            return
        _answer(pipe, READY)
        with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):
            _serve(pipe, lambda *a, **k: function(*a, **kwargs, **own, **k))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent watcher", daemon=True).start()


def _serve(pipe: Connection, function: Callable[..., Any]) -> None:
    while True:
        request = pipe.recv_bytes()
        try:
            kind, args, kwargs = pickle.loads(request)  # noqa: S301 - from our own parent, by an inherited pipe
            if kind == CLOSE:
                return
            if kind == EACH:
                _each(pipe, function, args, kwargs)
            else:
                _answer(pipe, RESULT, function(*args, **kwargs))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except BaseException as error:  # noqa: BLE001 - told to the parent whatever it is
            _answer(pipe, ERROR, *_described(error))


def _each(pipe: Connection, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Send one item for each ``NEXT``, so that the parent's pace is the backpressure."""
    items = iter(function(*args, **kwargs))
    try:
        while pickle.loads(pipe.recv_bytes())[0] == NEXT:  # noqa: S301 - from our own parent, by an inherited pipe
            try:
                item = next(items)
            except StopIteration:
                break
            _answer(pipe, ITEM, item)
    finally:
        close = getattr(items, "close", None)
        if callable(close):
            close()
    _answer(pipe, END)


def _answer(pipe: Connection, *message: Any) -> None:
    pipe.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def _described(error: BaseException) -> tuple[bytes | None, str, str, str]:
    """An error as ``(pickle or None, type name, text, traceback)``.

    The pickle is sent only if it can be loaded again: an exception class with two
    arguments often cannot, and would break a whole ``ProcessPoolExecutor``.
    """
    text = "".join(traceback.format_exception(error))
    try:
        pickled = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        if type(pickle.loads(pickled)) is not type(error):  # noqa: S301 - what was dumped the line before
            pickled = None
    except Exception:  # noqa: BLE001 - a hostile __reduce__ may raise anything; text is enough then
        pickled = None
    try:
        described = str(error)
    except Exception:  # noqa: BLE001 - as above, for __str__
        described = "(its text cannot be had)"
    return pickled, type(error).__qualname__, described, text
