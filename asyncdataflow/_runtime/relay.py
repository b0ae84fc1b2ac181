"""Relay: a stretch that the workers of a stage do by turns.

Where the calls of a stage suspend, each of its workers runs from where its call has come back to
where the next one suspends: it puts a result and takes an item. Many of them do so one after the
other in a step of the loop, and nobody else looks at their edges in between. So they share a
stretch: whoever finds that it is still under way goes on with it, and the books are made up when
somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..histogram import Recorder
from .baton import Baton, Stretch, Tally, Way
from .edge import Edge

__all__ = ("Relay",)


class Relay(Stretch):
    """The stretches of a stage's workers together.

    What it settles is what it puts; an item of which there is no result is counted by who has it.

    Args:
        baton: The run's.
        inlet: Where they take items from.
        outlets: Where they put what they make.
        tally: Where to count it.
        free: How many items find room there.
        recorder: Counts how long items took.

    Attributes:
        suspends: A call has done so of late.
        runner: Who has taken the last item.
        take: Takes an item.
        took: Where to put how long one took.
        before: What lies before them.
        behind: What they have put.
        promised: Items before them that are not theirs to take.
        full_at: So many items behind them are all that may be there.
        untold_before: Somebody sleeps who has to know of the first item that is taken.
        untold_behind: Somebody sleeps who has to know of the first that is put.
    """

    is_watched: ClassVar[bool] = False

    __slots__ = (
        "_edge",
        "_free",
        "_recorder",
        "before",
        "behind",
        "full_at",
        "promised",
        "runner",
        "suspends",
        "take",
        "took",
        "untold_before",
        "untold_behind",
    )

    def __init__(
        self,
        baton: Baton,
        inlet: Edge[Any],
        outlets: Sequence[Way],
        tally: Tally,
        free: Callable[[], int],
        recorder: Recorder,
    ) -> None:
        super().__init__(baton, inlet, outlets, tally, works=True)
        self._edge = inlet
        self._free = free
        self.suspends = False
        self.runner: object = None
        self.take = inlet.lifting()
        self._recorder = recorder
        self.took = recorder.each()
        self.before = inlet.queue
        self.behind = outlets[0].queue
        self.promised = self.full_at = 0
        self.untold_before = self.untold_behind = False

    def begin(self) -> None:
        """Take the baton."""
        free = self._free()  # Which makes up the books of whoever has it.
        super().begin()
        self._recorder.each()  # No more of them than find room are put there until the next begins.
        self.promised = self._edge.promised
        self.full_at = len(self.behind) + free
        self.untold_before = self.untold_behind = self.is_waited_for

    def interrupt(self) -> None:
        """As of a stretch; each worker knows itself when its item was begun."""
        self.end()

    def wake_senders(self) -> None:
        """As of a stretch; one who waits for an item is promised the next."""
        super().wake_senders()
        self.promised = self._edge.promised
        self.untold_before = False

    def wake_receivers(self) -> None:
        """As of a stretch."""
        before = len(self.behind)
        super().wake_receivers()
        self.full_at += len(self.behind) - before
        self.untold_behind = False

    def tell_receivers(self) -> None:
        """Wake who waits for what was put, if there is any."""
        if self.progress()[1]:
            self.wake_receivers()

    def _count(self, tally: Tally, in_hand: int) -> tuple[int, int]:
        taken, put = self.progress()
        tally.received += taken
        tally.sent += put
        tally.settled += put
        return taken, put
