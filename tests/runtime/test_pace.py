"""How many items go to a thread at once."""

from __future__ import annotations

import pytest

from asyncdataflow._runtime.pace import Pace

MANY = 10_000


def told(*chunks, seconds=0.001):
    """A pace that has seen chunks of so many items that took so long each."""
    pace = Pace(seconds)
    for items, each in chunks:
        pace.took(items, items * each)
    return pace


def grown(each, chunks=12):
    """A pace that has seen so many full chunks of one sort of item."""
    pace = Pace(0.001)
    for _ in range(chunks):
        items = pace.length(MANY, 1)
        pace.took(items, items * each)
    return pace


def test_what_nothing_is_known_of_goes_alone():
    assert Pace(0.001).length(MANY, 4) == 1


def test_full_chunks_double_until_they_last_as_long_as_they_shall():
    pace, lengths = Pace(0.001), []
    for _ in range(8):
        lengths.append(pace.length(MANY, 1))
        pace.took(lengths[-1], lengths[-1] * 0.00002)
    assert lengths == [1, 2, 4, 8, 16, 32, 50, 50]


def test_slow_items_go_alone():
    assert grown(0.004).length(MANY, 1) == 1


def test_there_is_an_end_to_it():
    assert grown(0.0, chunks=50).length(MANY, 1) == 1024


def test_never_more_than_lie_there():
    assert grown(0.0).length(7, 1) == 7


def test_every_idle_thread_gets_work():
    pace = grown(0.0001)
    assert [pace.length(8, idle) for idle in (0, 1, 2, 4, 8)] == [8, 8, 4, 2, 1]


def test_what_is_done_in_no_time_is_not_shared():
    pace = grown(0.000001)
    assert pace.length(100, 4) == 100
    assert pace.length(MANY, 4) == 1000


def test_a_slow_chunk_shortens_the_next_ones():
    pace = grown(0.00001)
    before = pace.length(MANY, 1)
    pace.took(before, before * 0.00005)
    assert pace.length(MANY, 1) < before


@pytest.mark.parametrize("stall", [0.005, 5.0])
def test_one_that_only_waited_for_the_interpreter_does_not_spoil_it(stall):
    pace = grown(0.00001)
    before = pace.length(MANY, 1)
    pace.took(before, stall)
    assert pace.length(MANY, 1) >= before // 2


def test_late_ones_make_short_ones_that_grow_again():
    pace = grown(0.0)
    pace.late()
    assert pace.length(MANY, 1) == 256
    for _ in range(6):
        pace.late()
    assert pace.length(MANY, 1) == 1
    pace.took(1, 0.0)
    assert pace.length(MANY, 1) == 2


def test_nothing_is_learnt_of_no_items():
    pace = Pace(0.001)
    pace.took(0, 1.0)
    assert pace.length(MANY, 1) == 1
    assert not pace.is_quick


def test_what_is_worth_another_thread():
    assert told((1, 0.00001)).is_quick
    assert not told((1, 0.0002)).is_quick
    assert told((1, 0.00001)).is_worth(10)
    assert not told((1, 0.00001)).is_worth(9)
    assert Pace(0.001).is_worth(1)
