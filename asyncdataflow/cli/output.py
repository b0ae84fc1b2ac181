"""What the command writes: results, answers and errors, without secrets and without what a terminal obeys."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from typing import IO, Any

from .redaction import OBEYED, current_secrets, readable

__all__ = ("OutputClosed", "Results", "as_json", "closed", "say", "say_as_json")


class OutputClosed(Exception):  # noqa: N818 - an ending: what the command writes cannot be written
    """Nobody reads stdout any more, as behind ``| head``, or it is full, which has been said on stderr."""


def as_json(value: Any) -> str:
    """A value as JSON that any parser takes.

    What JSON has no form for is its text; a number that is none (NaN, an infinity) is null.

    Raises:
        ValueError: It holds itself, or nests too deep.
    """
    try:
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
        except (TypeError, ValueError):
            # A key that is no text, or a number that is none.
            text = json.dumps(_plain(value, frozenset()), ensure_ascii=False, allow_nan=False, default=str)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: Any, within: frozenset[int]) -> Any:
    """With keys that are texts, and without numbers that are none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) in within:
        raise ValueError("it holds itself")
    inside = within | {id(value)}
    if isinstance(value, dict):
        return {_key(key): _plain(each, inside) for key, each in value.items()}
    return [_plain(each, inside) for each in value]


def _key(key: Any) -> Any:
    """What stands before the colon."""
    return key if key is None or isinstance(key, str | int) else str(key)


def say(text: str, *, err: bool = False) -> None:
    """Write something to stdout or stderr, without the secrets and what a terminal obeys.

    Raises:
        OutputClosed: Stdout takes no more.
    """
    _write(readable(current_secrets().redact(text)), err=err)


def say_as_json(told: Any, *, err: bool = False) -> None:
    """Write something as JSON, its texts without the secrets.

    Raises:
        OutputClosed: Stdout takes no more.
    """
    _write(as_json(current_secrets().redact_all(told)), err=err)


class Results:
    """Writes results as they come: as they are, to a terminal without what it would obey.

    Args:
        as_json: Each as JSON; see :func:`as_json`.
        quiet: Write none.
    """

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._to_terminal = sys.stdout is not None and sys.stdout.isatty()

    def write(self, result: Any) -> None:
        """Write one result.

        Raises:
            OutputClosed: Nobody reads, or it cannot be written, which has been said on stderr.
            ValueError: It cannot be written as JSON.
        """
        if self._quiet:
            return
        if self._as_json:
            text = _result_as_json(result)
        else:
            text = readable(str(result)) if self._to_terminal else str(result)
        _write(text, what="results", hint="; -q writes none")


def _result_as_json(result: Any) -> str:
    try:
        return as_json(result)
    except ValueError as error:
        raise ValueError(f"a result cannot be written as JSON: {error}; leave --json out") from error


def _write(text: str, *, err: bool = False, what: str = "it", hint: str = "") -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        # So it is where the program was started with it closed.
        if not err:
            say(f"Error: there is no stdout to write {what} to{hint}", err=True)
            raise OutputClosed
        return
    try:
        try:
            stream.write(f"{text}\n")
        except UnicodeEncodeError as error:
            # What the encoding lacks, half characters first, is escaped as in Python.
            lossless = text.encode(error.encoding, "backslashreplace").decode(error.encoding)
            stream.write(f"{lossless}\n")
        stream.flush()
    except OSError as error:
        closed(error, stream)
        if not err:
            raise OutputClosed from None


def closed(error: OSError, stream: IO[str]) -> None:
    """Stdout or stderr takes no more: say so, where it is not that nobody reads."""
    # At exit Python flushes it once more, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if stream is sys.stdout and error.errno != errno.EPIPE:
        say(f"Error: stdout cannot be written: {error.strerror}", err=True)
