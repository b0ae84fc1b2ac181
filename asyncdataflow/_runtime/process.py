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
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from ..errors import ArgumentsError, RemoteError, ResultError, ShutdownTimeoutError, WorkerLostError
from ..naming import annotate
from . import child
from .spawned import ProcessGone, Spawned, program_ends

__all__ = ("ProcessTarget",)

_logger = logging.getLogger("asyncdataflow")

_PATIENCE: Final = 4.0
"""Seconds for what a process has of its own to be cleaned up; less than a run's grace."""


class ProcessTarget:
    """Calls a function in a worker process; made, used and closed by one thread.

    Args:
        name: The stage's name.
        spawn: Starts a process that lives as ``child.main`` says.
        redeliver: Send an item again whose process died.
        many: The function makes an iterator to be iterated over there.
    """

    def __init__(self, name: str, spawn: Callable[[], Spawned], *, redeliver: bool, many: bool) -> None:
        self._name = name
        self._spawn = spawn
        self._redeliver = redeliver
        self._many = many
        self._process: Spawned | None = None
        self._killed = False
        # Between the owner and `kill`, so that no process is killed that is being closed.
        self._lock = threading.Lock()

    def __enter__(self) -> ProcessTarget:
        """Start the process, so that a broken one is known before the first item."""
        self._started()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask the process to clean up and end; raises what its clean-up raised."""
        if self._process is None:
            return
        try:
            self._value(self._last_answer(self._process))
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
            return self._exchanged(self._process, child.packed(kind))
        except _Lost as lost:
            raise lost.told(self._name, "in the middle of what it makes of an item") from None

    def _exchanged(self, process: Spawned | None, request: bytes) -> bytes:
        """One request and its answer; nothing but the loss of the process raises ``_Lost``."""
        unread = True
        try:
            if process is None:
                raise ProcessGone
            process.send(request)
            unread = False
            return process.receive()
        except ProcessGone:
            raise _Lost(self._discard(), unread=unread) from None

    def _value(self, answer: bytes) -> Any:
        """What an answer carries; raises what the child raised."""
        if child.kind_of(answer) == child.ERROR:
            raise _rebuilt(*child.unpacked(answer))
        try:
            return child.unpacked(answer)
        except Exception as error:
            raise ResultError(f"the result cannot be unpickled here ({child.said(error)})") from error

    def _running(self) -> Spawned:
        """A process that lives, as far as can be known."""
        if self._killed:
            raise WorkerLostError(f"a call in {self._name} was ended, since nobody waits for it any more")
        if self._process is not None and self._process.has_died():
            # Since its last item, for which the next one is not to blame.
            self._discard()
        return self._started() if self._process is None else self._process

    def _started(self) -> Spawned:
        """A fresh process; one that is lost while it starts is replaced, once."""
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

    def _start(self) -> Spawned:
        if program_ends():
            raise WorkerLostError(f"no worker process of {self._name} is started while the program ends")
        process = self._spawn()
        with self._lock:
            self._process = process
            if self._killed:
                process.kill()
        try:
            answer = process.receive()
        except ProcessGone:
            raise _Lost(self._discard(), unread=True) from None
        try:
            self._value(answer)
        except BaseException:
            self._discard()
            raise
        return process

    def _last_answer(self, process: Spawned) -> bytes:
        """What the process says to the request to end."""
        try:
            answer = process.last_answer(child.packed(child.CLOSE), _PATIENCE)
        except ProcessGone:
            if not self._killed and not program_ends():
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
            process, self._process = self._process, None
        return None if process is None else process.bury()


class _Lost(Exception):  # noqa: N818 - inside this module: a process has ended in the middle of an exchange
    def __init__(self, code: int | None, *, unread: bool) -> None:
        super().__init__(code)
        self.code = code
        self.unread = unread

    def told(self, name: str, more: str) -> WorkerLostError:
        return WorkerLostError(f"a worker process of {name} died ({_ending(self.code)}), {more}")


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


def _rebuilt(pickled: bytes | None, kind: str, text: str, trace: str) -> BaseException:
    """The child's exception with its traceback as a note, or a ``RemoteError`` that describes it."""
    if pickled is not None:
        with suppress(Exception):
            error: BaseException = pickle.loads(pickled)  # noqa: S301 - from our own child, by an inherited pipe
            annotate(error, f"in the worker process:\n{trace.rstrip()}")
            return error
    return RemoteError(f"{kind}: {text}\nin the worker process:\n{trace.rstrip()}")
