"""A child process, seen from outside: started, waited for, killed."""

from __future__ import annotations

import dataclasses
import json
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from tests.servers import lives
from tests.source import ROOT

from .routes import Place, Route

__all__ = ("Child", "child", "until", "wait")

PATIENCE = 30.0
"""Seconds after which whoever waits says that it hangs."""


def until(what: str, holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Look until it holds.

    Raises:
        AssertionError: It never does.
    """
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, f"it hangs: {what} is not so after {patience:g} s"
        time.sleep(0.1)


def wait(seconds: float) -> None:
    """Let a child do so long what it does."""
    threading.Event().wait(seconds)


class Child:
    """The process that is killed, with those that it starts.

    Attributes:
        process: The process.
    """

    def __init__(self, process: subprocess.Popen[bytes], errors: Any) -> None:
        self.process = process
        self._errors = errors

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        self._errors.seek(0)
        return str(self._errors.read().decode(errors="replace"))

    def wait_until_open(self) -> None:
        """Wait until it can be asked to finish."""
        self._wait_for(b"open\n")

    def wait_until_at_work(self) -> None:
        """Wait until the first item has come to its worker process."""
        self._wait_for(b"at work\n")

    def _wait_for(self, word: bytes) -> None:
        said = b""
        while said != word:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            said = self.process.stdout.readline() if ready and self.process.stdout is not None else b""
            assert said, f"it has ended, or hangs, before it said {word!r}:\n{self.errors}"

    def workers(self) -> list[psutil.Process]:
        """What it has started, down to the last."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def kill(self, *, finishing: bool = False) -> bool:
        """``kill -9``; what it has started ends by itself.

        Args:
            finishing: It was asked to finish, and may have.

        Returns:
            Whether it was killed.

        Raises:
            AssertionError: It had ended before, or left a process behind.
        """
        code = self.process.poll()
        if finishing and code == 0:
            return False
        assert code is None, f"it ended by itself:\n{self.errors}"
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        left = _ended(workers)
        assert not left, f"left behind: {left}"
        return True

    def finish(self) -> None:
        """Ask it to finish what it has, and wait until it has.

        Raises:
            AssertionError: It says that something went wrong.
        """
        self.process.send_signal(signal.SIGTERM)
        assert self.ended() == 0, f"it did not end well:\n{self.errors}"

    def ended(self) -> int:
        """Wait until it has ended by itself: its exit status."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.errors}") from None


@contextmanager
def child(route: Route, place: Place, *before: str, **options: Any) -> Iterator[Child]:
    """Start a process that runs the route; it is gone at the end, however that comes.

    Args:
        route: Which.
        place: Where.
        before: The beginning of the command, such as strace.
        options: For ``Popen``.
    """
    arguments = json.dumps([route.name, dataclasses.asdict(place)])
    command = [*before, sys.executable, "-m", "tests.chaos.delivery.child", arguments]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, bufsize=0, stdout=subprocess.PIPE, stderr=errors, **options
        )
        started = Child(process, errors)
        try:
            yield started
            assert "hunter2" not in started.errors, "a password was told"
        finally:
            if process.poll() is None:
                workers = started.workers()
                process.kill()
                process.wait()
                _ended(workers)
            assert process.stdout is not None
            process.stdout.close()


def _ended(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Wait until they have ended by themselves, and end those that do not; these."""
    end = time.monotonic() + PATIENCE
    while any(map(lives, processes)) and time.monotonic() < end:
        time.sleep(0.002)
    left = [each for each in processes if lives(each)]
    for each in left:
        each.kill()
    return left
