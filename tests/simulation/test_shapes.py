"""Every shape under some seeds; ``make simulate`` takes many, and sweeps."""

from __future__ import annotations

import pytest

from tests.simulation.shape import MODES, seeds_of
from tests.simulation.shapes import SHAPES

SEEDS = 24
"""For each shape: more than 500 in all."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_gives_what_it_has_to_whatever_runs_when(name, mode):
    shape = SHAPES[name]
    report = shape.simulate(mode, seeds_of(SEEDS)[mode]).raise_for_failures()
    if mode == "calm" or (mode == "withstood" and shape.certain):
        assert report.ended == {"completed": report.runs}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape.is_followed])
def test_the_same_where_sources_are_told_what_became_of_each_item(name, mode):
    shape = SHAPES[name]
    report = shape.simulate(mode, seeds_of(SEEDS // 2)[mode], acks=True).raise_for_failures()
    if mode == "calm" or (mode == "withstood" and shape.certain):
        assert report.ended == {"completed": report.runs}


def test_there_are_enough_shapes_and_seeds():
    assert len(SHAPES) >= 12
    assert len(SHAPES) * SEEDS >= 500


@pytest.mark.parametrize("name", ["zip_by_signature", "threads", "processes"])
def test_the_same_seed_is_the_same_run(name):
    shape = SHAPES[name]
    first, second = (shape.simulate("rough", range(6)) for _ in range(2))
    assert first == second
