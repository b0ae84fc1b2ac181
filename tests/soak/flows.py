"""The two flows that are soaked: a broker into a database, and a file into a file.

Both go over a coroutine, a thread and a worker process, all of which fail now and then. What a database takes
by its key may overtake, and has dead letters; what is stored with its position keeps its order, and has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from asyncdataflow import DataFlow, DeadLetter, Retry, Sink, dead_letter, stage
from asyncdataflow.connectors.json_lines import JsonLinesSource
from asyncdataflow.connectors.sqlite import SqliteTransactionalSink
from tests.chaos.delivery.routes import COLUMNS, ROUTES, Place, Route

from .sample import LETTERS
from .stages import Leak, choosy, fetch, square, word

__all__ = ("LINES", "STREAM", "flow_of", "letters_of")

STREAM: Final = ROUTES["nats-postgres-upsert"]
LINES: Final = ROUTES["lines-sqlite-transactional"]

_WINDOW: Final = 256
_CHUNK: Final = 64
_LEASE: Final = 10.0
_AGAIN: Final = Retry(attempts=8, backoff=0.01, max_backoff=0.1, on=ConnectionError)


def letters_of(place: Place) -> str:
    """The table of the dead letters."""
    return f"{place.name}_letters"


def flow_of(route: Route, place: Place, leak: int = 0) -> DataFlow[Any, Any]:
    """One of the flows.

    Args:
        route: Which.
        place: Where.
        leak: Bytes of each item that are never let go.
    """
    make = _stream if route is STREAM else _lines
    return DataFlow(make(place, (Leak(leak).keep,) if leak else ()), delivery="exactly_once", name=route.name)


def _stream(place: Place, leaks: tuple[Any, ...]) -> tuple[Any, ...]:
    # Here, since the other flow does not need them.
    from asyncdataflow.connectors.nats import JetStreamSource
    from asyncdataflow.connectors.postgres import PostgresSink

    source = JetStreamSource(
        place.url, place.name, durable="worker", ack_wait=_LEASE, fetch=_WINDOW // 2, max_unacked=_WINDOW
    )
    apart: dict[str, Any] = {"retry": _AGAIN, "ordered": False}
    return (
        source,
        stage(fetch, concurrency=8, **apart),
        *leaks,
        stage(choosy, concurrency=2, on_error=dead_letter(stage(_Letters(place), name=LETTERS)), **apart),
        stage(square, executor="process", retry=_AGAIN),
        PostgresSink(place.dsn, place.name, columns=COLUMNS, key="id", chunk=_CHUNK),
    )


def _lines(place: Place, leaks: tuple[Any, ...]) -> tuple[Any, ...]:
    return (
        JsonLinesSource(place.lines_in, follow=True, poll=0.05, max_unacked=_WINDOW),
        stage(fetch, concurrency=8, retry=_AGAIN),
        *leaks,
        stage(word, concurrency=2, retry=_AGAIN),
        stage(square, executor="process", retry=_AGAIN),
        SqliteTransactionalSink(place.database, "items", columns=COLUMNS, chunk=_CHUNK),
    )


class _Letters(Sink[Any]):
    """Dead letters as rows, each there once."""

    effect = "idempotent"

    def __init__(self, place: Place) -> None:
        from asyncdataflow.connectors.postgres import PostgresSink

        columns = ("id", "stage", "error")
        self._rows = PostgresSink(place.dsn, letters_of(place), columns=columns, key="id", chunk=1)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[DeadLetter], Awaitable[None]]]:
        async with self._rows.open() as write:

            async def note(letter: DeadLetter) -> None:
                await write((letter.item["id"], letter.stage, type(letter.error).__name__))

            yield note
