"""Link: one connection to PostgreSQL, which is made again when it was lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from ...errors import ConnectionLostError, ConnectorSetupError, DestinationFullError, UncertainWriteError
from ..checks import refuse_unless_seconds
from ..extra import need

# Without the extra this module can be imported, and nothing of it be made: `need` says why.
with suppress(ImportError):
    import psycopg
    from psycopg import conninfo, sql

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

    Connection = psycopg.AsyncConnection[TupleRow]

__all__ = (
    "Address",
    "Link",
    "columns_of",
    "identifier",
    "is_lost",
    "make_once",
    "names_of",
    "patience",
    "table_of",
)

T = TypeVar("T")

_MAKING: Final = 7_261_930_548
"""Of an advisory lock; any number that nobody else is likely to have."""

_DEFAULTS: Final = {
    "connect_timeout": 10,
    # A server that is gone without a word is noticed within a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_MOST_CONFLICTS: Final = 20
_OF_A_LOST_SERVER: Final = ("08", "57P01", "57P02", "57P03", "25P03", "57P05")
"""SQLSTATEs, or how they begin, after which the session is gone or was never had."""
_OF_A_SETUP: Final = ("42P01", "42P10", "42703", "42501", "3F000", "25006")
"""No such table, unique key, column, right or schema; a server that only reads."""
_OF_A_CONFLICT: Final = ("40001", "40P01")
"""A deadlock, or a failed serialization: the transaction is undone, and can be done again."""


class Address:
    """Where a database is, without a way to read its password out of a representation or a message.

    Args:
        dsn: A connection string of libpq, ``host=… dbname=…`` or ``postgresql://…``.
        what: The connector, as its user calls it.

    Raises:
        MissingExtraError: psycopg is not installed.
        ValueError: It is no connection string.
    """

    def __init__(self, dsn: str, what: str) -> None:
        need("psycopg", "postgres", what)
        try:
            parameters = conninfo.conninfo_to_dict(dsn)
        except psycopg.Error:
            # Its message quotes the string, password and all.
            raise ValueError(f"{what}: dsn is no connection string of libpq") from None
        self._parameters: dict[str, Any] = {**_DEFAULTS, **parameters}
        self.what = what

    def __repr__(self) -> str:
        return f"Address of {self.what}"

    def scrub(self, error: BaseException) -> str:
        """What an error says, without the password."""
        text = str(error).strip()
        for name in ("password", "sslpassword"):
            secret = self._parameters.get(name)
            text = text.replace(str(secret), "***") if secret else text
        return text

    async def connect(self) -> Connection:
        """A new connection, in autocommit mode.

        Raises:
            ConnectionLostError: There is none to be had.
        """
        try:
            connection = await psycopg.AsyncConnection.connect(
                **self._parameters, fallback_application_name="asyncdataflow", autocommit=True
            )
        except psycopg.Error as error:
            raise ConnectionLostError(f"{self.what}: cannot connect: {self.scrub(error)}") from None
        return connection


def is_lost(error: psycopg.Error, connection: Connection) -> bool:
    """The session is gone, whatever the statement was."""
    state = error.sqlstate or ""
    return connection.closed or state.startswith(_OF_A_LOST_SERVER)


class Link:
    """One connection at a time, for one piece of work at a time; after a loss a new one.

    Args:
        address: Where to.
        patience: Seconds for which a lost connection is tried again before work fails.
    """

    def __init__(self, address: Address, patience: float) -> None:
        self._address = address
        self._patience = patience
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self.losses = 0

    async def __aenter__(self) -> Self:
        self._connection = await self._address.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._drop()

    async def work(self, do: Callable[[Connection], Awaitable[T]]) -> T:
        """Have something done on the connection; again on a new one where it was lost meanwhile.

        Args:
            do: May be called several times, so that doing it twice has to be as doing it once.
                What it raises ends in its transaction being undone.

        Raises:
            ConnectionLostError: Lost, and not had back within the patience.
            ConnectorSetupError: A table, a column or a right is not there.
            DestinationFullError: The server's disk is full.
            psycopg.Error: Anything else that the server finds wrong.
        """
        loop = asyncio.get_running_loop()
        until: float | None = None
        pause, conflicts = _SHORTEST_PAUSE, 0
        async with self._lock:
            while True:
                try:
                    return await self._try(do)
                except UncertainWriteError:
                    raise
                except ConnectionLostError:
                    until = loop.time() + self._patience if until is None else until
                    if loop.time() + pause > until:
                        raise
                except psycopg.OperationalError as error:
                    conflicts += 1
                    if error.sqlstate not in _OF_A_CONFLICT or conflicts > _MOST_CONFLICTS:
                        raise
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - only so that not all come at once
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def once(self, do: Callable[[Connection], Awaitable[T]]) -> T:
        """Have something done that may not be done twice: a loss is the caller's."""
        async with self._lock:
            return await self._try(do)

    async def _try(self, do: Callable[[Connection], Awaitable[T]]) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = await self._address.connect()
        whole = False
        try:
            done = await do(connection)
            whole = True
            return done
        except psycopg.Error as error:
            whole = not is_lost(error, connection)
            raise self._named(error, lost=not whole) from None
        finally:
            if not whole:
                # Lost, or cancelled amid a statement: the server undoes what was not committed.
                self.losses += 1
                await self._drop()

    def _named(self, error: psycopg.Error, *, lost: bool) -> Exception:
        what = self._address.what
        if lost:
            return ConnectionLostError(f"{what}: the connection was lost: {self._address.scrub(error)}")
        if (error.sqlstate or "").startswith(_OF_A_SETUP):
            return ConnectorSetupError(
                f"{what}: {error.diag.message_primary}; its prepare() adds what it needs of its own"
            )
        if error.sqlstate == "53100":
            return DestinationFullError(f"{what}: {error.diag.message_primary}")
        return error

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def patience(what: str, reconnect: float) -> float:
    """For how many seconds a lost connection is tried again; 0: it is not.

    Raises:
        ValueError: It is no such number.
    """
    if reconnect != 0:
        refuse_unless_seconds(f"{what}: reconnect=", reconnect)
    return reconnect


def identifier(*parts: str) -> sql.SQL:
    """A quoted name, for statements that are executed with parameters, be they none.

    psycopg does not see that a ``%`` stands within quotes, and takes it for a parameter.
    """
    return sql.SQL(sql.Identifier(*parts).as_string().replace("%", "%%"))


async def make_once(connection: Connection, statement: sql.Composed | sql.SQL) -> None:
    """Make what is not there yet; in turns, since ``IF NOT EXISTS`` looks and makes in two steps."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
        await connection.execute(statement, ())


def table_of(name: str) -> sql.SQL:
    """A table's name, quoted; a dot separates its schema."""
    return identifier(*name.split("."))


def columns_of(names: tuple[str, ...]) -> sql.Composed:
    """Quoted names, separated by commas."""
    return sql.SQL(", ").join(map(identifier, names))


def names_of(what: str, option: str, given: object) -> tuple[str, ...]:
    """Names of columns as they were given, one or several.

    Raises:
        ValueError: There is none, one is empty, or one is there twice.
        TypeError: It is no string and no sequence of strings.
    """
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else None
    if names is None or not all(isinstance(each, str) for each in names):
        raise TypeError(f"{what}: {option}= is a column's name or a list of them, not {type(given).__name__}")
    if not names or not all(names) or len(set(names)) < len(names):
        raise ValueError(f"{what}: {option}= needs names of columns, each once")
    return names
