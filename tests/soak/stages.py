"""The stages in the middle of every flow of the soak; light to import, since worker processes do."""

from __future__ import annotations

import asyncio
import random
from typing import Any

__all__ = ("Leak", "choosy", "fetch", "is_hopeless", "square", "word")

Row = dict[str, Any]

_HOPELESS = 503
_ODDS = 0.01
"""Of an attempt that fails and is worth another one."""


def is_hopeless(number: int) -> bool:
    """This item fails as often as it is tried, and is for the dead letters; one in some hundreds."""
    return number % _HOPELESS == _HOPELESS - 1


async def fetch(row: Row) -> Row:
    """On the loop, waiting for a while; fails now and then."""
    await asyncio.sleep(random.uniform(0, 0.004))
    _stumble()
    return row


def word(row: Row) -> Row:
    """In a thread; fails now and then."""
    _stumble()
    return {**row, "word": f"<{row['id']}>"}


def choosy(row: Row) -> Row:
    """As ``word``, and some items it never takes."""
    if is_hopeless(row["id"]):
        raise ValueError(f"{row['id']} is hopeless")
    return word(row)


def square(row: Row) -> Row:
    """In a worker process; fails now and then."""
    _stumble()
    return {**row, "square": row["id"] ** 2}


class Leak:
    """A stage that keeps so many bytes of each item for ever, to see that this would be found."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[bytes] = []

    async def keep(self, row: Row) -> Row:
        """On the loop."""
        self._kept.append(bytes(self._size))
        return row


def _stumble() -> None:
    if random.random() < _ODDS:
        raise ConnectionError("a call that fails now and then")
