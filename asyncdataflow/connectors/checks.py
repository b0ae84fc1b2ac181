"""What constructors of connectors have in common: options that are refused when they are given."""

from __future__ import annotations

import os

from ..policy import Retry

__all__ = (
    "AT_ONCE",
    "POLITE",
    "checked_path",
    "refuse_unless_counted_retry",
    "refuse_unless_retry",
    "refuse_unless_seconds",
    "refuse_unless_whole",
)

POLITE = Retry(attempts=5, backoff=0.1, max_backoff=5.0)
"""How often and when sources give again what was nacked, unless they are told."""

AT_ONCE = Retry(attempts=None, backoff=0.0)
"""The same, of sources from which any number of consumers take: whoever is free takes it, without end."""


def refuse_unless_whole(what: str, value: object, least: int = 1) -> None:
    """Raise ``ValueError`` where an option is no whole number, or too small."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{what}: a whole number of at least {least} is needed, not {value!r}")


def refuse_unless_seconds(what: str, value: object) -> None:
    """Raise ``ValueError`` where an option is no time of more than nothing."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise ValueError(f"{what}: more than 0 seconds is needed, not {value!r}")


def refuse_unless_retry(what: str, value: object) -> None:
    """Raise ``ValueError`` where an option is no ``Retry``."""
    if not isinstance(value, Retry):
        raise ValueError(f"{what}: a Retry is needed, not {value!r}")


def refuse_unless_counted_retry(what: str, value: Retry) -> None:
    """Raise ``ValueError`` where an option is no ``Retry`` that a number of deliveries is enough for."""
    refuse_unless_retry(what, value)
    if value.max_elapsed is not None or value.on is not Exception:
        raise ValueError(
            f"{what}: the server counts how often something was given, and knows no more: "
            "without max_elapsed= and on="
        )


def checked_path(what: str, path: object) -> str:
    """A path as text.

    Raises:
        ValueError: It is none, or an empty one.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(f"{what}: a path is needed, not {path!r}")
    return text
