"""Tally: which chunks the threads have, and how many of their items are begun."""

from __future__ import annotations

from asyncdataflow._runtime.supervise import Counters
from asyncdataflow._runtime.tally import Tally
from asyncdataflow._threads.chunk import Chunk


def chunk_of(*items):
    return Chunk(items, None, lambda kind: False, lambda: 0.0, lambda chunk: None)


def test_a_chunk_may_lose_all_its_items_before_its_thread_has_the_first():
    """A thread has looked at the clock and not yet taken an item: the loop is quicker, and asks for news."""
    counters = Counters()
    tally = Tally(1, counters)
    first, second = chunk_of(1, 2), chunk_of(3)
    tally.posted(first, watched=True)
    tally.posted(second, watched=False)
    first.began = 0.0
    assert list(first.take_back()) == [1, 2]
    tally.fetched(first)
    first.deliver(True, None)
    tally.ended(first)
    # Only the one behind it is begun, by the thread that is free now.
    assert (counters.received, tally.at_work) == (1, 0)
    second.deliver(True, None)
    tally.ended(second)
