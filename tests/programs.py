"""Programs that tests start, wait for and send signals to."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.source import ROOT

__all__ = ("DEADLINE", "Program")

DEADLINE = 30.0
"""Seconds for a child process; the library's own grace is 5."""


class Program:
    """A child process that runs a script, line by line.

    Args:
        script: The program.
        **options: As of ``Popen``.
    """

    def __init__(self, script, **options):
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-c", textwrap.dedent(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            **options,
        )
        self.out = self.err = ""

    def wait_for(self, word):
        """Read until it says so; it ends, or pytest's timeout does it."""
        for line in self.process.stdout:
            self.out += line
            if line.strip() == word:
                return
        raise AssertionError(f"it ended before it said {word!r}: {self.out}{self.process.stderr.read()}")

    def end(self):
        """Wait until it has ended by itself; its exit status."""
        try:
            self.process.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self._read_rest()
            raise AssertionError(f"it did not end:\n{self.out}{self.err}") from None
        self._read_rest()
        return self.process.returncode

    def _read_rest(self):
        """Not by ``communicate``: that reads past what ``wait_for`` has read ahead, and so loses lines."""
        self.out += self.process.stdout.read()
        self.err = self.process.stderr.read()
