"""What a workload is: contestants that do the same work, a check of what came out, and floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

BEST_PEER: Final = "best peer"
"""Stands, as what a floor compares with, for the best contestant of the role ``peer``."""

LIMIT: Final = "limit"
OURS: Final = "ours"

Role = Literal["limit", "by hand", "ours", "peer", "other peer"]
"""``other peer``: one that the floors leave out, as one without concurrent stages; its note says why."""

Measure = Literal["seconds", "cpu", "first", "peak", "p50", "p99"]
"""Time per item, processor time per item, time until the first result, memory, latency; less is better."""


class Unit(NamedTuple):
    """How a measure is told.

    Attributes:
        head: The head of its column.
        name: Of what is measured, in a floor's line.
        symbol: The unit.
        scale: What a figure is multiplied with to be in that unit.
    """

    head: str
    name: str
    symbol: str
    scale: float

    def __call__(self, figure: float) -> str:
        """A figure with its unit."""
        return f"{figure * self.scale:.3g} {self.symbol}"


UNITS: Final[Mapping[Measure, Unit]] = {
    "seconds": Unit("µs an item", "", "µs", 1e6),
    "cpu": Unit("µs of CPU", "in CPU time", "µs", 1e6),
    "first": Unit("ms to the first", "to the first result", "ms", 1e3),
    "peak": Unit("MB at the peak", "of memory at the peak", "MB", 1e-6),
    "p50": Unit("µs p50", "at the median latency", "µs", 1e6),
    "p99": Unit("µs p99", "at the 99th percentile", "µs", 1e6),
}


class Taken(NamedTuple):
    """What the consumer took, when the first of it came, by ``time.perf_counter``, and how old each was."""

    results: Any
    first_at: float | None = None
    latencies: Sequence[float] = ()


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
        steps: What a time per item is divided by, where contestants differ in how many steps an item takes.
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
    steps: int = 1


@dataclass(frozen=True)
class Floor:
    """What ours must reach.

    Attributes:
        against: Another contestant's name, or ``BEST_PEER``; empty for a figure that stands alone.
        least: The other's figure divided by ours is at least this; alone, our figure is at most this.
        measure: Which figure.
        of: Ours, by name, where a workload has several.
    """

    against: str
    least: float
    measure: Measure = "seconds"
    of: str = OURS

    def __str__(self) -> str:
        unit = UNITS[self.measure]
        told = f"at most {unit(self.least)}" if not self.against else f"{self.least:.3g} of {self.against}"
        return " ".join(
            each for each in (told, unit.name, "" if self.of == OURS else f"by {self.of}") if each
        )


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
        ranks: The measure by which contestants are compared and drawn.
    """

    name: str
    what: str
    items: int
    contestants: Sequence[Contestant]
    check: Callable[[int, Any], None]
    floors: Sequence[Floor] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)
    ranks: Measure = "seconds"

    def contestant(self, name: str) -> Contestant:
        """The one of that name."""
        return next(each for each in self.contestants if each.name == name)

    def items_of(self, contestant: Contestant, items: int | None = None) -> int:
        """How many items a contestant gets, of ``items`` in place of the workload's own."""
        return max(1, round((self.items if items is None else items) * contestant.share))
