"""The stretches of a source: what its iterator gives without suspending goes straight into the edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from .baton import Stretch
from .meter import Meter

__all__ = ("NOTHING", "PullAhead", "Pulled")

NOTHING: Final = object()
"""The end of items, and what a skipped item makes; never in a channel, so no item is taken for it."""

Pulled = tuple[int, Any, Exception | None]
"""Items that were sent; one that is yet to be sent, or ``NOTHING``; the stage's own error."""


class PullAhead:
    """Pulls one iterator.

    Args:
        items: The iterator.
        lay: Puts an item into the edges behind the source.
        stretch: The source's.
        own_error: Makes the stage's own error of what the iterator raised; none of what is not its own.
        meter: Where it is counted how long the iterator has made the source wait.

    Attributes:
        ended: The iterator has come to its end.
    """

    def __init__(
        self,
        items: AsyncIterator[Any],
        lay: Callable[[Any], None],
        stretch: Stretch,
        own_error: Callable[[BaseException], Exception | None],
        meter: Meter,
    ) -> None:
        self._items = items
        self._lay = lay
        self._stretch = stretch
        self._own_error = own_error
        self._meter = meter
        self._is_waiting = False
        stretch.on_interrupt = self._wait
        self.ended = False

    def free(self, outlet: Callable[[], int]) -> int:
        """Items that find room behind the source in this very step, of which that tells for anybody."""
        return outlet()

    def __enter__(self) -> None:
        """It is pulled."""

    def __exit__(self, *_: object) -> None:
        """Nothing more is."""

    def _wait(self) -> None:
        """Others run while the iterator has not given its next item."""
        self._is_waiting = True
        self._meter.waiting.__enter__()

    async def pull(self, items: int) -> Pulled:
        """Send up to so many, which is how many fit.

        An item that comes after somebody else has run may find no room any more: it is handed back.
        """
        stretch, lay = self._stretch, self._lay
        baton = stretch.baton
        stretch.begin()
        baton.watch()
        # Up to where it has to be looked whether that is all: whoever sleeps is told of the first.
        rest, left = (items - 1, 1) if stretch.is_waited_for else (0, items)
        try:
            async for item in self._items:
                if baton.holder is not stretch:
                    return items - rest - left, item, None
                lay(item)
                del item  # Else it lives until the next one comes.
                left -= 1
                if not left:
                    if not rest:
                        break
                    stretch.wake_receivers()
                    rest, left = 0, rest
            else:
                self.ended = True
        except (asyncio.CancelledError, Exception) as raised:
            error = self._own_error(raised)
            if error is None:
                raise
            try:
                return items - rest - left, NOTHING, error
            finally:
                del error  # Its traceback has this frame: a cycle.
        finally:
            if baton.holder is stretch:
                stretch.end()
            elif self._is_waiting:
                self._is_waiting = False
                self._meter.waiting.__exit__()
        return items - rest - left, NOTHING, None
