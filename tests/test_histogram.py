"""What a histogram says of what it has seen, beside the sorted list of it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdataflow.histogram import RELATIVE_ERROR, Histogram, Recorder

SECONDS = st.floats(min_value=2.0**-23, max_value=2.0**17, allow_nan=False)
SHARES = st.floats(min_value=0, max_value=1)


def seen(values):
    recorder = Recorder()
    for value in values:
        recorder.add(value)
    return recorder.histogram()


def exact(values, share):
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


@given(st.lists(SECONDS, min_size=1), SHARES)
def test_a_quantile_is_that_of_the_sorted_list(values, share):
    histogram, truth = seen(values), exact(values, share)
    assert abs(histogram.quantile(share) - truth) <= truth * RELATIVE_ERROR * (1 + 1e-12)
    assert histogram.count == len(values)
    assert histogram.seconds == pytest.approx(math.fsum(values))


@given(st.lists(SECONDS), st.lists(SECONDS))
def test_added_up_they_are_what_both_have_seen(some, others):
    both, at_once = seen(some) + seen(others), seen(some + others)
    assert (both.count, both.counts) == (at_once.count, at_once.counts)
    assert both.seconds == pytest.approx(at_once.seconds)


@given(st.lists(SECONDS), st.integers(-23, 16))
def test_how_many_were_done_within_a_power_of_two_is_exact(values, power):
    assert seen(values).within(2.0**power) == sum(value < 2.0**power for value in values)


@given(st.lists(SECONDS, min_size=1), SHARES, st.floats(min_value=0.01, max_value=1))
def test_a_share_of_each_is_twice_as_coarse(values, share, part):
    recorder = Recorder()
    recorder.merge(seen(values), part)
    truth = exact(values, share) * part
    error = (1 + RELATIVE_ERROR) ** 2 - 1
    assert abs(recorder.histogram().quantile(share) - truth) <= truth * error + 2.0**-23


def test_its_memory_is_bounded():
    recorder = Recorder()
    draw = random.Random(1)
    for _ in range(100_000):
        recorder.add(2.0 ** draw.uniform(-40, 40))
    assert len(recorder.histogram().counts) <= 16 * 40 + 2


def test_what_is_too_short_is_nothing_and_what_is_too_long_is_a_day_and_a_half():
    assert seen([0.0]).quantile(0.5) == 0.0
    assert seen([1e300]).quantile(0.5) == 2.0**17
    assert seen([0.0, 1e300]).count == 2


def test_many_at_once_are_many():
    recorder = Recorder()
    recorder.add(0.5, 127)
    assert recorder.histogram() == seen([0.5] * 127)


def test_quick_ones_that_are_added_together_count_with_their_mean():
    recorder = Recorder()
    for _ in range(50):
        recorder.add_together(1e-6, 10)
        recorder.add_together(9e-6, 10)
    recorder.add_together(2.0, 4)
    seconds = 50 * 1e-5 + 2
    assert recorder.seconds == pytest.approx(seconds)
    histogram = recorder.histogram()
    assert (histogram.count, histogram.seconds) == (1004, pytest.approx(seconds))
    assert histogram.quantile(0.99) == pytest.approx(5e-7, rel=0.1)
    assert histogram.within(0.25) == 1000


@given(st.lists(SECONDS, max_size=200))
def test_single_ones_are_each_counted(values):
    recorder = Recorder()
    for value in values:
        recorder.each().append(value)
    assert recorder.seconds == pytest.approx(math.fsum(values))
    assert recorder.histogram().counts == seen(values).counts


def test_of_very_many_single_ones_some_stand_for_all():
    recorder = Recorder()
    for number in range(10_003):
        recorder.each().append(number / 1000)
        assert len(recorder.each()) < 300
    seconds = sum(range(10_003)) / 1000
    assert recorder.seconds == pytest.approx(seconds)
    histogram = recorder.histogram()
    assert (histogram.count, histogram.seconds) == (10_003, pytest.approx(seconds))
    assert histogram.quantile(0.5) == pytest.approx(5, rel=0.05)


def test_of_nothing_everything_is_nothing():
    assert (Histogram().mean, Histogram().quantile(0.99), Histogram().within(1)) == (0.0, 0.0, 0)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="from 0 to 1 is needed"):
        seen([1.0]).quantile(share)


def test_it_is_frozen():
    with pytest.raises(AttributeError):
        Histogram().count = 3
