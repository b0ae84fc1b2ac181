"""What travels beside plain items: today, the record of an item that failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ("DeadLetter",)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An item that failed for good, as a dead-letter sink gets it.

    Attributes:
        item: The item as it came into the stage.
        error: The exception of the last attempt.
        stage: Name of the stage in which it failed.
        path: The stage's place in the definition.
        attempts: Times that it was tried.
        time: When it was given up, in seconds since the epoch.
    """

    item: Any
    error: BaseException
    stage: str
    path: str
    attempts: int
    time: float
