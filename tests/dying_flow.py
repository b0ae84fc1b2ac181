"""A flow from a file of lines into a transactional sink, which dies at a named point of a commit.

What is around the connectors is the tests' own: nothing in the package knows of it. Each write is told on
the standard output, with how many items it has, when it begins and when it has returned.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from asyncdataflow import DataFlow, stage
from asyncdataflow.abc import Commits, Positions, Subscription, TransactionalSink
from asyncdataflow.connectors.json_lines import JsonLinesSource
from asyncdataflow.connectors.postgres import PostgresTransactionalSink
from asyncdataflow.connectors.sqlite import SqliteTransactionalSink
from asyncdataflow.message import Answer
from tests.source import ROOT

__all__ = ("CHUNK", "DIED", "Token", "command", "dying_flow", "told", "write_lines")

DIED = 86
"""What a process that died of its token leaves as its exit code."""

CHUNK = 4
"""Most items of a transaction."""


class Token:
    """Ends the process when a point is passed for the n-th time: nothing is closed, undone or told.

    Attributes:
        writes: A write has begun; what the sink does before, to open, is none.
    """

    def __init__(self, point: str | None = None, turn: int = 1) -> None:
        self._point = point
        self._turn = turn
        self._passed = itertools.count(1)
        self.writes = False

    def __call__(self, point: str) -> None:
        if self.writes and point == self._point and next(self._passed) == self._turn:
            os._exit(DIED)


class _Watched(TransactionalSink[Any]):
    """A sink of which is told what it writes."""

    def __init__(self, sink: TransactionalSink[Any], token: Token) -> None:
        self._sink = sink
        self._token = token
        self.chunk = sink.chunk

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Commits[Any]]:
        async with self._sink.open() as commits:
            yield _WatchedCommits(commits, self._token)


class _WatchedCommits:
    def __init__(self, commits: Commits[Any], token: Token) -> None:
        self._commits = commits
        self._token = token

    async def positions(self, source: str) -> Positions:
        return await self._commits.positions(source)

    async def write(self, items: Sequence[Any], positions: Mapping[str, Positions]) -> None:
        self._token.writes = True
        _tell(f"begin {len(items)}")
        await self._commits.write(items, positions)
        _tell("end")
        self._token("returned")


class _Lines(JsonLinesSource):
    """A source that dies before it hears what became of its items."""

    def __init__(self, token: Token) -> None:
        super().__init__("lines.jsonl", positions="kept.json")
        self._token = token

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncIterator[Subscription[Any]]:
        async with super().open(after) as session:
            yield _HardOfHearing(session, self._token)


class _HardOfHearing:
    def __init__(self, session: Subscription[Any], token: Token) -> None:
        self._session = session
        self._token = token

    def __aiter__(self) -> Any:
        return aiter(self._session)

    async def answer(self, answers: Sequence[Answer]) -> None:
        self._token("before the source hears")
        await self._session.answer(answers)


def dying_connection(token: Token) -> type[sqlite3.Connection]:
    """Connections that pass the points of a transaction in the order in which the sink makes it."""

    class Connection(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.set_trace_callback(self._traced)
            self._rows = 0

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            done = super().execute(statement, *values)
            if statement == "COMMIT":
                token("committed")
            return done

        def _traced(self, statement: str) -> None:
            """Called before a statement is run, by executemany() for each row."""
            if statement.startswith("BEGIN"):
                self._rows = 0
                token("before it begins")
            elif statement.startswith('INSERT INTO "asyncdataflow_positions"'):
                token("begun")
            elif statement.startswith('INSERT INTO "facts"'):
                self._rows += 1
                token("positions written" if self._rows == 1 else "half of the items written")
            elif statement == "COMMIT":
                token("both written")

    return Connection


def write_lines(count: int) -> list[int]:
    """Write the file that is read; gives the offsets behind its lines."""
    lines = [json.dumps({"id": number}) + "\n" for number in range(1, count + 1)]
    with open("lines.jsonl", "w", encoding="ascii") as file:
        file.writelines(lines)
    return list(itertools.accumulate(map(len, lines)))


def offset_of(stored: str) -> int:
    """The offset of a position as a sink keeps it: alone, or with a checksum of what lies before it."""
    position = json.loads(stored)
    return int(position[0] if isinstance(position, list) else position)


async def _same(item: Any) -> Any:
    return item


def command(*arguments: object) -> dict[str, Any]:
    """What ``subprocess`` starts a program with that runs the flow, in the folder where one is.

    Args:
        arguments: The point where it dies, or ``""``; at which turn; the server and the table, where it is
            not SQLite.
    """
    return {
        "args": [sys.executable, "-m", "tests.dying_flow", *map(str, arguments)],
        "env": {**os.environ, "PYTHONPATH": str(ROOT)},
        "stdout": subprocess.PIPE,
        "text": True,
    }


def told(output: str) -> tuple[int, int]:
    """How many items a program began to write, and of how many it heard that they were."""
    words = output.split()
    begun = [int(words[at + 1]) for at, word in enumerate(words) if word == "begin"]
    return sum(begun), sum(begun[: words.count("end")])


def dying_flow(sink: TransactionalSink[Any], token: Token) -> DataFlow[Any, Any]:
    """From the lines to the sink."""
    lines = stage(_Lines(token), name="lines")
    return DataFlow((lines, _same, _Watched(sink, token)), delivery="exactly_once")


def _tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _main(point: str, turn: str, server: str = "", table: str = "") -> None:
    token = Token(point, int(turn))
    sink: TransactionalSink[Any]
    if server:
        sink = PostgresTransactionalSink(server, table, flow="flow", columns=["id"], chunk=CHUNK)
    else:
        connect, factory = sqlite3.connect, dying_connection(token)
        sqlite3.connect = lambda *args, **kwargs: connect(*args, factory=factory, **kwargs)
        create = "CREATE TABLE IF NOT EXISTS facts (id INTEGER)"
        sink = SqliteTransactionalSink("facts.db", "facts", create=create, chunk=CHUNK)
    asyncio.run(dying_flow(sink, token).run())


if __name__ == "__main__":
    _main(*sys.argv[1:])
