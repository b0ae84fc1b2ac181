"""PostgresTransactionalSink: where the sources stand is stored in the transaction that stores the items."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ...abc import Positions, TransactionalSink
from ...errors import ConnectionLostError, DataFlowError, FencedError, UncertainWriteError
from ..checks import refuse_unless_whole
from .client import Address, Link, make_once, patience, table_of
from .rows import Conflict, Rows

with suppress(ImportError):
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    from .client import Connection

__all__ = ("PostgresTransactionalSink",)

_CREATE: Final = """
CREATE TABLE IF NOT EXISTS {positions} (
    flow text, target text, source text, partition text, position text NOT NULL,
    PRIMARY KEY (flow, target, source, partition)
)
"""
_READ: Final = """
SELECT partition, position FROM {positions}
WHERE flow = %(flow)s AND target = %(target)s AND source = %(source)s
"""
# One statement, however many there are: a pipeline ends with a message after which the server does
# not end a session that is idle any more.
_STORE: Final = """
INSERT INTO {positions}
SELECT %(flow)s, %(target)s, place.*
FROM unnest(%(sources)s::text[], %(partitions)s::text[], %(positions)s::text[]) AS place
ON CONFLICT (flow, target, source, partition) DO UPDATE SET position = EXCLUDED.position
"""
# Locks the row until the commit. A run that is frozen between two statements must not hold up its
# successor for good: the server ends such a session. Amid a COPY it waits as long as the client's
# kernel answers: while a server reads from its client, statement_timeout does not cut it off (seen on
# 15.18), and keepalives are answered for a frozen process too. Only pg_terminate_backend does.
_ADVANCE: Final = """
UPDATE {positions} SET position = %(position)s
WHERE flow = %(flow)s AND target = %(target)s AND source = '' AND partition = '' AND position = %(before)s
RETURNING set_config('idle_in_transaction_session_timeout', '60000', true)
"""


class PostgresTransactionalSink(TransactionalSink[Any]):
    """Writes items into a table, and with them, in one transaction, how far their sources are done.

    A flow that is killed and started again goes on where the last committed transaction ended,
    so that each item's effect is there exactly once. Two runs of one flow cannot both write:
    one that opens the sink takes it over, and the next write of the other raises ``FencedError``.
    Which run has the sink, and how many transactions it has committed, is a row of its own
    (``source = ''``), which each transaction compares, locks and advances; by it a commit whose
    confirmation was lost is recognized, too.

    Args:
        dsn: A connection string of libpq, ``host=… dbname=…`` or ``postgresql://…``. It is not shown
            in representations, errors or logs.
        table: The table of the items; a dot separates its schema.
        flow: The flow's name. Under it, the table's name and the source's stage the positions are
            kept: runs of one name are runs of one flow, one after the other.
        columns: As with :class:`PostgresSink`.
        key: As with :class:`PostgresSink`; it is not needed for exactly-once.
        on_conflict: As with :class:`PostgresSink`.
        positions: The table of the positions, in the same database; :meth:`prepare` makes it.
        chunk: Most items in one transaction.
        reconnect: Seconds for which a lost connection is tried again before a write fails.

    Raises:
        MissingExtraError: psycopg is not installed.
        ValueError: An option has no sense.
        TypeError: ``columns`` or ``key`` is no name and no list of names.

    A run that is frozen in the midst of a transaction (a suspended process) holds up who takes it over: for a
    minute at most between two statements, amid the items' ``COPY`` until it goes on, is killed, or
    ``pg_terminate_backend`` ends its session. No timeout of the server counts there.

    A write raises what one of :class:`PostgresSink` does, and ``FencedError``. After ``UncertainWriteError``
    the session writes nothing more: the next one goes on behind what was stored, if it was.
    """

    def __init__(
        self,
        dsn: str,
        table: str,
        *,
        flow: str,
        columns: str | Sequence[str],
        key: str | Sequence[str] | None = None,
        on_conflict: Conflict = "update",
        positions: str = "asyncdataflow_positions",
        chunk: int = 1000,
        reconnect: float = 30.0,
    ) -> None:
        self._what = what = f"PostgresTransactionalSink({table!r})"
        self._address = Address(dsn, what)
        self._rows = Rows.checked(what, table, columns, key, on_conflict)
        if not isinstance(flow, str) or not flow or not positions:
            raise ValueError(f"{what}: flow= and positions= are names, not {flow!r} and {positions!r}")
        self._flow = flow
        self._positions = positions
        refuse_unless_whole(f"{what}: chunk=", chunk)
        self.chunk = chunk
        self._reconnect = patience(what, reconnect)

    def __repr__(self) -> str:
        return self._what

    async def prepare(self) -> None:
        """Make the table of the positions, where it is not there yet; may be run again.

        Raises:
            ConnectionLostError: The server cannot be reached.
            ConnectorSetupError: The user may not make a table.
        """
        statement = sql.SQL(_CREATE).format(positions=table_of(self._positions))

        async def do(connection: Connection) -> None:
            await make_once(connection, statement)

        async with Link(self._address, self._reconnect) as link:
            await link.work(do)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[_Ledger]:
        """Enter to connect, and to take the sink over from any other run of the flow.

        Raises:
            ConnectionLostError: The server cannot be reached.
            ConnectorSetupError: The table of the positions is not there.
        """
        async with Link(self._address, self._reconnect) as link:
            ledger = _Ledger(link, self._rows, self._flow, self._positions)
            await ledger.take_over()
            yield ledger


_Place = tuple[str, str, str]
"""A source, its partition, and the position there, as they are stored."""


class _Ledger:
    """One session, and which transaction is its next."""

    def __init__(self, link: Link, rows: Rows, flow: str, positions: str) -> None:
        self._link = link
        self._rows = rows
        self._names = {"flow": flow, "target": rows.table}
        self._positions = table_of(positions)
        self._run = uuid.uuid4().hex
        self._commits = 0
        self._doubt = False

    async def take_over(self) -> None:
        """Be the run that writes; waits for a transaction of the other that is being committed."""
        place = [("", "", self._stamp(0))]
        await self._link.work(lambda connection: self._store_places(connection, place))

    async def positions(self, source: str) -> Positions:
        """What was stored for a source, by its stage's name; empty at first."""

        async def do(connection: Connection) -> list[Any]:
            found = await connection.execute(self._made(_READ), {**self._names, "source": _named(source)})
            return await found.fetchall()

        return {_hashable(json.loads(each)): json.loads(at) for each, at in await self._link.work(do)}

    async def write(self, items: Sequence[Any], positions: Mapping[str, Positions]) -> None:
        """Store items and positions in one transaction, both or neither.

        Raises:
            FencedError: Another run of the flow has taken the sink over.
            RejectedItemError: An item cannot be written; nothing was stored.
            ConnectionLostError: The connection was lost, and not had back; nothing was stored.
            UncertainWriteError: It was lost, and not had back, during the commit, or an earlier
                write was cancelled there. The next session's positions tell what was stored.
        """
        rows = self._rows.of(items)
        places = [
            (_named(source), _text(partition), _text(at))
            for source, partitions in positions.items()
            for partition, at in partitions.items()
        ]

        async def do(connection: Connection) -> None:
            async with connection.transaction():
                if await self._advance(connection):
                    await self._store(connection, rows, places)
                self._doubt = True
            self._doubt = False

        self._refuse_in_doubt(None)
        try:
            await self._link.work(do)
        except ConnectionLostError as error:
            self._refuse_in_doubt(error)
            raise
        except (DataFlowError, psycopg.Error):
            # The server has answered: the transaction is undone, and it has not been done before.
            self._doubt = False
            raise
        self._commits += 1

    async def _store(self, connection: Connection, rows: list[Any], places: list[_Place]) -> None:
        if rows:
            await self._rows.write(connection, rows)
        if places:
            await self._store_places(connection, places)

    async def _store_places(self, connection: Connection, places: list[_Place]) -> None:
        sources, partitions, positions = map(list, zip(*places, strict=True))
        values = {"sources": sources, "partitions": partitions, "positions": positions}
        await connection.execute(self._made(_STORE), {**self._names, **values})

    def _refuse_in_doubt(self, error: ConnectionLostError | None) -> None:
        """A write that was cut short amid its commit is in doubt, and only a new session's positions tell."""
        if self._doubt:
            raise UncertainWriteError(
                f"{self._rows.what}: the connection was lost during a commit; the positions of the next "
                "session, which has to be opened now, tell whether it is there"
            ) from error

    async def _advance(self, connection: Connection) -> bool:
        """Whether this transaction is still to be done: a lost connection may have hidden its commit."""
        after = self._stamp(self._commits + 1)
        values = {**self._names, "position": after, "before": self._stamp(self._commits)}
        if (await connection.execute(self._made(_ADVANCE), values)).rowcount:
            return True
        found = await connection.execute(self._made(_READ), {**self._names, "source": ""})
        if [each[1] for each in await found.fetchall()] == [after]:
            return False
        raise FencedError(
            f"{self._rows.what}: another run of the flow {self._names['flow']!r} has taken its place, "
            "and writes instead of this one"
        )

    def _stamp(self, commits: int) -> str:
        return f"{self._run} {commits}"

    def _made(self, text: str) -> sql.Composed:
        return sql.SQL(text).format(positions=self._positions)


def _named(source: str) -> str:
    if not source:
        raise ValueError("a source is known by its stage's name, which is not empty")
    return source


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hashable(value: Any) -> Any:
    """A partition that was a tuple comes out of JSON as a list."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
