from __future__ import annotations

import pytest

from asyncdataflow import batch, filter_, scan, split, take, until, zip_
from asyncdataflow.operators import map_batches


def odd(number):
    return number % 2


MAKERS = [
    lambda: batch(2),
    lambda: batch(2, 0.5),
    lambda: filter_(odd),
    lambda: map_batches(odd, 8),
    lambda: scan(odd, [0]),
    split,
    lambda: take(3),
    lambda: take(4),
    lambda: until(odd),
    lambda: until(odd, inclusive=True),
    zip_,
    lambda: zip_(uneven="shortest"),
]


@pytest.mark.parametrize("make", MAKERS)
def test_what_was_made_alike_is_equal_and_nothing_else_is(make):
    one, other = make(), make()
    assert one == other
    assert len({one, other}) == 1
    assert repr(one.operator) == repr(other.operator)
    assert [each() == one for each in MAKERS].count(True) == 1


def test_an_operator_says_what_it_is_set_to():
    assert repr(batch(3).operator) == "Batch(size=3, seconds=None)"
