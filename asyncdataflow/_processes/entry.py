"""Where a worker process begins, and its end of what joins it to its parent.

It ignores SIGINT, since Ctrl-C reaches the whole foreground group and the parent decides
what it means. It ends when the socket does, and a watcher ends it when the parent was
killed while a call runs.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from . import child
from .messages import Message
from .wire import Begun, Incoming, send_whole

__all__ = ("main",)

_NOW_AND_THEN: Final = 0.005
"""Seconds."""


def main(pipe: socket.socket, begun: Begun, payload: bytes) -> None:
    """The life of a worker process.

    Args:
        pipe: For requests and answers.
        begun: Where it tells how many calls it has begun.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _end_with_parent()
    child.live(_Pipe(pipe, begun), payload)


class _Pipe:
    """See ``child.Pipe``."""

    def __init__(self, pipe: socket.socket, begun: Begun) -> None:
        # What the main program has set as a default for its sockets is not for this one.
        pipe.setblocking(True)
        self._socket = pipe
        self._incoming = Incoming(pipe)
        self.begin = begun.add

    def send_bytes(self, message: bytes, /) -> None:
        send_whole(self._socket, message)

    def recv_bytes(self) -> Message:
        while (message := self._incoming.read()) is None:
            pass
        return message

    def repeat(self, act: Callable[[], None]) -> Callable[[bool], None]:
        switched_on = threading.Event()

        def keep_acting() -> None:
            while switched_on.wait():
                time.sleep(_NOW_AND_THEN)
                act()

        threading.Thread(target=keep_acting, name="results on time", daemon=True).start()
        return lambda on: switched_on.set() if on else switched_on.clear()


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
