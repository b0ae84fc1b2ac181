"""Fan: what a stretch puts into several edges at once.

Nobody can look at an edge without ending the stretch. So what it puts need not lie in each of
them at once: an item costs one step, however many edges there are, and the rest when the
stretch ends, for all its items together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence, Sized
from typing import Any

from .channel import Sender
from .edge import Edge

__all__ = ("Fan",)


class Fan:
    """The edges of a broadcast, as a stretch sees them.

    Args:
        senders: Into edges that are all bounded by a number of items alone.

    Attributes:
        queue: What is not in the edges yet.
        sleepers: Who waits for an item in any of them.
    """

    def __init__(self, senders: Sequence[Sender[Any]]) -> None:
        self.queue: deque[Any] = deque()
        self.sleepers: Sequence[Sized] = [each for sender in senders for each in sender.channel.sleepers]
        self._senders = senders

    def laid(self) -> None:
        """Some were put in, in a stretch: now they lie in every edge that is still wanted."""
        items = list(self.queue)
        self.queue.clear()
        wanted = [each for each in self._senders if not each.channel.abandoned]
        for sender in wanted:
            sender.lay_all(items)
        for sender in wanted:
            sender.channel.laid()

    def on_the_way_to(self, edge: Edge[Any]) -> int:
        """Items that are not in that edge yet."""
        wanted = any(each.channel is edge and not each.channel.abandoned for each in self._senders)
        return len(self.queue) if wanted else 0
