"""One soak: four services under load, two of which are left alone and two are not."""

from __future__ import annotations

import functools
import random
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.delivery.outside import until
from tests.chaos.delivery.routes import Place, Route
from tests.chaos.delivery.stores import look, make_store, stored
from tests.chaos.delivery.verdict import Verdict, judged
from tests.servers import Nats, Postgres, Started

from .flows import LINES, STREAM, letters_of
from .load import Load
from .service import Service
from .stages import is_hopeless
from .strikes import Strikes

__all__ = ("Soak", "Terms", "soak")

_SERVICES = (
    ("steady_stream", STREAM),
    ("steady_lines", LINES),
    ("struck_stream", STREAM),
    ("struck_lines", LINES),
)
_PATIENCE = 180.0
_TELLS = 12.0


@dataclass(frozen=True)
class Terms:
    """How it is soaked.

    Attributes:
        seconds: How long something is put in.
        rate: Items a second, for each service.
        pause: Seconds between two strikes, at most twice as many.
        every: Seconds between two samples.
        seed: Of what is at random.
        leak: Bytes of each item that the services are to keep.
    """

    seconds: float = 1800.0
    rate: float = 250.0
    pause: float = 6.0
    every: float = 1.0
    seed: int = 0
    leak: int = 0


@dataclass
class Soak:
    """What a soak came to.

    Attributes:
        terms: Its terms.
        services: All of them.
        steady: Those that were left alone.
        strikes: How often what has happened.
        verdicts: Of each service by its name.
        faults: What is wrong, in words.
        seconds: How long it took, until the last item was stored.
    """

    terms: Terms
    services: list[Service]
    steady: list[Service]
    strikes: Strikes
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def soak(
    terms: Terms,
    nats: Nats,
    postgres: Postgres,
    tell: Callable[[str], None],
    started: Started = lambda process, number: None,
) -> Soak:
    """Put in, strike, sample; then let it finish, and judge.

    Args:
        terms: How.
        nats: A server of its own.
        postgres: Another one.
        tell: Given a line every ten seconds or so.
        started: Told of each process of a service.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        parts = []
        for name, route in _SERVICES:
            place = _made(route, name, folder, nats, postgres)
            service = Service(
                name,
                route,
                place,
                began=began,
                every=terms.every,
                leak=terms.leak,
                tell=tell,
                started=started,
            )
            stack.callback(service.kill)
            service.start()
            parts.append((service, Load(route, place, terms.rate)))
        services = [service for service, _ in parts]
        for each in services:
            each.wait_until_ready()
        # PostgreSQL's SIGTERM waits until its clients go, which do not: SIGINT is its quick stop.
        servers = {"NATS": (nats, signal.SIGTERM), "PostgreSQL": (postgres, signal.SIGINT)}
        strikes = Strikes(random.Random(terms.seed), servers, services[:2], services[2:])
        seen = Soak(terms, services, services[:2], strikes)
        with _loading([load for _, load in parts]):
            _strike(seen, [load for _, load in parts], began, tell)
        for service, load in parts:
            _try(seen, load.check)
            _try(seen, functools.partial(_finish, seen, service, load))
        seen.seconds = time.monotonic() - began
    return seen


def _made(route: Route, name: str, folder: Path, nats: Nats, postgres: Postgres) -> Place:
    """Where a service has its things, with what it writes to."""
    own = folder / name
    own.mkdir()
    place = Place(str(own), name, dsn=postgres.dsn, url=nats.url)
    make_store(route, place)
    if route is STREAM:
        _tell(place.dsn, f"CREATE TABLE {letters_of(place)} (id integer PRIMARY KEY, stage text, error text)")
    return place


@contextmanager
def _loading(loads: list[Load]) -> Iterator[None]:
    try:
        for each in loads:
            each.start()
        yield
    finally:
        for each in loads:
            each.stop()


def _strike(seen: Soak, loads: list[Load], began: float, tell: Callable[[str], None]) -> None:
    """Until the time is over."""
    strikes, rng = seen.strikes.endless(), seen.strikes.rng
    end = time.monotonic() + seen.terms.seconds
    told = began
    due = time.monotonic() + seen.terms.pause
    while time.monotonic() < end:
        for each in seen.services:
            each.look()
        if time.monotonic() >= due:
            _try(seen, next(strikes))
            due = time.monotonic() + rng.uniform(0, 2 * seen.terms.pause)
        if time.monotonic() - told > _TELLS:
            told = time.monotonic()
            tell(_line(seen, loads, told - began))
        time.sleep(0.1)


def _try(seen: Soak, action: Callable[[], None]) -> None:
    """What goes wrong on the way is told at the end; the rest is done all the same."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - told
        seen.faults.append("".join(traceback.format_exception(error)))


def _line(seen: Soak, loads: list[Load], now: float) -> str:
    said = [f"{now:6.0f} s  put {sum(each.put for each in loads):8}  strikes {seen.strikes.done.total():4}"]
    for each in seen.services:
        # One that was just started has not said anything yet.
        with suppress(IndexError):
            last = each.life.samples[-1]
            said.append(f"{each.name} #{len(each.lives)} {last.items} in, {last.rss / 1e6:.1f} MB")
    said.append(f"faults {sum(len(each.faults) for each in seen.services)}")
    return "  ".join(said)


def _finish(seen: Soak, service: Service, load: Load) -> None:
    """Let it store what it has, end it, and look."""
    try:
        until(
            f"all is stored by {service.name}",
            lambda: service.look() or _count(service) >= load.put,
            _PATIENCE,
        )
    except AssertionError as error:
        seen.faults.append(str(error))
    service.stop()
    service.check_said()
    numbers = range(load.put)
    hopeless = {each for each in numbers if is_hopeless(each)} if service.route is STREAM else set()
    rows = stored(service.route, service.place, finished=True)
    verdict = judged((each for each in numbers if each not in hopeless), rows)
    seen.verdicts[service.name] = verdict
    seen.faults += [f"{service.name}: {each}" for each in verdict.faults(allowed=0)]
    letters = _letters(service)
    if letters != hopeless:
        wrong = f"{len(hopeless - letters)} lost, {len(letters - hopeless)} too many"
        seen.faults.append(f"{service.name}: dead letters: {wrong}")
    seen.faults += service.faults


def _count(service: Service) -> int:
    """Items that are stored, dead letters included."""
    if service.route is LINES:
        return int(look(service.place, "SELECT count(*) FROM items")[0][0])
    name = service.place.name
    query = f"SELECT (SELECT count(*) FROM {name}) + (SELECT count(*) FROM {name}_letters)"
    return int(_asked(service.place.dsn, query)[0][0])


def _letters(service: Service) -> set[int]:
    if service.route is LINES:
        return set()
    return {number for (number,) in _asked(service.place.dsn, f"SELECT id FROM {letters_of(service.place)}")}


def _asked(dsn: str, query: str) -> list[tuple[int, ...]]:
    import psycopg

    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def _tell(dsn: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(dsn) as connection:
        connection.execute(statement)
