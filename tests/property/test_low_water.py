"""The low-water mark against a model that keeps everything: any order of giving and settling."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from asyncdataflow.low_water import LowWater

POSITIONS = st.one_of(st.integers(), st.text(max_size=3), st.tuples(st.integers(), st.text(max_size=2)))
PARTITIONS = st.sampled_from([None, "a.jsonl", ("topic", 3)])


class Model:
    """Every position with whether it is done; the mark is looked for from the start each time."""

    def __init__(self, marks=()):
        self.start = dict(marks)
        self.given = {}

    def give(self, position, partition):
        entry = [position, False]
        self.given.setdefault(partition, []).append(entry)
        return entry

    def marks(self):
        marks = dict(self.start)
        for partition, entries in self.given.items():
            for position, done in entries:
                if not done:
                    break
                marks[partition] = position
        return marks


class Machine(RuleBasedStateMachine):
    """Given out in order; acked in any; nacked ones stay where they are until they are acked."""

    places = Bundle("places")

    def __init__(self):
        super().__init__()
        self.low, self.model = LowWater({"a.jsonl": "start"}), Model({"a.jsonl": "start"})

    @rule(target=places, position=POSITIONS, partition=PARTITIONS)
    def give(self, position, partition):
        return self.low.give(position, partition), self.model.give(position, partition), partition

    @rule(each=consumes(places))
    def ack(self, each):
        place, entry, partition = each
        before = self.model.marks().get(partition, Model)
        first = next(other for other in self.model.given[partition] if not other[1])
        entry[1] = True
        assert self.low.done(place) is (first is entry)
        assert first is entry or self.model.marks().get(partition, Model) == before

    @rule(target=places, each=consumes(places))
    def nack_and_give_again(self, each):
        return each

    @invariant()
    def agrees(self):
        assert self.low.marks() == self.model.marks()
        assert self.low.outstanding == sum(
            not done for entries in self.model.given.values() for _, done in entries
        )


TestLowWater = Machine.TestCase


@given(st.data(), st.integers(1, 40))
def test_in_any_order_the_mark_never_passes_one_that_is_not_done(data, count):
    order = data.draw(st.permutations(range(count)))
    left_out = data.draw(st.sets(st.sampled_from(range(count))))
    low = LowWater()
    places = [low.give(position) for position in range(count)]
    for position in order:
        if position not in left_out:
            low.done(places[position])
    assert low.marks().get(None, -1) == min(left_out, default=count) - 1


def test_done_twice_is_refused():
    low = LowWater()
    first, second, third = (low.give(position) for position in range(3))
    low.done(second)
    low.done(first)
    for place in (first, second):
        with pytest.raises(ValueError, match="not outstanding"):
            low.done(place)
    assert low.marks() == {None: 1}
    low.done(third)
    with pytest.raises(ValueError, match="not outstanding"):
        low.done(third)
    assert (low.marks(), low.outstanding) == ({None: 2}, 0)


def test_a_place_of_another_is_refused():
    low, other = LowWater(), LowWater()
    low.give(1)
    other.give(1)
    with pytest.raises(ValueError, match="not outstanding"):
        low.done(other.give(2))


def test_what_is_done_behind_a_gap_takes_no_memory():
    """One that is stuck, and any number done behind it."""
    low = LowWater()
    stuck = low.give(0)

    def go_on(begin, count):
        for position in range(begin, begin + count):
            low.done(low.give(position))

    go_on(1, 1000)
    gc.collect()
    tracemalloc.start()
    go_on(1001, 20_000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000
    assert low.marks() == {}
    low.done(stuck)
    assert low.marks() == {None: 21_000}
