"""The short version of ``make soak``: about twenty seconds, in which memory is looked at, and not judged."""

from __future__ import annotations

import random

import pytest

from tests.soak import report
from tests.soak.sample import LETTERS, Sample, faults_of
from tests.soak.soak import Terms, soak

SHORT = Terms(seconds=15.0, rate=150.0, pause=0.5, every=0.25)


@pytest.mark.timeout(200)
def test_a_short_one(own_nats, own_postgres):
    seed = random.randrange(1 << 32)
    seen = soak(Terms(**{**vars(SHORT), "seed": seed}), own_nats, own_postgres, print)
    assert report.faults(seen) == [], f"seed {seed}"
    assert all(row["zero"] is None for row in report.verdicts(seen))
    for service in seen.services:
        assert seen.verdicts[service.name].items > 0
        assert service.life.samples
    assert [len(each.lives) for each in seen.steady] == [1, 1]
    assert seen.strikes.done
    assert "0 faults" in report.markdown(seen, "here")


def counts(**given):
    names = (
        "received",
        "sent",
        "filtered",
        "skipped",
        "dead_lettered",
        "failed",
        "in_flight",
        "queued",
        "dropped",
    )
    return dict.fromkeys(names, 0) | given


def sample(stages):
    return Sample(1.0, 10, 0, 0, 0, {}, 1, 1, 1, "running", stages)


def test_counters_that_add_up():
    stages = {
        "source": counts(received=10, sent=9, in_flight=1),
        "work": counts(received=6, sent=3, dead_lettered=1, skipped=1, in_flight=1, queued=2, dropped=1),
        "sink": counts(received=2, filtered=2, queued=1),
        LETTERS: counts(received=1, filtered=1),
    }
    assert faults_of(sample(stages)) == []


@pytest.mark.parametrize(
    ("stage", "wrong"),
    [
        ("source", {"sent": 8}),
        ("work", {"in_flight": 0}),
        ("sink", {"queued": 0}),
        (LETTERS, {"received": 0}),
    ],
    ids=str,
)
def test_counters_that_do_not(stage, wrong):
    stages = {
        "source": counts(received=10, sent=10),
        "work": counts(received=10, sent=8, dead_lettered=1, in_flight=1),
        "sink": counts(received=7, filtered=7, queued=1),
        LETTERS: counts(received=1, filtered=1),
    }
    assert faults_of(sample(stages)) == []
    stages[stage] |= wrong
    assert faults_of(sample(stages))
