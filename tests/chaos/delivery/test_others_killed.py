"""What our program leans on is killed -9 in the middle: servers, and its own worker processes."""

from __future__ import annotations

import random

import pytest

from tests.chaos.delivery.outside import until, wait
from tests.chaos.delivery.play import Play
from tests.chaos.delivery.routes import ROUTES, WINDOW, Place

MANY = pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(200)])
STRIKES = pytest.mark.parametrize("strikes", [1, MANY])


def strike(playing, server):
    """Kill a server while a child works; it goes on, or ends by an error that says why."""
    with playing.child() as running:
        running.wait_until_at_work()
        wait(playing.rng.uniform(0, 0.2))
        server.restart()
        before = len(playing.feed.acked())
        until(
            "something more is acked",
            lambda: running.process.poll() is not None or len(playing.feed.acked()) > before,
        )
        if running.process.poll() is None:
            running.finish()
        else:
            assert "asyncdataflow.errors.UncertainWriteError: " in running.errors
    playing.check_acked()


def outlive(route, place, server, strikes):
    with Play(route, place, random.Random()) as playing:
        for _ in range(strikes):
            strike(playing, server)
        return playing.finish()


@STRIKES
def test_the_database_that_is_written_to(tmp_path, nats, own_postgres, new_name, strikes):
    place = Place(str(tmp_path), new_name("chaos"), dsn=own_postgres.dsn, url=nats.url)
    verdict = outlive(ROUTES["nats-postgres-copy"], place, own_postgres, strikes)
    assert verdict.faults(allowed=WINDOW * strikes) == []


@STRIKES
def test_the_database_that_is_read_from(tmp_path, own_postgres, new_name, strikes):
    place = Place(str(tmp_path), new_name("chaos"), dsn=own_postgres.dsn)
    verdict = outlive(ROUTES["queue-lines"], place, own_postgres, strikes)
    assert verdict.faults(allowed=WINDOW * strikes) == []


@pytest.mark.parametrize("strikes", [MANY])
def test_the_database_that_keeps_the_positions(tmp_path, own_postgres, new_name, strikes):
    place = Place(str(tmp_path), new_name("chaos"), dsn=own_postgres.dsn)
    verdict = outlive(ROUTES["lines-postgres-transactional"], place, own_postgres, strikes)
    assert verdict.faults(allowed=0) == []


@STRIKES
def test_the_broker(tmp_path, own_nats, postgres, new_name, strikes):
    """It may give again what was acked just before: the sink has to be one that does not mind."""
    place = Place(str(tmp_path), new_name("chaos"), dsn=postgres.dsn, url=own_nats.url)
    verdict = outlive(ROUTES["nats-postgres-upsert"], place, own_nats, strikes)
    assert verdict.faults(allowed=0) == []


def test_worker_processes(tmp_path):
    """Only what a sink was given counts: an item that is sent again to another worker is there once."""
    with Play(ROUTES["lines-sqlite-plain"], Place(str(tmp_path)), random.Random()) as playing:
        with playing.child() as running:
            running.wait_until_at_work()
            for _ in range(3):
                (worker,) = [each for each in running.workers() if "--multiprocessing-fork" in each.cmdline()]
                worker.kill()
                # An item that kills two would rightly fail.
                beyond = len(playing.feed.acked()) + 2 * WINDOW
                until("more is acked", lambda enough=beyond: len(playing.feed.acked()) > enough)
            running.finish()
        verdict = playing.finish()
    assert verdict.faults(allowed=0) == []


def test_asked_to_finish_it_leaves_nothing_to_be_done_twice(tmp_path):
    """So that no play is blamed, or praised, for how it ended."""
    with Play(ROUTES["lines-sqlite-plain"], Place(str(tmp_path)), random.Random()) as playing:
        with playing.child() as running:
            running.wait_until_at_work()
            running.finish()
        assert playing.finish().faults(allowed=0) == []
