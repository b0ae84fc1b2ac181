"""Disks that are full or fail under a route: it stops and says so, and the next run completes it."""

from __future__ import annotations

import random
import subprocess

import pytest

from tests.chaos.delivery.play import Play
from tests.chaos.delivery.routes import ROUTES, Place
from tests.connectors.disks import failing_fsync, small_disk

SQLITE = ["lines-sqlite-plain", pytest.param("lines-sqlite-transactional", marks=pytest.mark.slow)]
LIMIT = 'ulimit -f 128; exec "$@"'
"""64 KiB a file, as sh counts."""


def stopped(playing, error, *before):
    """Run until it stops by itself, with this error; what it has acked by then is stored."""
    playing.stop_feeding()
    with playing.child(*before) as running:
        assert running.ended() == 1
        assert f"asyncdataflow.errors.{error}: " in running.errors
    playing.check_acked()
    assert playing.verdict().lost


def big(route, place):
    """A route with 200 items of 1 KiB, and no more."""
    return Play(route, place, random.Random(), size=1000, steady=0)


@pytest.mark.parametrize("name", SQLITE)
def test_a_full_disk_under_sqlite(name, tmp_path):
    route = ROUTES[name]
    with small_disk(tmp_path, "256k") as disk, big(route, Place(str(tmp_path), disk=str(disk))) as playing:
        stopped(playing, "StorageFullError")
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        assert playing.finish().faults(route.allowed(1)) == []


def test_no_room_for_lines(tmp_path, postgres, new_name):
    route = ROUTES["queue-lines"]
    with big(route, Place(str(tmp_path), new_name("chaos"), dsn=postgres.dsn)) as playing:
        stopped(playing, "StorageFullError", "sh", "-c", LIMIT, "sh")
        assert playing.finish().faults(route.allowed(1)) == []


@pytest.mark.parametrize("name", SQLITE)
def test_an_fsync_that_fails(name, tmp_path):
    check_eio(ROUTES[name], Place(str(tmp_path)))


def test_an_fsync_of_lines_that_fails(tmp_path, postgres, new_name):
    check_eio(ROUTES["queue-lines"], Place(str(tmp_path), new_name("chaos"), dsn=postgres.dsn))


def check_eio(route, place):
    # Of each thread, the calls from this one on: those of the sink, or of the file of positions.
    with big(route, place) as playing:
        stopped(playing, "StorageError", *failing_fsync("5+"))
        assert playing.finish().faults(route.allowed(1)) == []
