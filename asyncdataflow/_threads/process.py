"""A worker process, seen from the thread that owns it.

Each thread of a process stage's lane owns one process, spawned (never forked: a fork
copies locks that other threads hold) with a pipe of its own. A process that dies is
replaced, and the item that it held is sent again; an item that kills two fails.
``concurrent.futures`` can do neither: one kill fails everything that is pending.

An answer says what it is before its value is unpickled, so that no value, however it
misbehaves, puts the two sides out of step.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from .._processes import messages
from .._processes.exceptions import rebuilt
from .._processes.messages import Message
from .._processes.series import Call, Series
from .._processes.spawned import ProcessGone, Spawned, program_ends
from ..errors import ResultError, ShutdownTimeoutError, WorkerLostError
from .bridge import Closed

__all__ = ("ProcessTarget",)

Outcome = tuple[bool, Any]
"""Whether a call succeeded, and its result or exception."""

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
        self._one_by_one = not redeliver
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
        if self._many:
            return self._iterate(_each_of(args, kwargs))
        ((succeeded, value),) = self.run_chunk([(args, kwargs)])
        if succeeded:
            return value
        try:
            raise value
        finally:
            # Else the exception's traceback and this frame keep each other alive.
            del value

    def run_chunk(self, calls: Sequence[Call]) -> Iterator[Outcome]:
        """Many calls there, one after the other: what comes of them, in order, as it becomes known.

        It ends behind the first that fails. Those behind it have not begun, but for one case:
        where a result cannot be unpickled here, which is known here only, they may have, and
        what came of them is let go. So calls that are never to be made twice are sent one at a
        time, and so are all others from then on.
        """
        series = Series(calls, one_by_one=self._one_by_one)
        del calls
        try:
            while not series.over:
                yield from self._outcomes(series)
        finally:
            self._come_to_rest(series)

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

    def _outcomes(self, series: Series) -> Iterable[Outcome]:
        """What the next answer tells, or the loss of the process; perhaps nothing."""
        try:
            process = self._ready_for(series)
            if process is None:
                series.end()
                return [(False, series.refused)]
            answer = process.receive()
        except ProcessGone:
            return self._of_lost(series)
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - raised by what the process has of its own, as its text is
            series.end()
            return [(False, error.with_traceback(None))]
        if messages.kind_of(answer) == messages.ERROR:
            series.skip()
            series.end()
            self._come_to_rest(series)
            return [(False, rebuilt(*messages.unpacked(answer)))]
        results = messages.parts(answer)
        series.answer(len(results))
        if not self._one_by_one:
            # So that it has something to do while these are taken.
            self._send(process, series)
        return self._results(series, results)

    def _results(self, series: Series, results: Iterable[memoryview]) -> Iterator[Outcome]:
        unpickled = messages.unpickled
        for result in results:
            try:
                value = unpickled(result)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this result's own
                refused = _refused(error)
                break
            yield True, value
            del value
        else:
            return
        self._one_by_one = True
        series.end()
        self._come_to_rest(series)
        yield False, refused

    def _ready_for(self, series: Series) -> Spawned | None:
        """A process that is at work on the calls; ``None`` where none is left that can be sent."""
        process = self._process
        if process is None or series.at_rest:
            process = self._running()
            series.start(process.begun())
        self._send(process, series)
        return None if series.at_rest else process

    def _send(self, process: Spawned, series: Series) -> None:
        for message in series.due():
            process.send(message)

    def _of_lost(self, series: Series) -> Iterable[Outcome]:
        """What failed with a process; the rest is sent to another one."""
        lost = self._lost(self._process)
        begun = series.lose(lost.begun)
        if self._killed or (begun and not self._redeliver):
            why = "and the item is not sent again"
        elif series.suspect(begun):
            why = "the second with the same item"
        else:
            return ()
        series.end()
        return [(False, lost.told(self._name, why))]

    def _come_to_rest(self, series: Series) -> None:
        """Take the answers that are still to come: behind a failure, that what was sent has been skipped."""
        try:
            while self._process is not None and not series.at_rest:
                answer = self._process.receive()
                if messages.kind_of(answer) == messages.RESULTS:
                    series.answer(len(messages.parts(answer)))
                else:
                    series.skip()
        except ProcessGone:
            self._discard()

    def _iterate(self, request: bytes) -> Iterator[Any]:
        """Items one by one; once there is one it is not sent again, since that one may be on its way."""
        answer = self._first_of(request)
        del request
        try:
            while messages.kind_of(answer) == messages.ITEM:
                yield self._value(answer)
                answer = b""
                answer = self._asked(messages.NEXT)
        finally:
            # Closed early, or an item cannot be unpickled here: there, the iterator waits.
            if messages.kind_of(answer) == messages.ITEM:
                self._value(self._asked(messages.CLOSE))
        self._value(answer)

    def _first_of(self, request: bytes) -> Message:
        """Send an item and get the first answer, from a second process where the first is lost."""
        try:
            return self._exchanged(self._running(), request)
        except _Lost as lost:
            if self._killed or not (self._redeliver or not lost.begun):
                raise lost.told(self._name, "and the item is not sent again") from None
        try:
            return self._exchanged(self._running(), request)
        except _Lost as lost:
            raise lost.told(self._name, "the second with the same item") from None

    def _asked(self, kind: bytes) -> Message:
        """For the iterator that is open there."""
        try:
            return self._exchanged(self._process, messages.packed(kind))
        except _Lost as lost:
            raise lost.told(self._name, "in the middle of what it makes of an item") from None

    def _exchanged(self, process: Spawned | None, request: bytes) -> Message:
        """One request and its answer; nothing but the loss of the process raises ``_Lost``."""
        begun = 0 if process is None else process.begun()
        try:
            if process is None:
                raise ProcessGone
            process.send(request)
            return process.receive()
        except ProcessGone:
            raise self._lost(process, begun) from None

    def _lost(self, process: Spawned | None, before: int = 0) -> _Lost:
        """A process has ended; what is left of it does so too."""
        code = self._discard()
        return _Lost(code, 0 if process is None else process.begun() - before)

    def _value(self, answer: Message) -> Any:
        """What an answer carries; raises what the child raised."""
        if messages.kind_of(answer) == messages.ERROR:
            raise rebuilt(*messages.unpacked(answer))
        try:
            return messages.unpacked(answer)
        except Exception as error:
            raise _refused(error) from error

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
            # It ends all processes; nobody is there any more to be told of an item.
            raise Closed
        process = self._spawn()
        with self._lock:
            self._process = process
            if self._killed:
                process.kill()
        try:
            answer = process.receive()
        except ProcessGone:
            raise self._lost(process) from None
        try:
            self._value(answer)
        except BaseException:
            self._discard()
            raise
        return process

    def _last_answer(self, process: Spawned) -> Message:
        """What the process says to the request to end."""
        try:
            answer = process.last_answer(messages.packed(messages.CLOSE), _PATIENCE)
        except ProcessGone:
            if not self._killed and not program_ends():
                _logger.warning("%s: a worker process died before it could clean up", self._name)
            return messages.packed(messages.END)
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
    def __init__(self, code: int | None, begun: int) -> None:
        super().__init__(code, begun)
        self.code = code
        self.begun = begun

    def told(self, name: str, more: str) -> WorkerLostError:
        return WorkerLostError(f"a worker process of {name} died ({_ending(self.code)}), {more}")


def _each_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    try:
        return messages.packed(messages.EACH, (args, kwargs))
    except Exception as error:
        raise messages.unsendable(error) from error


def _refused(error: Exception) -> ResultError:
    """Of a result that cannot be unpickled here."""
    refused = ResultError(f"the result cannot be unpickled here ({messages.said(error)})")
    refused.__cause__ = error
    return refused


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
