"""Forks: the edges behind a stage that chooses among them, as a stretch sees them.

How many items go into which edge is not known before they are chosen for. So a stretch may be
as long as the emptiest edge has room, and each edge is looked at once, when the stretch begins: into one that
has room for all of its items they go without another look, into the others while they fit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..operators.protocol import ALL, ANY, Delivery
from .baton import Stretch, Tally
from .channel import Channel

__all__ = ("ForkStretch", "Forks", "Lay")

Lay = Callable[[Any], None]
"""Puts an item into an edge, in a stretch."""


_MANY: Final = 32
"""Items of a stretch that is long enough not to be worth a look at each for a longer one."""


class Forks:
    """The edges behind a stage that chooses, one a branch.

    Args:
        channels: The edges, all bounded by a number of items alone.
        lays: What puts an item into each.

    Attributes:
        channels: As given.
    """

    def __init__(self, channels: Sequence[Channel[Any]], lays: Sequence[Lay]) -> None:
        self.channels = channels
        self._lays = list(lays)
        self._full_at = [0] * len(channels)
        self._least = 0
        self._places: dict[str, int] = {}
        self._watched: Callable[[Mapping[str, Lay]], Mapping[str, Lay]] = lambda lays: lays
        self._named: Mapping[str, Lay] = {}

    def name(
        self, places: Mapping[str, int], watched: Callable[[Mapping[str, Lay]], Mapping[str, Lay]]
    ) -> None:
        """Results by which an item goes to one branch as it is.

        Args:
            places: Which one, by result.
            watched: Makes of what puts items there what a stretch shall call.
        """
        self._places.update(places)
        self._watched = watched
        self._rename()

    def _rename(self) -> None:
        self._named = self._watched({name: self._lays[place] for name, place in self._places.items()})

    def free(self) -> int:
        """Look at every edge that is wanted.

        Returns:
            How many items find room in each of them; where these are few, in the emptiest.
        """
        most, least, full_at = 0, sys.maxsize, self._full_at
        for place, channel in enumerate(self.channels):
            free = channel.free()
            full_at[place] = len(channel.queue) + free
            if not free and channel.abandoned:
                self._let_go(place)
                continue
            most = max(most, free)
            least = min(least, free)
        self._least = least
        return min(least, most) if least >= _MANY else most

    def _let_go(self, place: int) -> None:
        """Nobody wants what goes to this branch any more."""
        self._full_at[place] = sys.maxsize
        if self._lays[place] is not _nowhere:
            self._lays[place] = _nowhere
            self._rename()

    def named(self, items: int) -> Mapping[str, Lay]:
        """By result, what puts an item into an edge that had room for so many, when it was looked at."""
        if items <= self._least:
            return self._named
        roomy = {name for name, place in self._places.items() if self._room(place) >= items}
        return {name: lay for name, lay in self._named.items() if name in roomy}

    def _room(self, place: int) -> int:
        return self._full_at[place] - len(self.channels[place].queue)

    def fits(self, made: Sequence[Delivery]) -> bool:
        """There is room for each of them now, as far as can be said."""
        if len(made) > 1 and len(dict(made)) < len(made):
            return False
        for branch, _ in made:
            if branch == ALL and len(self.channels) > 1:
                return False
            if self._room(self._freest() if branch == ANY else max(branch, 0)) < 1:
                return False
        return True

    def lay(self, made: Sequence[Delivery]) -> None:
        """Put what fits where it belongs."""
        for branch, value in made:
            self._lays[self._freest() if branch == ANY else max(branch, 0)](value)

    def _freest(self) -> int:
        """Of the branches that are wanted, the one with room that is the least busy."""
        wanted = [place for place, lay in enumerate(self._lays) if lay is not _nowhere]
        free = [place for place in wanted if self._room(place) > 0]
        return min(free or wanted or (0,), key=lambda place: self.channels[place].busy)


class ForkStretch(Stretch):
    """The stretches of a worker that chooses.

    What it has put is told by what it has taken: an item that goes to several branches is one.

    Attributes:
        filtered: Items of this one that go nowhere.
    """

    __slots__ = ("filtered",)

    def begin(self) -> None:
        """As of a stretch."""
        super().begin()
        self.filtered = 0

    def progress(self) -> tuple[int, int]:
        """As of a stretch; only between two items."""
        taken = self._at_begin - len(self._before)
        return taken, taken - self.filtered

    def _count(self, tally: Tally, in_hand: int) -> tuple[int, int]:
        taken, put = self.progress()
        put -= in_hand
        tally.received += taken
        tally.sent += put
        tally.settled += taken - in_hand
        tally.filtered += self.filtered
        return taken, put


def _nowhere(item: Any) -> None:
    """Nobody wants it any more."""
