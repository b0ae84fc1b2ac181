"""One worker process with its pipe, as the thread that owns it can use it.

Spawned, never forked: a fork copies locks that other threads hold.
"""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from . import child

__all__ = ("ProcessGone", "Spawned", "SpawnedProcess", "program_ends")


class ProcessGone(Exception):  # noqa: N818 - an ending; whether it is an error, the owner knows
    """The pipe has ended: the process has died, or was killed."""


class Spawned(Protocol):
    """What the owner needs of a process; everything but ``kill`` is called in one thread."""

    def send(self, message: bytes) -> None:
        """Send a request; raises ``ProcessGone``."""

    def receive(self) -> bytes:
        """Wait for the next answer; raises ``ProcessGone``."""

    def last_answer(self, request: bytes, patience: float) -> bytes | None:
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
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=child.main, args=(theirs, payload), name=f"{name} worker", daemon=True
        )
        try:
            with _sigint_blocked():
                self._process.start()
        except BaseException:
            self._pipe.close()
            raise
        finally:
            theirs.close()
        self._idle = select.poll()
        self._idle.register(self._pipe, select.POLLIN)

    def send(self, message: bytes) -> None:
        """Send a request."""
        try:
            self._pipe.send_bytes(message)
        except OSError:
            raise ProcessGone from None

    def receive(self) -> bytes:
        """Wait for the next answer."""
        try:
            return self._pipe.recv_bytes()
        except (EOFError, OSError):
            raise ProcessGone from None

    def last_answer(self, request: bytes, patience: float) -> bytes | None:
        """Ask it to end, and wait for its answer and then for its end."""
        deadline = time.monotonic() + patience
        self.send(request)
        try:
            if not self._pipe.poll(patience):
                return None
        except OSError:
            raise ProcessGone from None
        answer = self.receive()
        self._process.join(max(deadline - time.monotonic(), 0.0))
        return answer

    def has_died(self) -> bool:
        """Its pipe has something to say, which between two requests is its end."""
        return bool(self._idle.poll(0))

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def bury(self) -> int | None:
        """End what is left of it."""
        process = self._process
        self._pipe.close()
        process.kill()
        process.join()
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
