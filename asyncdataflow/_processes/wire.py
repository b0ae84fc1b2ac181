"""The two ends of what joins a worker process to its parent: a socket, and a number that both see.

Messages go over the socket with their length before them. The number is how many calls the
process has begun: it stands in memory that outlives the process, so that after a kill the
call that it was at is known, and those behind it are known not to have begun. Told by
messages, that would be a message for each call.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import struct
from collections import deque
from typing import Any, Final

from .messages import Message

__all__ = ("Begun", "Incoming", "Outgoing", "send_whole")

_LENGTH: Final = struct.Struct("<Q")
_SIZE: Final = 8


class Incoming:
    """Messages from a socket, of which never more is read than belongs to the one that is read."""

    def __init__(self, source: socket.socket) -> None:
        self._socket = source
        self._buffer = bytearray(_LENGTH.size)
        self._filled = 0
        self._in_body = False

    def read(self) -> Message | None:
        """Receive once, and wait for that if need be: a message, where that completes one.

        Raises:
            EOFError: There will be no more.
            OSError: Likewise.
        """
        received = self._socket.recv_into(memoryview(self._buffer)[self._filled :])
        if not received:
            raise EOFError
        self._filled += received
        if self._filled < len(self._buffer):
            return None
        whole, self._filled = self._buffer, 0
        self._in_body = not self._in_body
        self._buffer = bytearray(_LENGTH.unpack(whole)[0] if self._in_body else _LENGTH.size)
        return None if self._in_body else whole


class Outgoing:
    """Messages on their way into a socket.

    What the socket does not take at once waits here until it does. So whoever has both an
    ``Incoming`` and an ``Outgoing`` never waits for the other side to read while it does not
    read itself: with both sides in such a wait, neither would come out of it.
    """

    def __init__(self, target: socket.socket) -> None:
        self._socket = target
        self._unsent: deque[memoryview] = deque()
        self._poll = select.poll()
        self._poll.register(target, select.POLLIN | select.POLLOUT)

    def put(self, message: Message) -> None:
        """Send as much as the socket takes at once."""
        self._unsent.append(memoryview(_LENGTH.pack(len(message))))
        self._unsent.append(memoryview(message))
        self._push()

    def push_until_readable(self) -> None:
        """Send what is left, and wait for the socket to take it, but only while it has nothing to read."""
        while self._unsent:
            ((_, events),) = self._poll.poll()
            if events & select.POLLOUT:
                self._push()
            if events & ~select.POLLOUT:
                return

    def _push(self) -> None:
        try:
            while self._unsent:
                sent = self._socket.sendmsg(list(self._unsent), (), socket.MSG_DONTWAIT)
                self._drop(sent)
        except BlockingIOError:
            pass
        except OSError:
            # The other side has gone. What it said before that is still to be read, and then its end.
            self._unsent.clear()

    def _drop(self, sent: int) -> None:
        while self._unsent and sent >= len(self._unsent[0]):
            sent -= len(self._unsent.popleft())
        if sent:
            self._unsent[0] = self._unsent[0][sent:]


def send_whole(target: socket.socket, message: Message) -> None:
    """Send a message, and wait until the socket has taken it; raises ``OSError``."""
    sent = target.sendmsg((_LENGTH.pack(len(message)), message)) - _LENGTH.size
    if sent < 0:
        raise ConnectionError("not even the length of a message could be sent")
    if sent < len(message):
        target.sendall(memoryview(message)[sent:])


class Begun:
    """How many calls a process has begun; it can be handed to a process that is being started.

    Args:
        file: A file descriptor, its own from here on, of eight bytes; new ones where none is given.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = _eight_bytes() if file is None else file
        try:
            self._memory = mmap.mmap(self._file, _SIZE)
        except BaseException:
            os.close(self._file)
            raise
        self._count = memoryview(self._memory).cast("Q")
        self._last = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """As a process that is being started gets it: the same memory."""
        from multiprocessing.reduction import DupFd  # noqa: PLC0415 - most flows have no processes

        return _handed_over, (DupFd(self._file),)

    def add(self) -> None:
        """One more."""
        self._count[0] += 1

    def count(self) -> int:
        """So many until now, or until it was closed."""
        return self._last if self._memory.closed else self._count[0]

    def close(self) -> None:
        """Let go of the memory."""
        self._last = self.count()
        self._count.release()
        self._memory.close()
        os.close(self._file)


def _handed_over(file: Any) -> Begun:
    return Begun(file.detach())


def _eight_bytes() -> int:
    """A file descriptor of memory, on no disk where that can be."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("asyncdataflow")
    else:
        import tempfile  # noqa: PLC0415 - it loads much that most programs do not need

        with tempfile.TemporaryFile() as made:
            file = os.dup(made.fileno())
    os.ftruncate(file, _SIZE)
    return file
