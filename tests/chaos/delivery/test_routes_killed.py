"""Programs are killed -9 while they work and their input goes on: each route keeps what it promises.

The short version of ``make chaos``, which kills each route fifty times and more.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from asyncdataflow import DeliveryError
from tests.chaos.delivery.play import Play, play
from tests.chaos.delivery.routes import CONTROL, ROUTES, Place, Route, flow_of
from tests.chaos.delivery.stages import expected
from tests.chaos.delivery.verdict import Verdict, judged

KILLS = 2


def check(route, place):
    verdict = play(route, place, kills=KILLS, seed=random.randrange(1 << 32))
    assert verdict.faults(route.allowed(KILLS)) == []


@pytest.mark.parametrize("route", [each for each in ROUTES.values() if each.sink == "sqlite"], ids=str)
def test_between_files(route, tmp_path):
    check(route, Place(str(tmp_path)))


@pytest.mark.parametrize("route", [ROUTES["lines-postgres-transactional"], ROUTES["queue-lines"]], ids=str)
def test_between_files_and_a_database(route, tmp_path, postgres, new_name):
    check(route, Place(str(tmp_path), new_name("chaos"), dsn=postgres.dsn))


@pytest.mark.parametrize("route", [ROUTES["nats-postgres-copy"], ROUTES["nats-postgres-upsert"]], ids=str)
def test_from_a_broker_to_a_database(route, tmp_path, nats, postgres, new_name):
    check(route, Place(str(tmp_path), new_name("chaos"), dsn=postgres.dsn, url=nats.url))


def test_a_broker_has_no_positions_that_a_database_could_keep(tmp_path):
    route = Route("nats-postgres-transactional", "stream", "postgres", "transactional")
    with pytest.raises(DeliveryError, match="has no positions; end in an idempotent Sink"):
        flow_of(route, Place(str(tmp_path), dsn="dbname=any", url="nats://127.0.0.1"))


def test_a_route_that_loses_is_found_out(tmp_path):
    with Play(CONTROL, Place(str(tmp_path)), random.Random(), steady=0) as playing:
        with closing(sqlite3.connect(playing.place.database)) as other, playing.child() as started:
            other.execute("BEGIN IMMEDIATE")  # Nothing that is acked can be written meanwhile.
            started.wait_until_at_work()
            started.kill()
        with pytest.raises(AssertionError, match="acked and not stored"):
            playing.check_acked()
        verdict = playing.finish()
    assert verdict.lost
    assert verdict.faults(CONTROL.allowed(1)) == [f"{verdict.lost} lost"]


def test_what_is_not_as_it_should_be_is_counted():
    rows = [expected(0), expected(1), expected(1), expected(1), expected(9), (3, "other", 9)]
    verdict = judged(range(4), rows)
    assert verdict == Verdict(items=4, lost=2, duplicated=2, strange=2)
    assert verdict.faults(2) == ["2 lost", "2 that nobody has put in"]
    assert verdict.faults(0) == ["2 lost", "2 duplicated, and 0 allowed", "2 that nobody has put in"]
    assert judged(range(2), [expected(1), expected(0)]).faults(0) == []
