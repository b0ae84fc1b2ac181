"""The inputs of the routes, seen from outside: something is put in, and looked at for what is acked."""

from __future__ import annotations

import abc
import asyncio
import json
import random
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from .routes import Place, Route
from .stores import look

__all__ = ("Feed", "feed_of")


class Feed(abc.ABC):
    """One input.

    Args:
        route: Whose.
        place: Where.
        size: Characters of text that each item carries besides.
    """

    def __init__(self, route: Route, place: Place, size: int) -> None:
        self.route = route
        self.place = place
        self._text = "x" * size

    def row(self, number: int) -> dict[str, Any]:
        """An item as it is put in."""
        return {"id": number, "text": self._text}

    @abc.abstractmethod
    def put(self, numbers: range) -> None:
        """Put items in; they are there when it returns. Called in one thread."""

    @abc.abstractmethod
    def acked(self) -> set[int]:
        """Of what was put in, what will not be given again; called in another thread."""

    def close(self) -> None:  # noqa: B027 - most have nothing
        """Let go of what it has open; called in the thread that puts."""


class _Lines(Feed):
    """A file that grows, now and then by half a line."""

    def __init__(self, route: Route, place: Place, size: int) -> None:
        super().__init__(route, place, size)
        self._ends: list[tuple[int, int]] = []
        self._size = 0
        self._rng = random.Random(size)
        place.lines_in.touch()

    def put(self, numbers: range) -> None:
        text = b""
        for number in numbers:
            text += json.dumps(self.row(number)).encode() + b"\n"
            self._ends.append((self._size + len(text), number))
        half = self._rng.randrange(len(text))
        for part in (text[:half], text[half:]):
            with self.place.lines_in.open("ab") as file:
                file.write(part)
        self._size += len(text)

    def acked(self) -> set[int]:
        position = self._position()
        return {number for end, number in list(self._ends) if end <= position}

    def _position(self) -> int:
        if self.route.effect != "transactional":
            with suppress(FileNotFoundError):
                offset, _ = json.loads(self.place.positions.read_text())["position"]
                return int(offset)
            return 0
        rows = self._stored_positions()
        return int(json.loads(rows[0][0])[0]) if rows else 0

    def _stored_positions(self) -> list[Any]:
        if self.route.sink == "postgres":
            query = "SELECT position FROM asyncdataflow_positions WHERE target = %s AND source <> ''"
            return _asked(self.place.dsn, query, self.place.name)
        try:
            return look(self.place, "SELECT position FROM asyncdataflow_positions")
        except sqlite3.OperationalError:  # It is not there yet.
            return []


class _Stream(Feed):
    """A stream of JetStream, over which the numbers are published in order."""

    def __init__(self, route: Route, place: Place, size: int) -> None:
        super().__init__(route, place, size)
        self._numbers: dict[int, int] = {}
        self._runner = asyncio.Runner()
        self._client: Any = None
        asyncio.run(self._made())

    def put(self, numbers: range) -> None:
        self._runner.run(self._published(numbers))

    def acked(self) -> set[int]:
        floor = asyncio.run(self._floor())
        return {number for sequence, number in list(self._numbers.items()) if sequence <= floor}

    def close(self) -> None:
        if self._client is not None:
            self._runner.run(self._client.close())
        self._runner.close()

    async def _made(self) -> None:
        async with _connected(self.place.url) as client:
            await client.jetstream().add_stream(name=self.place.name, subjects=[self.place.name])

    async def _published(self, numbers: Iterable[int]) -> None:
        import nats

        if self._client is None:
            self._client = await nats.connect(
                self.place.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_expected
            )
        for number in numbers:
            payload, told = json.dumps(self.row(number)).encode(), None
            while told is None:
                # Published again under its name, it is there once.
                with suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                    told = await self._client.jetstream(timeout=1).publish(
                        self.place.name, payload, headers={"Nats-Msg-Id": str(number)}
                    )
            self._numbers[told.seq] = number

    async def _floor(self) -> int:
        from nats.js.errors import NotFoundError

        async with _connected(self.place.url) as client:
            try:
                consumer = await client.jetstream().consumer_info(self.place.name, "worker")
            except NotFoundError:
                return 0
            return int(consumer.ack_floor.stream_seq)


async def _expected(_: Exception) -> None:
    """The server may have been killed on purpose."""


class _connected:  # noqa: N801 - used as a function
    """A client for a moment."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Any:
        import nats

        self._client = await nats.connect(self._url)
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


class _Queue(Feed):
    """A table of jobs."""

    def __init__(self, route: Route, place: Place, size: int) -> None:
        super().__init__(route, place, size)
        self._put: set[int] = set()
        from asyncdataflow.connectors.postgres import PostgresQueue

        self._table = f"{place.name}_jobs"
        _tell(place.dsn, f"CREATE TABLE {self._table} (id integer PRIMARY KEY, text text)")
        asyncio.run(PostgresQueue(place.dsn, self._table).prepare())

    def put(self, numbers: range) -> None:
        import psycopg

        rows = [tuple(self.row(number).values()) for number in numbers]
        query = (
            f"INSERT INTO {self._table} SELECT * FROM unnest(%s::int[], %s::text[]) ON CONFLICT DO NOTHING"
        )
        while True:
            with suppress(psycopg.OperationalError):
                _tell(self.place.dsn, query, *map(list, zip(*rows, strict=True)))
                break
        self._put.update(numbers)

    def acked(self) -> set[int]:
        put = set(self._put)
        return put - {number for (number,) in _asked(self.place.dsn, f"SELECT id FROM {self._table}")}


def _asked(dsn: str, query: str, *values: object) -> list[Any]:
    import psycopg

    with psycopg.connect(dsn) as connection:
        return connection.execute(query, values or None).fetchall()


def _tell(dsn: str, statement: str, *values: object) -> None:
    import psycopg

    with psycopg.connect(dsn) as connection:
        connection.execute(statement, values or None)


def feed_of(route: Route, place: Place, size: int = 20) -> Feed:
    """The input of a route, made and empty."""
    kinds: dict[str, type[Feed]] = {"lines": _Lines, "stream": _Stream, "queue": _Queue}
    return kinds[route.source](route, place, size)
