"""PostgresQueue: the rows of a table, each given to one consumer until it is done."""

from __future__ import annotations

import functools
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

from ...abc import AckableSource, Positions
from ...errors import ConnectorSetupError
from ...policy import Retry
from ..checks import AT_ONCE, refuse_unless_counted_retry, refuse_unless_seconds, refuse_unless_whole
from .client import Address, Link, make_once, names_of, patience
from .lease import Lease
from .session import Session, Terms

__all__ = ("PostgresQueue",)


class PostgresQueue(AckableSource[Any]):
    """A table as a queue: rows are given in the order of their key, and gone when they are acked.

    A row is given to one session at a time, by a lease that is written into it: in columns
    ``claimed_by``, ``claimed_until`` and ``attempts``, which :meth:`prepare` adds. Any number of
    consumers, in any number of processes, may read one table (``SELECT … FOR UPDATE SKIP LOCKED``): they
    share it. A lease is renewed while its session lives, so that a row may be worked on for as
    long as it takes, and no transaction is held open for it.

    At least once: a row is done when its ack is committed. After a consumer was killed, its rows
    are given again when their leases end, at most ``lease`` seconds later; a consumer that is stopped
    gives its rows back at once. A server that is killed loses none, and a consumer reconnects
    and goes on with what it holds. A nacked row is given again before new ones.

    Args:
        dsn: A connection string of libpq, ``host=… dbname=…`` or ``postgresql://…``. It is not shown
            in representations, errors or logs.
        table: The table; a dot separates its schema: ``"shop.orders"``.
        key: Its primary key's column, which gives the order.
        columns: What an item is: a column's name for its value alone, a list of names for a
            dict of these, ``None`` for a dict of all except those of the lease.
        done: A column of type ``timestamptz`` that is set when a row is done; ``None``: it is deleted.
        follow: Wait for new rows when there are none; else end then. Rows that others hold,
            and what this session holds itself, are not waited for.
        channel: Listen on this channel (``NOTIFY``) for new rows, so that they need not be waited
            for until the next poll.
        poll: Seconds after which a table without new rows is looked at again.
        fetch: Most rows that are claimed at once.
        max_unacked: Most rows given and not yet answered.
        lease: Seconds for which a row is claimed; renewed at every third of it.
        redeliver: How often a row is given in all, and after which waits one that was nacked is given
            again; by default at once and without end. A row that was given as often as it may be
            stays in the table for somebody to look at: ``WHERE attempts >= …``. While a row waits,
            others are given. The table knows no ``max_elapsed`` and no ``on``.
        bad: What is done with a row that cannot be made an item, such as JSON that is too deep
            or a date beyond the year 9999: ``"fail"`` raises, ``"park"`` leaves it in the table
            claimed for good, with the reason in ``claimed_by``.
        reconnect: Seconds for which a lost connection is tried again before the run fails.

    Raises:
        MissingExtraError: psycopg is not installed.
        ValueError: An option has no sense.

    An open session raises:

    - ``ConnectionLostError``: the server cannot be reached, or not any more;
    - ``ConnectorSetupError``: the table, a column or a right is not there;
    - ``BadMessageError``: a row cannot be made an item, and ``bad`` is ``"fail"``.
    """

    def __init__(
        self,
        dsn: str,
        table: str,
        *,
        key: str = "id",
        columns: str | Sequence[str] | None = None,
        done: str | None = None,
        follow: bool = True,
        channel: str | None = None,
        poll: float = 1.0,
        fetch: int = 100,
        max_unacked: int = 1000,
        lease: float = 30.0,
        redeliver: Retry = AT_ONCE,
        bad: Literal["fail", "park"] = "fail",
        reconnect: float = 30.0,
    ) -> None:
        self._what = what = f"PostgresQueue({table!r})"
        names_of(what, "table", table)
        self._address = Address(dsn, what)
        wanted = () if columns is None else names_of(what, "columns", columns)
        (key,) = names_of(what, "key", (key,))
        self._lease = Lease(table, key, wanted, done)
        for option, number in (("fetch", fetch), ("max_unacked", max_unacked)):
            refuse_unless_whole(f"{what}: {option}=", number)
        for option, seconds in (("poll", poll), ("lease", lease)):
            refuse_unless_seconds(f"{what}: {option}=", seconds)
        refuse_unless_counted_retry(f"{what}: redeliver=", redeliver)
        if bad not in {"fail", "park"}:
            raise ValueError(f"{what}: bad= is 'fail' or 'park', not {bad!r}")
        self.max_unacked = max_unacked
        self._reconnect = patience(what, reconnect)
        self._terms = Terms(
            what=what,
            statements=self._lease,
            alone=isinstance(columns, str),
            follow=follow,
            channel=channel,
            poll=poll,
            fetch=min(fetch, max_unacked),
            lease=timedelta(seconds=lease),
            redeliver=redeliver,
            parks=bad == "park",
        )

    def __repr__(self) -> str:
        return self._what

    async def prepare(self) -> None:
        """Add the columns and indexes that a lease needs, where they are not there yet.

        To be run once, by somebody who owns the table. It may be run again, and while consumers run.

        Raises:
            ConnectionLostError: The server cannot be reached.
            ConnectorSetupError: There is no such table, or it is somebody else's.
        """
        async with Link(self._address, self._reconnect) as link:
            for statement in self._lease.prepare():
                await link.work(functools.partial(make_once, statement=statement))

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncIterator[Session]:
        """Enter to connect; leave to give back what was not acked, and disconnect.

        Raises:
            ConnectionLostError: The server cannot be reached.
            ConnectorSetupError: It was given positions: a queue has none.
        """
        if after:
            raise ConnectorSetupError(
                f"{self._what}: its rows have no positions, so that a sink cannot keep any: "
                "a sink with key= makes writing a row again harmless"
            )
        async with Link(self._address, self._reconnect) as link:
            session = Session(link, self._address, self._terms, uuid.uuid4().hex)
            session.start()
            try:
                yield session
            finally:
                await session.leave()
