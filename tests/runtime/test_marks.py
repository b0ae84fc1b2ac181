"""How long items take from a source to the end, told by marks: exact by a virtual clock."""

from __future__ import annotations

import asyncio
import functools

import pytest

from asyncdataflow import DataFlow, batch, filter_, route, stage, zip_
from asyncdataflow.testing import QueueSource
from tests.runtime.test_meter import (
    a_second,
    after,
    at_once,
    both,
    every_second,
    same,
    slow_in_a_thread,
    three_seconds,
)


async def every_five_seconds(n=10):
    for number in range(n):
        await asyncio.sleep(5)
        yield number


async def stores(item):
    await asyncio.sleep(2)


def told(latency):
    """How many, and what each of them took."""
    seconds = latency.seconds / max(latency.count, 1)
    assert latency.quantile(0) == pytest.approx(latency.quantile(1), rel=1 / 8)
    return latency.count, pytest.approx(seconds)


@both
@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        ((a_second,), 1),
        ((same, a_second, same, three_seconds, same), 4),
        ((stage(a_second, buffer=1), stage(three_seconds, concurrency=3)), 4),
        ((stage(a_second, concurrency=3, ordered=False), three_seconds), 4),
        ((stage(a_second, concurrency=3, key=lambda n: n), three_seconds), 4),
        ((stage(a_second, timeout=4), stage(three_seconds, rate=10)), 4),
        ((slow_in_a_thread, a_second), 3),
        ((filter_(lambda n: n >= 0), a_second), 1),
        ((a_second, stores), 3),
        (((a_second, stage(a_second, name="beside")), same), 1),
    ],
    ids=str,
)
def test_each_item_of_a_slow_source(steps, seconds, fuse):
    count, mean = told(after(100, (every_five_seconds, *steps), fuse=fuse).latency)
    assert seconds == mean
    # Nobody looks any more where the last one is.
    assert count >= 9


@both
def test_what_lies_before_a_slow_stage_is_waited_for(fuse):
    definition = (functools.partial(at_once, 1000), stage(a_second, buffer=10), same)
    latency = after(500, definition, fuse=fuse, buffer=1).latency
    assert latency.count > 5
    assert latency.quantile(0.5) == pytest.approx(12, abs=2)


def test_what_an_operator_holds_back_is_waited_for():
    latency = after(100, (functools.partial(every_second, 50), batch(5), same)).latency
    assert latency.count >= 2
    assert 1 <= latency.quantile(1) <= 4.2


def test_the_slower_of_two_branches_is_seen():
    steps = (every_five_seconds, route(lambda n: "a" if n % 2 else "b"), {"a": a_second, "b": three_seconds})
    latency = after(100, steps).latency
    assert latency.quantile(1) == pytest.approx(3, rel=1 / 16)
    assert latency.quantile(0.1) == pytest.approx(1, rel=1 / 16)


@both
def test_every_branch_of_a_broadcast_is_followed(fuse):
    latency = after(100, (every_five_seconds, same, (a_second, three_seconds)), fuse=fuse).latency
    assert latency.quantile(1) == pytest.approx(3, rel=1 / 16)
    assert latency.quantile(0.1) == pytest.approx(1, rel=1 / 16)


def test_a_row_takes_as_long_as_its_slowest_part():
    latency = after(100, (every_five_seconds, (a_second, three_seconds), zip_, same)).latency
    assert latency.count >= 9
    assert latency.quantile(1) == pytest.approx(3, rel=1 / 16)


def test_a_thousand_stages_are_no_matter():
    latency = after(20, (every_five_seconds, *[stage(same, name=f"s{n}") for n in range(400)])).latency
    assert told(latency) == (3, 0)


def test_what_is_answered_needs_no_marks():
    latency = after(100, (QueueSource(range(10)), a_second)).latency
    assert (latency.count, latency.seconds) == (10, pytest.approx(sum(range(1, 11))))


def test_a_short_run_has_none():
    assert after(1, (at_once, same)).latency.count == 0


async def test_marks_are_told_of_when_the_run_is_over():
    async def slowly():
        for number in range(5):
            await asyncio.sleep(0.02)
            yield number

    run = DataFlow((slowly, same)).stream()
    async for _ in run:
        pass
    assert run.stats().latency.count >= 3
    assert run.stats().latency.quantile(1) < 1
