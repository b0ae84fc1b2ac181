"""Every route is killed fifty times and more while its input goes on: ``make chaos``.

``--route`` and ``--seed`` play what failed again, as far as that can be: when a process is killed is
the same, what the system has done by then is not.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack

import pytest

from tests.servers import Nats, Postgres, cluster, running

from .play import play
from .routes import ROUTES, Place, Route
from .verdict import Verdict


def run_all(routes: list[Route], kills: int, seed: int) -> int:
    """Play one route after the other, and print the table."""
    print(
        f"{'route':31} {'kills':>6} {'items':>7} {'lost':>5} {'duplicated':>10} {'allowed':>8} {'seconds':>8}"
    )
    total, failures = 0, []
    with ExitStack() as servers:
        data = servers.enter_context(cluster())
        postgres = servers.enter_context(running(lambda folder: Postgres(folder, data)))
        nats = servers.enter_context(running(Nats))
        for number, route in enumerate(routes):
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                place = Place(folder, f"chaos_{number}", dsn=postgres.dsn, url=nats.url)
                try:
                    verdict = play(route, place, kills=kills, seed=seed)
                except Exception as error:  # noqa: BLE001 - told below; the other routes are played all the same
                    failures.append("".join(traceback.format_exception(error)))
                    print(f"{route!s:31} {kills:6} FAILED", flush=True)
                    continue
            total += kills
            failures += [f"{route}: {each}" for each in verdict.faults(route.allowed(kills))]
            print(_row(route, kills, verdict, time.monotonic() - began), flush=True)
    print(f"{total} kills, {len(failures)} failures, seed {seed}")
    for each in failures:
        print(f"\n{each}\nplay it again: python -m tests.chaos.delivery --kills {kills} --seed {seed}")
    return int(bool(failures))


def _row(route: Route, kills: int, verdict: Verdict, seconds: float) -> str:
    return (
        f"{route!s:31} {kills:6} {verdict.items:7} {verdict.lost:5} {verdict.duplicated:10} "
        f"{route.allowed(kills):8} {seconds:8.0f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.delivery", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each route (%(default)s)")
    parser.add_argument("--route", action="append", choices=ROUTES, help="only this one, or these")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of what is at random")
    asked = parser.parse_args(arguments)
    try:
        return run_all([ROUTES[name] for name in asked.route or ROUTES], asked.kills, asked.seed)
    except pytest.skip.Exception as missing:
        print(missing)
        return 1


if __name__ == "__main__":
    sys.exit(main())
