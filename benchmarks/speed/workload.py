"""What a workload is: contestants that do the same work, a check of what came out, and floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

BEST_PEER: Final = "best peer"
"""Stands, as what a floor compares with, for the quickest contestant of the role ``peer``."""

LIMIT: Final = "limit"
OURS: Final = "ours"

Role = Literal["limit", "by hand", "ours", "peer", "other peer"]
"""``other peer``: one that the floors leave out, as one without concurrent stages; its note says why."""

Measure = Literal["seconds", "cpu", "first"]
"""Time per item, processor time per item, or the time until the first result."""


class Taken(NamedTuple):
    """What the consumer took, and when the first of it came, by ``time.perf_counter``."""

    results: list[Any]
    first_at: float


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: What ``--only`` and the table call it.
        run: Does the work over so many items; a coroutine function, or a plain one. Gives what the
            consumer took, which is checked.
        role: What it stands for.
        package: The peer whose environment it runs in; none for ours.
        share: The part of the workload's items that it gets. What is slow gets fewer, as times are
            compared per item.
        note: What a reader has to know about it.
        check: In place of the workload's, where it promises less.
    """

    name: str
    run: Callable[[int], Any]
    role: Role = "by hand"
    package: str | None = None
    share: float = 1.0
    note: str = ""
    check: Callable[[int, Any], None] | None = None


@dataclass(frozen=True)
class Floor:
    """What ours must reach.

    Attributes:
        against: Another contestant's name, or ``BEST_PEER``; empty for a figure that stands alone.
        least: The other's time divided by ours is at least this; alone, our time in seconds is at
            most this.
        measure: Which time.
    """

    against: str
    least: float
    measure: Measure = "seconds"

    def __str__(self) -> str:
        told = {"seconds": "", "cpu": " in CPU time", "first": " to the first result"}[self.measure]
        if not self.against:
            return f"at most {self.least * 1e3:g} ms{told}"
        return f"{self.least:g} of {self.against}{told}"


@dataclass(frozen=True)
class Workload:
    """A row of the issue's table.

    Attributes:
        name: Such as ``W1``; variants have a dash behind it, as ``W3-100``.
        what: One line for the reader.
        items: How many, for a contestant with a share of 1.
        contestants: Who does it.
        check: Raises ``AssertionError`` where what was taken is wrong.
        floors: What ours must reach.
        cannot: Peers that cannot do it, and why.
    """

    name: str
    what: str
    items: int
    contestants: Sequence[Contestant]
    check: Callable[[int, Any], None]
    floors: Sequence[Floor] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)

    def contestant(self, name: str) -> Contestant:
        """The one of that name."""
        return next(each for each in self.contestants if each.name == name)

    def items_of(self, contestant: Contestant, items: int | None = None) -> int:
        """How many items a contestant gets, of ``items`` in place of the workload's own."""
        return max(1, round((self.items if items is None else items) * contestant.share))
