"""Whether memory grows: a leak is found however small, and steps and noise are none."""

from __future__ import annotations

import random

import pytest

from tests.soak.trend import trend

HOUR = 3600.0
SMALL = 100e6 / (30 * 24 * HOUR)
TIMES = [float(second) for second in range(1500)]


def noise(size, seed=1):
    rng = random.Random(seed)
    return [rng.gauss(0, size) for _ in TIMES]


@pytest.mark.parametrize("an_item", [1, 10, 100])
def test_a_leak_of_so_many_bytes_an_item_is_found(an_item):
    rate = 250
    values = [50e6 + an_item * rate * time + noise for time, noise in zip(TIMES, noise(20_000), strict=True)]
    found = trend(TIMES, values)
    assert not found.is_zero(SMALL)
    assert found.low < an_item * rate < found.high
    assert found.slope == pytest.approx(an_item * rate, rel=0.3)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_none(seed):
    assert trend(TIMES, noise(100_000, seed)).is_zero(SMALL)


@pytest.mark.parametrize("where", [100, 700, 1400])
def test_one_step_is_none(where):
    values = [50e6 + 262_144 * (time > where) + noise for time, noise in zip(TIMES, noise(2000), strict=True)]
    assert trend(TIMES, values).is_zero(SMALL)


def test_a_saw_is_none_and_one_that_climbs_is():
    saw = [50e6 + 10_000 * (time % 60) for time in TIMES]
    assert trend(TIMES, saw).is_zero(SMALL)
    climbing = [value + 500 * time for value, time in zip(saw, TIMES, strict=True)]
    assert not trend(TIMES, climbing).is_zero(SMALL)


def test_what_stands_still_has_no_slope():
    found = trend(TIMES, [7.0] * len(TIMES))
    assert (found.slope, found.low, found.high, found.level) == (0, 0, 0, 7)


def test_what_is_too_small_to_matter_is_zero():
    assert trend(TIMES, [50e6 + 30 * time for time in TIMES]).is_zero(SMALL)


def test_of_little_nothing_is_said():
    assert trend(TIMES[:11], TIMES[:11]) is None
