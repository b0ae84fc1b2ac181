"""One worker process with its end of the socket, as the thread that owns it can use it.

Spawned, never forked: a fork copies locks that other threads hold.
"""

from __future__ import annotations

import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Protocol

from . import entry
from .messages import Message
from .wire import Begun, Incoming, Outgoing

__all__ = ("ProcessGone", "Spawned", "SpawnedProcess", "program_ends")


class ProcessGone(Exception):  # noqa: N818 - an ending; whether it is an error, the owner knows
    """There is nothing to be read and will not be: the process has died, or was killed."""


class Spawned(Protocol):
    """What the owner needs of a process; everything but ``kill`` is called in one thread."""

    def send(self, message: bytes) -> None:
        """Send a request; never waits: what does not go now goes while an answer is waited for."""

    def receive(self) -> Message:
        """Wait for the next answer; raises ``ProcessGone``, behind all that was answered."""

    def begun(self) -> int:
        """How many calls it has begun in its life, also when that has ended: known without an answer."""

    def last_answer(self, request: bytes, patience: float) -> Message | None:
        """Ask it to end, and wait for its answer and then for its end.

        ``None``: it gave no answer within ``patience`` seconds. Raises ``ProcessGone``.
        """

    def has_died(self) -> bool:
        """Whether it has ended although nothing was asked of it."""

    def kill(self) -> None:
        """End it now; called on the loop."""

    def bury(self) -> int | None:
        """End what is left of it; its exit code, where that can be had."""


class SpawnedProcess:
    """A process of the system.

    Args:
        name: The stage's name.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
    """

    def __init__(self, name: str, payload: bytes) -> None:
        # Loaded when a process starts: importing the package must not cost everybody what few use.
        import multiprocessing  # noqa: PLC0415

        context = multiprocessing.get_context("spawn")
        with ExitStack() as undo:
            self._begun = Begun()
            undo.callback(self._begun.close)
            self._socket, theirs = socket.socketpair()
            undo.callback(self._socket.close)
            with theirs, _sigint_blocked():
                self._process = context.Process(
                    target=entry.main, args=(theirs, self._begun, payload), name=f"{name} worker", daemon=True
                )
                self._process.start()
            undo.pop_all()
        # What the program has set as a default for its sockets is not for this one.
        self._socket.setblocking(True)
        self._incoming = Incoming(self._socket)
        self._outgoing = Outgoing(self._socket)
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)

    def send(self, message: bytes) -> None:
        """Send a request."""
        self._outgoing.put(message)

    def receive(self) -> Message:
        """Wait for the next answer."""
        try:
            while True:
                self._outgoing.push_until_readable()
                message = self._incoming.read()
                if message is not None:
                    return message
        except (EOFError, OSError):
            raise ProcessGone from None

    def begun(self) -> int:
        """How many calls it has begun in its life."""
        return self._begun.count()

    def last_answer(self, request: bytes, patience: float) -> Message | None:
        """Ask it to end, and wait for its answer and then for its end."""
        deadline = time.monotonic() + patience
        self.send(request)
        if not self._readable.poll(patience * 1000):
            return None
        answer = self.receive()
        self._process.join(max(deadline - time.monotonic(), 0.0))
        return answer

    def has_died(self) -> bool:
        """Its socket has something to say, which between two requests is its end."""
        return bool(self._readable.poll(0))

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def bury(self) -> int | None:
        """End what is left of it."""
        process = self._process
        self._socket.close()
        process.kill()
        process.join()
        self._begun.close()
        # Whatever else starts processes in this program looks after all children, and may
        # have been told of the end but not have written it down yet.
        deadline = time.monotonic() + 1.0
        while process.exitcode is None and time.monotonic() < deadline:
            time.sleep(0.001)
        code = process.exitcode
        # At exit multiprocessing joins all children, and takes none that is closed meanwhile.
        if not program_ends():
            with suppress(ValueError):
                process.close()
        return code


def program_ends() -> bool:
    """Whether the interpreter is on its way out, and ends all processes: no loss to make up for."""
    from multiprocessing import util  # noqa: PLC0415 - as above

    return util.is_exiting()


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """A process started within has SIGINT blocked until it ignores it of its own accord.

    Else Ctrl-C would end it while it is being set up.
    """
    from multiprocessing import resource_tracker  # noqa: PLC0415 - as above

    # It clears the mask if it has to start its own process, so that has to be done before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
