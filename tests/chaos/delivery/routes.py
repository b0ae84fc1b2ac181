"""The routes: from where to where, with which promise, and the flow that a child process runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from asyncdataflow import DataFlow, stage
from asyncdataflow.connectors.json_lines import JsonLinesSink, JsonLinesSource
from asyncdataflow.connectors.sqlite import SqliteSink, SqliteTransactionalSink

from .stages import square, word

__all__ = ("COLUMNS", "CONTROL", "ROUTES", "WINDOW", "Place", "Route", "flow_of")

WINDOW: Final = 64
"""Most items that are given and not answered: what a kill may have come twice."""
LEASE: Final = 1.5
"""Seconds after which what a killed child held is given again."""
COLUMNS: Final = ("id", "word", "square", "text")
_CHUNK: Final = 16


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes:
        name: What the table calls it, and the command line.
        source: ``"lines"``, ``"stream"`` or ``"queue"``.
        sink: ``"sqlite"``, ``"postgres"`` or ``"lines"``.
        effect: Of the sink: what the route promises about duplicates.
        delivery: What the flow is told to keep to; the most that it can, unless it is to break.
    """

    name: str
    source: Literal["lines", "stream", "queue"]
    sink: Literal["sqlite", "postgres", "lines"]
    effect: Literal["plain", "idempotent", "transactional"]
    delivery: Any = None

    def __str__(self) -> str:
        return self.name

    def allowed(self, kills: int) -> int:
        """Most duplicates after so many kills."""
        return WINDOW * kills if self.effect == "plain" else 0


_ALL = (
    Route("lines-sqlite-plain", "lines", "sqlite", "plain"),
    Route("lines-sqlite-upsert", "lines", "sqlite", "idempotent"),
    Route("lines-sqlite-transactional", "lines", "sqlite", "transactional"),
    Route("lines-postgres-transactional", "lines", "postgres", "transactional"),
    Route("nats-postgres-copy", "stream", "postgres", "plain"),
    Route("nats-postgres-upsert", "stream", "postgres", "idempotent"),
    Route("queue-lines", "queue", "lines", "plain"),
)
ROUTES: Final = {each.name: each for each in _ALL}
CONTROL: Final = Route("lines-sqlite-at-most-once", "lines", "sqlite", "plain", "at_most_once")
"""A route that loses what is under way, to see that this would be seen."""


@dataclass(frozen=True)
class Place:
    """Where one play of a route has its things.

    Attributes:
        folder: Files to be read, and positions.
        name: Of the tables and the stream.
        dsn: PostgreSQL's, where the route needs it.
        url: That of NATS.
        disk: Files that are written; empty: the same folder.
    """

    folder: str
    name: str = "chaos"
    dsn: str = ""
    url: str = ""
    disk: str = ""

    @property
    def lines_in(self) -> Path:
        """What is read."""
        return Path(self.folder, "in.jsonl")

    @property
    def positions(self) -> Path:
        """How far that is done."""
        return Path(self.folder, "positions")

    @property
    def database(self) -> Path:
        """What is written by SQLite."""
        return Path(self.disk or self.folder, "out.db")

    @property
    def lines_out(self) -> Path:
        """What is written as lines."""
        return Path(self.disk or self.folder, "out.jsonl")


def flow_of(route: Route, place: Place) -> DataFlow[Any, Any]:
    """The flow of a route: a thread and a process in the middle."""
    delivery = route.delivery or ("at_least_once" if route.effect == "plain" else "exactly_once")
    # Where a position is all that is kept, what has overtaken another is done again: not bounded by
    # the window, and no promise of a plain sink's.
    overtakes = route.source != "lines" or route.effect == "idempotent"
    overtaking = {"concurrency": 3, "ordered": False} if overtakes else {}
    return DataFlow(
        (
            _source(route, place),
            stage(word, **overtaking),
            stage(square, executor="process"),
            _sink(route, place),
        ),
        delivery=delivery,
    )


# A client library is imported where a route needs it: a program that is killed at once starts often.
def _source(route: Route, place: Place) -> Any:
    match route.source:
        case "lines":
            positions = None if route.effect == "transactional" else place.positions
            return JsonLinesSource(
                place.lines_in, positions=positions, follow=True, poll=0.02, max_unacked=WINDOW
            )
        case "stream":
            from asyncdataflow.connectors.nats import JetStreamSource

            return JetStreamSource(
                place.url, place.name, durable="worker", ack_wait=LEASE, fetch=WINDOW // 2, max_unacked=WINDOW
            )
        case "queue":
            from asyncdataflow.connectors.postgres import PostgresQueue

            return PostgresQueue(
                place.dsn,
                f"{place.name}_jobs",
                columns=("id", "text"),
                poll=0.02,
                lease=LEASE,
                fetch=WINDOW // 2,
                max_unacked=WINDOW,
            )


def _sink(route: Route, place: Place) -> Any:
    key = ("id",) if route.effect == "idempotent" else ()
    match route.sink, route.effect:
        case "lines", _:
            return JsonLinesSink(place.lines_out, chunk=_CHUNK)
        case "sqlite", "transactional":
            return SqliteTransactionalSink(place.database, "items", columns=COLUMNS, chunk=_CHUNK)
        case "sqlite", _:
            return SqliteSink(place.database, "items", columns=COLUMNS, key=key, chunk=_CHUNK)
        case _, "transactional":
            from asyncdataflow.connectors.postgres import PostgresTransactionalSink

            return PostgresTransactionalSink(
                place.dsn, place.name, flow=place.name, columns=COLUMNS, chunk=_CHUNK
            )
        case _:
            from asyncdataflow.connectors.postgres import PostgresSink

            return PostgresSink(place.dsn, place.name, columns=COLUMNS, key=key or None, chunk=_CHUNK)
