"""Tally: which items of chunks are begun, as far as the loop knows.

It is told when a thread has done with a chunk, not when one takes it: but chunks are taken in
the order in which they are posted, and as many as there are threads at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .._threads.chunk import Chunk
from .meter import AnyWait, Meter, Spent
from .supervise import Counters

__all__ = ("AtWork", "Tally")


class _AnyBlock(AnyWait):
    """How long anybody has waited for room, and how long threads were busy all the same.

    Args:
        clock: Tells the time.
        busy: Tells how long threads were busy so far, in all.
    """

    def __init__(self, clock: Callable[[], float], busy: Callable[[], float]) -> None:
        super().__init__(clock)
        self._busy = busy
        self._meanwhile = 0.0

    def __enter__(self) -> None:
        """As in ``Waits``."""
        super().__enter__()
        if self._places == 1:
            self._meanwhile -= self._busy()

    def __exit__(self, *raised: object) -> None:
        """As in ``Waits``."""
        super().__exit__(*raised)
        if not self._places:
            self._meanwhile += self._busy()

    @property
    def meanwhile(self) -> float:
        """Seconds of threads that were busy while anybody waited, up to now."""
        return self._meanwhile + (self._busy() if self._places else 0.0)


class _Alone:
    """Around what is done for one item; ``contextmanager`` would write to the error, which may be frozen."""

    def __init__(self, meter: Meter, took: float) -> None:
        self._meter = meter
        self._began = meter.clock() - took

    def __enter__(self) -> None:
        """It was begun."""

    def __exit__(self, *_: object) -> None:
        """It is made, or given up."""
        self._meter.recorder.add(self._meter.clock() - self._began)


class AtWork:
    """How long a stage's threads are at work.

    Args:
        threads: How many there are.
        meter: Where its workers leave their time, who hand chunks on, and what items took is counted.
    """

    def __init__(self, threads: int, meter: Meter) -> None:
        self._threads = threads
        self._meter = meter
        self._chunks: set[Chunk] = set()
        self._seconds = 0.0
        self._blocked = _AnyBlock(meter.clock, self._busy)
        meter.counts_block(self._blocked)

    def begun(self, chunk: Chunk) -> Chunk:
        """It is on its way to the threads."""
        self._chunks.add(chunk)
        return chunk

    def ended(self, chunk: Chunk, *, counts: bool = True) -> None:
        """A thread has done with it.

        Args:
            chunk: What that was.
            counts: It had items at their first attempt; one at which it has stopped is timed :meth:`alone`.
        """
        if chunk not in self._chunks:
            return  # The run was over before.
        self._chunks.remove(chunk)
        self._seconds += chunk.seconds
        well = chunk.done - (chunk.stop is not None)
        if counts and well:
            self._meter.recorder.add(chunk.each, well)

    def alone(self, took: float) -> _Alone:
        """One that has taken so long is seen to in this block: again, maybe, or given up."""
        return _Alone(self._meter, took)

    def let_go(self) -> None:
        """The run is over; what no thread has come back with knows its way back here."""
        self._seconds = self._busy()
        self._chunks.clear()

    def _busy(self) -> float:
        now = self._meter.clock()
        under_way = (chunk.seconds or now - chunk.began for chunk in self._chunks if chunk.began is not None)
        return self._seconds + sum(under_way)

    def tell(self, spent: Spent) -> None:
        """Threads are busy with chunks, and blocked where they are not while anybody waits for room."""
        lived = self._threads * spent.elapsed
        spent.busy = min(self._busy(), lived)
        idle = self._threads * spent.blocked - self._blocked.meanwhile
        spent.blocked = min(max(idle, 0.0), lived - spent.busy)
        spent.waiting = lived - spent.busy - spent.blocked


class Tally:
    """The chunks of a stage.

    Args:
        threads: How many it has.
        counters: Where items are counted that are begun.

    Attributes:
        taken: Items taken in all.
        at_work: Chunks posted that will end soon, or else be late.
    """

    def __init__(self, threads: int, counters: Counters) -> None:
        self.taken = 0
        self.at_work = 0
        self._threads = threads
        self._counters = counters
        self._running = 0
        self._posted: deque[Chunk] = deque()

    @property
    def waiting(self) -> int:
        """Items taken and not begun."""
        return self.taken - self._counters.received

    def posted(self, chunk: Chunk, *, watched: bool) -> None:
        """It is on its way to the threads; watched, it is told of when it is late."""
        chunk.late = not watched
        self.at_work += watched
        self._posted.append(chunk)
        self._begin()

    def fetched(self, chunk: Chunk) -> None:
        """Those that were fetched were begun, and one behind them."""
        if chunk.counted:
            # One at least, which tells it from what no thread has: all may have been taken back meanwhile.
            begun = max(min(chunk.done + 1, chunk.length), 1)
            self._counters.received += begun - chunk.counted
            chunk.counted = begun

    def late(self, chunk: Chunk) -> None:
        """It lasts longer than it was to."""
        if not chunk.late:
            chunk.late = True
            self.at_work -= 1

    def ended(self, chunk: Chunk) -> None:
        """A thread has done with it."""
        self.late(chunk)
        if chunk.counted:
            self._running -= 1
        else:
            self._posted.remove(chunk)
        self._counters.received += chunk.done - chunk.counted
        self._begin()

    def _begin(self) -> None:
        """Each free thread begins one."""
        while self._posted and self._running < self._threads:
            self._posted.popleft().counted = 1
            self._running += 1
            self._counters.received += 1
