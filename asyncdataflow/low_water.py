"""LowWater: up to where everything is done, though things are done in any order."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

__all__ = ("LowWater", "Place")

P = TypeVar("P")


class Place(Generic[P]):
    """A position that was given out and is not done: a link of a chain in the order of giving.

    Attributes:
        partition: Which part of the source it lies in.
    """

    __slots__ = ("_after", "_before", "_owner", "_reach", "partition")

    def __init__(self, owner: LowWater[P], partition: Hashable, reach: P) -> None:
        self.partition = partition
        # None once it is done.
        self._owner: LowWater[P] | None = owner
        # The last position of all between here and the next link: they are done.
        self._reach = reach
        self._before: Place[P] | None = None
        self._after: Place[P] | None = None


class LowWater(Generic[P]):
    """Of each partition, the position up to which everything is done: "commit up to here".

    Positions are given out in order and done in any order. The mark of a partition never passes
    one that is not done, however much behind it is. Both steps take constant time, and what is
    kept is a mark for each partition and a link for each position that is not done: what is done
    behind a gap is known to the gap.

    A position may be anything: positions are not compared, their order is that of giving.

    Args:
        marks: Where partitions stand already.

    Example:
        >>> from asyncdataflow.low_water import LowWater
        >>> low = LowWater()
        >>> first, second, third = (low.give(offset) for offset in (10, 20, 30))
        >>> low.done(second), low.marks()
        (False, {})
        >>> low.done(first), low.marks()
        (True, {None: 20})
        >>> low.done(third), low.marks()
        (True, {None: 30})
    """

    def __init__(self, marks: Mapping[Hashable, P] | None = None) -> None:
        self._marks: dict[Hashable, P] = dict(marks or {})
        self._last: dict[Hashable, Place[P]] = {}
        self._outstanding = 0

    def give(self, position: P, partition: Hashable = None) -> Place[P]:
        """Count a position as given out, behind all that were given out before.

        Returns:
            What to say when it is done.
        """
        place = Place(self, partition, position)
        last = self._last.get(partition)
        if last is not None:
            last._after, place._before = place, last
        self._last[partition] = place
        self._outstanding += 1
        return place

    def done(self, place: Place[P]) -> bool:
        """Count a position as done.

        Returns:
            Whether the mark of its partition has moved.

        Raises:
            ValueError: It is done already, or was given out by another.
        """
        partition = place.partition
        if place._owner is not self:
            raise ValueError(
                f"LowWater: a position of partition {partition!r} is done that was not outstanding"
            )
        before, after = place._before, place._after
        self._outstanding -= 1
        if before is None:
            self._marks[partition] = place._reach
        else:
            before._reach = place._reach
            before._after = after
        if after is not None:
            after._before = before
        elif before is not None:
            self._last[partition] = before
        else:
            del self._last[partition]
        place._owner = place._before = place._after = None
        return before is None

    def marks(self) -> dict[Hashable, P]:
        """The marks of all partitions that have one."""
        return dict(self._marks)

    @property
    def outstanding(self) -> int:
        """How many positions are given out and not done."""
        return self._outstanding
