"""What the command writes, without the secrets that it was given, and without what a terminal would obey."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

import click

__all__ = ("OBEYED", "Secrets", "WithoutSecrets", "current_secrets", "readable")

OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tabs and line ends, what turns the direction of writing, and half characters."""


_TELLING: Final = re.compile(
    r"(^|[_-])pass$|pass(word|wd|phrase)|secret|credential|(api|private|access)[_-]?key"
    r"|(^|[_-])(token|auth(orization)?)$|(^|access|auth|api|refresh|bearer)[_-]?tokens?$",
    re.IGNORECASE,
)
_IN_QUERY: Final = re.compile(r"[?&;](?P<name>[\w.-]+)=(?P<value>[^&;#\s'\"]+)")
_IN_ADDRESS: Final = re.compile(
    r"://[^/\s@]*?:(?P<address>[^\s]+)@|\bpassword\s*=\s*(?P<word>'[^']*'|[^\s;&]+)"
)
_SHOWN: Final = "***"
# Shorter ones are in everything, and would be found in words and numbers that are none.
_SHORTEST: Final = 4


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
        elif value is not None and not isinstance(value, bool):
            text = str(value)
            if text.startswith(("{", "[")):
                self._notice_json(text, *names)
            if any(_TELLING.search(name) for name in names):
                self._add(text)
            for found in _IN_ADDRESS.finditer(text):
                self._add((found["address"] or found["word"]).strip("'"))
            for found in _IN_QUERY.finditer(text):
                if _TELLING.search(found["name"]):
                    self._add(found["value"])

    def _notice_json(self, text: str, *names: str) -> None:
        with suppress(ValueError, RecursionError):
            self.notice(json.loads(text), *names)

    def redact(self, text: str) -> str:
        """The text without the secrets."""
        # The longest first: one may be part of another.
        for secret in sorted(self._values, key=len, reverse=True):
            text = text.replace(secret, _SHOWN)
        return text

    def redact_all(self, told: Any) -> Any:
        """The texts in lists and tables without the secrets; numbers and names as they are."""
        if isinstance(told, dict):
            return {name: self.redact_all(each) for name, each in told.items()}
        if isinstance(told, list):
            return [self.redact_all(each) for each in told]
        return self.redact(told) if isinstance(told, str) else told

    def _add(self, secret: str) -> None:
        if len(secret) >= _SHORTEST:
            self._values.update(each for each in _forms(secret) if len(each) >= _SHORTEST)


def _forms(secret: str) -> Iterator[str]:
    """As it is, and as addresses, ``repr`` and JSON have it."""
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), unquote(secret))
    for each in (secret, repr(secret)[1:-1]):
        yield from (each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])


def current_secrets() -> Secrets:
    """Those of the command that runs."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Secrets) if context is not None else None) or Secrets()


def readable(text: str) -> str:
    """The lines of a text without what a terminal would obey."""
    return OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class WithoutSecrets(logging.Formatter):
    """Formats records of a log as ever, without the secrets and what a terminal obeys."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, its traceback behind it."""
        return readable(self._secrets.redact(super().format(record)))
