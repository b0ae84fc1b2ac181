"""The stages in the middle of every route; light to import, since worker processes do."""

from __future__ import annotations

import functools
import os
from typing import Any

__all__ = ("expected", "square", "word")

Row = dict[str, Any]


def word(row: Row) -> Row:
    """In a thread."""
    return {**row, "word": f"<{row['id']}>"}


def square(row: Row) -> Row:
    """In a worker process, whose first call tells whoever watches that it is at work."""
    _say_at_work()
    return {**row, "square": row["id"] ** 2}


def expected(number: int) -> tuple[int, str, int]:
    """What is to be stored of an item."""
    return number, f"<{number}>", number**2


@functools.cache
def _say_at_work() -> None:
    os.write(1, b"at work\n")
