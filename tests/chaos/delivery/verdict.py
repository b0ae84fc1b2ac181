"""What was put in beside what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .stages import expected

__all__ = ("Verdict", "judged")


@dataclass(frozen=True)
class Verdict:
    """What a play came to.

    Attributes:
        items: Put in.
        lost: Put in and not stored.
        duplicated: Stored more often than once, each time counted.
        strange: Stored, and not what it should be.
    """

    items: int
    lost: int
    duplicated: int
    strange: int

    def faults(self, allowed: int) -> list[str]:
        """What is wrong with it, in words.

        Args:
            allowed: Most duplicates.
        """
        said = []
        if self.lost:
            said.append(f"{self.lost} lost")
        if self.duplicated > allowed:
            said.append(f"{self.duplicated} duplicated, and {allowed} allowed")
        if self.strange:
            said.append(f"{self.strange} that nobody has put in")
        return said


def judged(numbers: Iterable[int], rows: Sequence[tuple[Any, ...]]) -> Verdict:
    """What was put in beside what is stored."""
    put = {expected(number) for number in numbers}
    times = Counter(rows)
    strange = sum(count for row, count in times.items() if row not in put)
    known = {row: count for row, count in times.items() if row in put}
    return Verdict(len(put), len(put) - len(known), sum(known.values()) - len(known), strange)
