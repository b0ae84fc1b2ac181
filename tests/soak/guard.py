"""Ends what a soak has started when the soak is killed itself, and can do so no more.

A process of its own, which is told of each by its number, and reads until nobody is left to tell it any.
Only where the system has handles of processes (Linux): a number alone may be another's by then.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

import psutil

from tests.source import ROOT

__all__ = ("Guard",)


class Guard:
    """Who is told; a context, whose end finds nothing left to do."""

    def __enter__(self) -> Guard:
        # In a session of its own: Ctrl-C is for the soak.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.guard"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def add(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """A child of this process, and what ends it."""
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), b"%d %d\n" % (process.pid, number))


def main(lines: Iterable[str]) -> None:
    """Take a handle of each that is its parent's child; when there is no more to read, end them."""
    parent, handles = os.getppid(), {}
    for line in lines:
        handles = {handle: number for handle, number in handles.items() if _sent(handle, 0)}
        pid, number = map(int, line.split())
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            handle = os.pidfd_open(pid)
            handles[handle] = number if psutil.Process(pid).ppid() == parent else 0
    for handle, number in handles.items():
        _sent(handle, number)


def _sent(handle: int, number: int) -> bool:
    """Whether there was still somebody to send it to."""
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        os.close(handle)
        return False
    return True


if __name__ == "__main__":
    told = sys.stdin
    main(told if hasattr(os, "pidfd_open") else [])
    told.read()
