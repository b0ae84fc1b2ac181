"""Every shape with an instrument that follows half of its messages: it keeps its rules, and tells of all."""

from __future__ import annotations

import functools
import random

import pytest

from asyncdataflow.abc import Instrument, Span
from asyncdataflow.testing import simulate
from tests.simulation.shape import MODES, seeds_of
from tests.simulation.shapes import SHAPES

SEEDS = 6


class Call(Span):
    def __init__(self):
        self.ends = 0

    def end(self, error):
        self.ends += 1


class Listener(Instrument):
    """Follows half of the messages."""

    def __init__(self):
        self.settled_times, self.calls = [], []

    def begin(self, flow, source, message):
        if random.random() < 0.5:
            return None
        self.settled_times.append(0)
        return len(self.settled_times) - 1

    def call(self, stage, attempt, traces):
        assert traces
        assert attempt >= 1
        self.calls.append(Call())
        return self.calls[-1]

    def settled(self, trace, error):
        self.settled_times[trace] += 1


def followed(make, listeners):
    flow = make()
    listeners.append(Listener())
    flow.instruments = (listeners[-1],)
    return flow


@pytest.mark.parametrize("acks", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_with_an_instrument(name, mode, acks):
    shape = SHAPES[name]
    if acks and not shape.is_followed:
        pytest.skip("its sources cannot be told")
    make, claim = shape._story(mode, acks=acks)
    listeners = []
    report = simulate(
        functools.partial(followed, make, listeners),
        check=claim,
        seeds=seeds_of(SEEDS)[mode],
        faults=shape.faults(mode),
    ).raise_for_failures()
    for each in listeners:
        assert set(each.settled_times) <= {1}
        assert all(call.ends <= 1 for call in each.calls)
        if mode == "calm":
            assert all(call.ends == 1 for call in each.calls)
    if mode == "calm":
        # One that is drained may be so before its first item.
        assert any(each.calls for each in listeners) or shape.withstands.drains
        assert report.ended == {"completed": report.runs}
