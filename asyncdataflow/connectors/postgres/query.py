"""PostgresQuery: the rows of a query, by a cursor of the server's, so that any number fits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from ...abc import Source
from ...errors import BadMessageError
from ..checks import refuse_unless_whole
from .client import Address, Link

with suppress(ImportError):
    import psycopg
    from psycopg import sql
    from psycopg.rows import dict_row, tuple_row

if TYPE_CHECKING:
    from .client import Connection

__all__ = ("PostgresQuery",)

_DECLARE: Final = "DECLARE asyncdataflow NO SCROLL CURSOR FOR "


class PostgresQuery(Source[Any]):
    """The rows that a query finds, as they were when it was opened, in the query's order.

    They are fetched some at a time by a cursor of the server, in a read-only transaction that is
    open as long as the source is: on a busy database, do not leave it open for hours. It is not
    answered: a run that ends early begins anew. ``PostgresQueue`` is for rows that are to be done once.

    Args:
        dsn: A connection string of libpq, ``host=… dbname=…`` or ``postgresql://…``. It is not shown
            in representations, errors or logs.
        query: A ``SELECT``, with ``%s`` or ``%(name)s`` for parameters.
        parameters: Their values, which travel beside the query, never in it. Given any, a ``%``
            that is none is written ``%%``.
        row: What an item is: ``"dict"`` by column, ``"tuple"``, or ``"value"`` of the only column.
        fetch: Rows fetched at once.

    Raises:
        MissingExtraError: psycopg is not installed.
        ValueError: An option has no sense.

    An open source raises:

    - ``ConnectionLostError``: the server cannot be reached, or not any more;
    - ``ConnectorSetupError``: a table, a column or a right is not there;
    - ``BadMessageError``: a row cannot be made an item;
    - ``psycopg.Error``: anything else that the server finds wrong with the query.
    """

    def __init__(
        self,
        dsn: str,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        row: Literal["dict", "tuple", "value"] = "dict",
        fetch: int = 1000,
    ) -> None:
        self._what = what = "PostgresQuery"
        self._address = Address(dsn, what)
        if not isinstance(query, str) or not query.strip():
            raise ValueError(f"{what}: query is a SELECT")
        self._query = query
        self._parameters = parameters
        if row not in {"dict", "tuple", "value"}:
            raise ValueError(f"{what}: row= is 'dict', 'tuple' or 'value', not {row!r}")
        refuse_unless_whole(f"{what}: fetch=", fetch)
        self._row = row
        self._fetch = fetch

    def __repr__(self) -> str:
        return self._what

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncGenerator[Any, None]]:
        """Enter to connect and get the rows; leave to disconnect.

        Raises:
            ConnectionLostError: The server cannot be reached.
        """
        async with Link(self._address, 0.0) as link, aclosing(self._read(link)) as rows:
            yield rows

    async def _read(self, link: Link) -> AsyncGenerator[Any, None]:
        await link.once(self._begin)
        while lot := await link.once(self._lot):
            for row in lot:
                yield row[0] if self._row == "value" else row

    async def _begin(self, connection: Connection) -> None:
        await connection.set_autocommit(False)
        await connection.set_read_only(True)
        await connection.execute(sql.SQL(_DECLARE) + sql.SQL(self._query), self._parameters)

    async def _lot(self, connection: Connection) -> list[Any]:
        made: Any = dict_row if self._row == "dict" else tuple_row
        async with connection.cursor(row_factory=made) as cursor:
            await cursor.execute(sql.SQL("FETCH {} FROM asyncdataflow").format(self._fetch))
            try:
                return await cursor.fetchall()
            except (psycopg.Error, ValueError, ArithmeticError, RecursionError) as error:
                raise BadMessageError(
                    f"{self._what}: a row cannot be made an item: {type(error).__name__}"
                ) from None
