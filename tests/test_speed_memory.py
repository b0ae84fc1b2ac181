"""The peak of memory in the speed table: what is held for a moment counts, what was held before does not."""

from __future__ import annotations

import pytest

from asyncdataflow import DataFlow
from benchmarks.speed import memory, w6

LARGE = 32_000_000


@pytest.mark.skipif(not memory.FORGET.exists(), reason="only Linux lets a peak begin anew")
def test_the_peak_is_that_since_it_began_anew():
    memory.forget_peak()
    empty = memory.peak()
    held = bytearray(LARGE)
    del held
    assert memory.peak() - empty > LARGE * 0.9
    memory.forget_peak()
    assert memory.peak() - empty < LARGE * 0.1


def test_the_flow_is_bounded_by_what_its_floor_says():
    assert DataFlow((w6.payloads, w6.step)).bound() == w6.BOUND


def test_an_item_is_as_large_as_it_says():
    assert len(w6.payload(7)) == w6.SIZE
