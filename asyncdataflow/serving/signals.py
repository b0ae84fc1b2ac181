"""Signals: what SIGTERM and Ctrl-C do while a service runs, and only then."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final

__all__ = ("CUT_SHORT", "Signals", "may_be_taken")

CUT_SHORT: Final = 3
"""The exit code where something was left unsettled."""

_TAKEN: Final = (signal.SIGTERM, signal.SIGINT)


def may_be_taken() -> bool:
    """Whether handlers can be set here, and are for us to set: in a notebook they are its kernel's."""
    kernel: Any = sys.modules.get("ipykernel.kernelapp")
    in_notebook = kernel is not None and kernel.IPKernelApp.initialized()
    return threading.current_thread() is threading.main_thread() and not in_notebook


class Signals:
    """Takes SIGTERM and SIGINT over, and gives them back when it is left.

    Handlers of Python's own and not the loop's: they are called in the midst of whatever the main
    thread does, so that the third signal ends the program even where a stage blocks the loop.
    What the program was started to ignore (``nohup``, a shell's background) stays ignored.

    Args:
        tell: Called with each of the first two signals, in the midst of anything.
        taken: With false nothing is taken over.
    """

    def __init__(self, tell: Callable[[signal.Signals], object], *, taken: bool = True) -> None:
        self._tell = tell
        self._taken = taken
        self._count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        for each in _TAKEN if self._taken else ():
            before = signal.getsignal(each)
            # None is a handler that is not Python's, and could not be given back.
            if before not in (signal.SIG_IGN, None):
                self._before[each] = before
                signal.signal(each, self._arrived)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, before in self._before.items():
            # What somebody else has set meanwhile is theirs.
            if signal.getsignal(each) == self._arrived:
                signal.signal(each, before)
            outer = getattr(before, "__self__", None)
            if isinstance(outer, Signals):
                # Around this: the third signal is the third of both.
                outer._count = max(outer._count, self._count)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:
            _exit_at_once()
        self._tell(signal.Signals(number))


def _exit_at_once() -> None:
    """Say where everybody is, and end the program; nothing is cleaned up."""
    with suppress(Exception):
        faulthandler.dump_traceback(sys.__stderr__ or 2, all_threads=True)
    os._exit(CUT_SHORT)
