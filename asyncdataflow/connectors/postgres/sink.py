"""PostgresSink: items as rows of a table, added or put in the place of those with their key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from ...abc import Sink
from ...errors import ConnectionLostError, UncertainWriteError
from ..checks import refuse_unless_whole
from .client import Address, Link, is_lost, patience
from .rows import Conflict, Rows

with suppress(ImportError):
    import psycopg

if TYPE_CHECKING:
    from .client import Connection

__all__ = ("PostgresSink",)


class PostgresSink(Sink[Any]):
    """Writes items into a table: each chunk in one transaction, all of it or nothing.

    Without ``key`` rows are added, by ``COPY``. With it a row with that key is replaced or left as it is
    (``INSERT … ON CONFLICT``), so that writing an item twice is as writing it once: the effect is
    ``"idempotent"``. The table needs a primary key or unique index on exactly these columns.

    A lost connection is made again, and the chunk written again, where it is known not to be
    there, or where that does no harm. Only where it was lost while a chunk without a key was
    committed nobody can tell: then ``UncertainWriteError``. Deadlocks are tried again.

    Args:
        dsn: A connection string of libpq, ``host=… dbname=…`` or ``postgresql://…``. It is not shown
            in representations, errors or logs.
        table: The table; a dot separates its schema.
        columns: The columns that are written. A list: an item is a mapping that has them (others
            in it are left out), or a tuple or list of as many values. One name: an item is its value.
            A dict among the values is written as JSON, a list as an array.
        key: The columns of a unique key; ``None``: rows are added.
        on_conflict: Where a row with the key is there: ``"update"`` replaces the other columns,
            ``"nothing"`` leaves it.
        chunk: Most items in one transaction.
        reconnect: Seconds for which a lost connection is tried again before a write fails.

    Raises:
        MissingExtraError: psycopg is not installed.
        ValueError: An option has no sense.
        TypeError: ``columns`` or ``key`` is no name and no list of names.

    A write raises:

    - ``RejectedItemError``: an item has not the columns, or holds what its column does not take; nothing of
      the chunk is there;
    - ``ConnectionLostError``: nothing of the chunk is there; the next write connects anew;
    - ``UncertainWriteError``: the chunk is there, or nothing of it;
    - ``ConnectorSetupError``: the table, a column, the key or a right is not there;
    - ``DestinationFullError``: the server's disk is full.
    """

    def __init__(
        self,
        dsn: str,
        table: str,
        *,
        columns: str | Sequence[str],
        key: str | Sequence[str] | None = None,
        on_conflict: Conflict = "update",
        chunk: int = 1000,
        reconnect: float = 30.0,
    ) -> None:
        self._what = what = f"PostgresSink({table!r})"
        self._address = Address(dsn, what)
        self._rows = Rows.checked(what, table, columns, key, on_conflict)
        refuse_unless_whole(f"{what}: chunk=", chunk)
        self.chunk = chunk
        self.effect = "plain" if key is None else "idempotent"
        self._reconnect = patience(what, reconnect)

    def __repr__(self) -> str:
        return self._what

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        """Enter to connect and get the function that writes; leave to disconnect.

        Raises:
            ConnectionLostError: The server cannot be reached.
        """
        async with Link(self._address, self._reconnect) as link:

            async def write(given: Any) -> None:
                rows = self._rows.of([given] if self.chunk == 1 else given)
                if rows:
                    await _Write(self._rows, rows, again=self.effect == "idempotent").on(link)

            yield write


class _Write:
    """One chunk, and whether it may have been committed already."""

    def __init__(self, how: Rows, rows: list[tuple[Any, ...]], *, again: bool) -> None:
        self._how = how
        self._rows = rows
        self._again = again
        self._committing = False

    async def on(self, link: Link) -> None:
        try:
            await link.work(self._once)
        except ConnectionLostError as error:
            if self._committing and not isinstance(error, UncertainWriteError):
                raise self._uncertain() from error
            raise

    async def _once(self, connection: Connection) -> None:
        if self._committing and not self._again:
            raise self._uncertain()
        try:
            async with connection.transaction():
                await self._how.write(connection, self._rows)
                self._committing = True
            self._committing = False
        except psycopg.Error as error:
            # What the server says it has undone is no secret.
            self._committing = self._committing and is_lost(error, connection)
            raise

    def _uncertain(self) -> UncertainWriteError:
        return UncertainWriteError(
            f"{self._how.what}: the connection was lost while {len(self._rows)} rows were committed: "
            "they are there, or none of them is; key= makes writing them again harmless"
        )
