"""A worker process, seen from the thread that owns it.

Each thread of a process stage's lane owns one process, spawned (never forked: a fork
copies locks that other threads hold) with a pipe of its own. A process that dies is
replaced, and the item that it held is sent again; an item that kills two fails.
``concurrent.futures`` can do neither: one kill fails everything that is pending.

Every request has exactly one answer, and an answer says what it is before its value is
unpickled, so that no value, however it misbehaves, puts the two sides out of step.
"""

from __future__ import annotations

import logging
import pickle
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ..errors import ArgumentsError, RemoteError, ResultError, ShutdownTimeoutError, WorkerLostError
from ..naming import annotate
from . import child

if TYPE_CHECKING:
    # Loaded when a process starts: importing the package must not cost everybody what few use.
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

__all__ = ("ProcessTarget",)

_logger = logging.getLogger("asyncdataflow")

_PATIENCE: Final = 4.0
"""Seconds for what a process has of its own to be cleaned up; less than a run's grace."""


class ProcessTarget:
    """Calls a function in a worker process; made, used and closed by one thread.

    Args:
        name: The stage's name.
        payload: Pickled ``(function, keyword arguments, per_worker)``.
        redeliver: Send an item again whose process died.
        many: The function makes an iterator to be iterated over there.
    """

    def __init__(self, name: str, payload: bytes, *, redeliver: bool, many: bool) -> None:
        self._name = name
        self._payload = payload
        self._redeliver = redeliver
        self._many = many
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._idle = select.poll()
        self._killed = False
        # Between the owner and `kill`, so that no process is killed that is being closed.
        self._lock = threading.Lock()

    def __enter__(self) -> ProcessTarget:
        """Start the process, so that a broken one is known before the first item."""
        self._started()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask the process to clean up and end; raises what its clean-up raised."""
        process, pipe = self._process, self._pipe
        if process is None or pipe is None:
            return
        deadline = time.monotonic() + _PATIENCE
        try:
            self._value(self._last_answer(pipe, deadline))
            process.join(max(deadline - time.monotonic(), 0.0))
        finally:
            self._discard()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One call there: its result, or an iterator over its items."""
        kind = child.EACH if self._many else child.CALL
        try:
            request = child.packed(kind, (args, kwargs))
        except Exception as error:
            raise ArgumentsError(
                f"the item cannot be sent to a worker process ({child.said(error)})"
            ) from error
        return self._iterate(request) if self._many else self._value(self._begun(request))

    def prepare(self) -> None:
        """Have a process that lives, so that starting one is no part of the next call."""
        self._running()

    def kill(self) -> None:
        """End the process now and send nothing again, until :meth:`renew`; called on the loop."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def renew(self) -> None:
        """Have a fresh process for the next item; called by the owner behind :meth:`kill`."""
        self._discard()
        self._killed = False

    def _iterate(self, request: bytes) -> Iterator[Any]:
        """Items one by one; once there is one it is not sent again, since that one may be on its way."""
        answer = self._begun(request)
        del request
        try:
            while child.kind_of(answer) == child.ITEM:
                yield self._value(answer)
                answer = b""
                answer = self._asked(child.NEXT)
        finally:
            # Closed early, or an item cannot be unpickled here: there, the iterator waits.
            if child.kind_of(answer) == child.ITEM:
                self._value(self._asked(child.CLOSE))
        self._value(answer)

    def _begun(self, request: bytes) -> bytes:
        """Send an item and get the first answer, from a second process where the first is lost."""
        try:
            return self._exchanged(self._running(), request)
        except _Lost as lost:
            if self._killed or not (self._redeliver or lost.unread):
                raise lost.told(self._name, "and the item is not sent again") from None
        try:
            return self._exchanged(self._running(), request)
        except _Lost as lost:
            raise lost.told(self._name, "the second with the same item") from None

    def _asked(self, kind: bytes) -> bytes:
        """For the iterator that is open there."""
        try:
            return self._exchanged(self._pipe, child.packed(kind))
        except _Lost as lost:
            raise lost.told(self._name, "in the middle of what it makes of an item") from None

    def _exchanged(self, pipe: Connection | None, request: bytes) -> bytes:
        """One request and its answer; nothing but the loss of the process raises ``_Lost``."""
        unread = True
        try:
            if pipe is None:
                raise EOFError
            pipe.send_bytes(request)
            unread = False
            return pipe.recv_bytes()
        except (EOFError, OSError):
            raise _Lost(self._discard(), unread=unread) from None

    def _value(self, answer: bytes) -> Any:
        """What an answer carries; raises what the child raised."""
        if child.kind_of(answer) == child.ERROR:
            raise _rebuilt(*child.unpacked(answer))
        try:
            return child.unpacked(answer)
        except Exception as error:
            raise ResultError(f"the result cannot be unpickled here ({child.said(error)})") from error

    def _running(self) -> Connection:
        """The pipe to a process that lives, as far as can be known."""
        if self._killed:
            raise WorkerLostError(f"a call in {self._name} was ended, since nobody waits for it any more")
        if self._pipe is not None and self._idle.poll(0):
            # It has died since its last item, for which the next one is not to blame.
            self._discard()
        return self._started() if self._pipe is None else self._pipe

    def _started(self) -> Connection:
        """The pipe to a fresh process; one that is lost while it starts is replaced, once."""
        try:
            return self._start()
        except _Lost as lost:
            if self._killed:
                raise lost.told(self._name, "while starting") from None
        try:
            return self._start()
        except _Lost as lost:
            raise WorkerLostError(
                f"two worker processes of {self._name} died while starting ({_ending(lost.code)}); what they "
                'wrote to stderr may say why. A script that runs a flow with executor="process" has to do so '
                'under `if __name__ == "__main__":`, since its processes import it'
            ) from None

    def _start(self) -> Connection:
        import multiprocessing  # noqa: PLC0415 - as above

        if _program_ends():
            raise WorkerLostError(f"no worker process of {self._name} is started while the program ends")
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=child.main, args=(theirs, self._payload), name=f"{self._name} worker", daemon=True
        )
        try:
            with _sigint_blocked():
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._idle = select.poll()
        self._idle.register(ours, select.POLLIN)
        with self._lock:
            self._process, self._pipe = process, ours
            if self._killed:
                process.kill()
        try:
            answer = ours.recv_bytes()
        except (EOFError, OSError):
            raise _Lost(self._discard(), unread=True) from None
        try:
            self._value(answer)
        except BaseException:
            self._discard()
            raise
        return ours

    def _last_answer(self, pipe: Connection, deadline: float) -> bytes:
        """What the process says to the request to end."""
        try:
            pipe.send_bytes(child.packed(child.CLOSE))
            answer = pipe.recv_bytes() if pipe.poll(deadline - time.monotonic()) else None
        except (EOFError, OSError):
            if not self._killed and not _program_ends():
                _logger.warning("%s: a worker process died before it could clean up", self._name)
            return child.packed(child.END)
        if answer is None:
            raise ShutdownTimeoutError(
                f"a worker process of {self._name} did not clean up within {_PATIENCE} s and was killed"
            )
        return answer

    def _discard(self) -> int | None:
        """End what is left of the process; its exit code, where that can be had."""
        with self._lock:
            process, pipe = self._process, self._pipe
            self._process = self._pipe = None
        if process is None or pipe is None:
            return None
        pipe.close()
        process.kill()
        process.join()
        # Whatever else starts processes in this program looks after all children, and may
        # have been told of the end but not have written it down yet.
        deadline = time.monotonic() + 1.0
        while process.exitcode is None and time.monotonic() < deadline:
            time.sleep(0.001)
        code = process.exitcode
        # At exit multiprocessing joins all children, and takes none that is closed meanwhile.
        if not _program_ends():
            with suppress(ValueError):
                process.close()
        return code


class _Lost(Exception):  # noqa: N818 - inside this module: a process has ended in the middle of an exchange
    def __init__(self, code: int | None, *, unread: bool) -> None:
        super().__init__(code)
        self.code = code
        self.unread = unread

    def told(self, name: str, more: str) -> WorkerLostError:
        return WorkerLostError(f"a worker process of {name} died ({_ending(self.code)}), {more}")


def _program_ends() -> bool:
    """Whether the interpreter is on its way out, and ends all processes: no loss to make up for."""
    from multiprocessing import util  # noqa: PLC0415 - as above

    return util.is_exiting()


def _ending(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "exit code unknown"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


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


def _rebuilt(pickled: bytes | None, kind: str, text: str, trace: str) -> BaseException:
    """The child's exception with its traceback as a note, or a ``RemoteError`` that describes it."""
    if pickled is not None:
        with suppress(Exception):
            error: BaseException = pickle.loads(pickled)  # noqa: S301 - from our own child, by an inherited pipe
            annotate(error, f"in the worker process:\n{trace.rstrip()}")
            return error
    return RemoteError(f"{kind}: {text}\nin the worker process:\n{trace.rstrip()}")
