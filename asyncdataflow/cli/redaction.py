"""Secrets that the command was given, and what it writes without them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

import click

__all__ = ("Secrets", "WithoutSecrets", "current_secrets", "say")

_TELLING: Final = re.compile(
    r"pass(word|wd|phrase)?$|passwd|password|secret|token|credential|api_?key|private_?key|auth",
    re.IGNORECASE,
)
_IN_ADDRESS: Final = re.compile(
    r"://[^/\s@]*?:(?P<address>[^\s]+)@|\bpassword\s*=\s*(?P<word>'[^']*'|[^\s;&]+)"
)
_SHOWN: Final = "***"


class Secrets:
    """Values that nothing which the command writes may show.

    A value is secret when the name of its parameter, option or environment variable says so, and
    where it is an address, the password in it is.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()

    def __repr__(self) -> str:
        return f"<Secrets: {len(self._values)}>"

    def notice(self, value: Any, *names: str) -> None:
        """Take note of a value that was given under these names, and of all that is in it."""
        if isinstance(value, dict):
            for name, each in value.items():
                self.notice(each, str(name), *names)
        elif isinstance(value, list):
            for each in value:
                self.notice(each, *names)
        else:
            text = str(value)
            if any(_TELLING.search(name) for name in names):
                self._add(text)
            for found in _IN_ADDRESS.finditer(text):
                self._add((found["address"] or found["word"]).strip("'"))

    def redact(self, text: str) -> str:
        """The text without the secrets."""
        # The longest first: one may be part of another.
        for secret in sorted(self._values, key=len, reverse=True):
            text = text.replace(secret, _SHOWN)
        return text

    def _add(self, secret: str) -> None:
        self._values.update(each for each in _forms(secret) if each)


def _forms(secret: str) -> Iterator[str]:
    """As it is, and as addresses and ``repr`` have it."""
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), unquote(secret))
    yield repr(secret)[1:-1]


def current_secrets() -> Secrets:
    """Those of the command that runs."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Secrets) if context is not None else None) or Secrets()


def say(text: str, *, err: bool = False) -> None:
    """Write something to stdout or stderr, without the secrets."""
    click.echo(current_secrets().redact(text), err=err)


class WithoutSecrets(logging.Formatter):
    """Formats records of a log as ever, and without the secrets."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, its traceback behind it."""
        return self._secrets.redact(super().format(record))
