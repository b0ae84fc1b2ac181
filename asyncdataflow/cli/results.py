"""Results of a flow on stdout, one a line."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

__all__ = ("OutputClosed", "Results")


class OutputClosed(Exception):  # noqa: N818 - an ending: whoever read what was written wants no more
    """Nobody reads stdout any more, as behind ``| head``."""


class Results:
    """Writes results as they come.

    Args:
        as_json: Each as JSON; what JSON has no form for, as its text.
        quiet: Write none.
    """

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet

    def write(self, result: Any) -> None:
        """Write one result.

        Raises:
            OutputClosed: Nobody reads, or it cannot be written, which has been said on stderr.
        """
        if self._quiet:
            return
        if sys.stdout is None:
            # So it is where the program was started with its stdout closed.
            click.echo("Error: there is no stdout to write results to; -q writes none", err=True)
            raise OutputClosed
        text = json.dumps(result, ensure_ascii=False, default=str) if self._as_json else str(result)
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                click.echo(f"Error: results cannot be written to stdout: {error.strerror}", err=True)
            # At exit Python flushes stdout once more, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise OutputClosed from None
