"""Session: what one opening of a PostgresQueue holds, renews, gives and answers."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from ...errors import BadMessageError, ConnectionLostError, ConnectorSetupError
from ...message import Answer, Message
from ...policy import Retry
from ..intake import Intake, finish
from .client import Address, Link, identifier
from .lease import LEASE_COLUMNS, Lease

with suppress(ImportError):
    import psycopg
    from psycopg import sql

if TYPE_CHECKING:
    from .client import Connection

__all__ = ("Session", "Terms")

_LOG = logging.getLogger(__name__)

_PATIENCE_AT_THE_END: Final = 5.0
_PAUSE_OF_THE_LISTENER: Final = 1.0
_ENDLESS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Terms:
    """How a queue is read; the options of :class:`PostgresQueue`, checked."""

    what: str
    statements: Lease
    alone: bool
    follow: bool
    channel: str | None
    poll: float
    fetch: int
    lease: timedelta
    redeliver: Retry
    parks: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Delivery:
    """A row as it was given this time."""

    key: Any
    attempts: int


class Session:
    """One session: a subscription of messages whose handles are its deliveries."""

    def __init__(self, link: Link, address: Address, terms: Terms, name: str) -> None:
        self._link = link
        self._address = address
        self._terms = terms
        self._name = name
        self._held: dict[Any, _Delivery] = {}
        self._given: set[_Delivery] = set()
        self._intake: Intake[tuple[_Delivery, Any]] = Intake(self._fetch)
        self._wake = asyncio.Event()
        self._losses = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._error: BaseException | None = None
        self._ended = False
        self._left = False

    def start(self) -> None:
        """Begin to renew, and to listen."""
        self._tasks.append(asyncio.create_task(self._keep(self._renewing)))
        if self._terms.channel is not None and self._terms.follow:
            self._tasks.append(asyncio.create_task(self._keep(self._listening)))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message[Any]:
        """The next row."""
        if self._left or self._ended:
            raise StopAsyncIteration
        self._raise()
        delivery, item = await self._intake.next()
        self._given.add(delivery)
        return Message(item, handle=delivery)

    async def answer(self, answers: Sequence[Answer]) -> None:
        """Delete what was acked, or mark it as done; give back what was nacked."""
        self._raise()
        mine = [each for each in answers if self._is_mine(each)]
        acked = [each.message.handle for each in mine if each.is_ack]
        nacked = [each.message.handle for each in mine if not each.is_ack]
        if acked:
            self._tell_late(len(acked), await self._settle(acked, self._terms.statements.ack))
        if nacked:
            # What lies here was not given yet, and is to come behind what comes again.
            back = [delivery for delivery, _ in self._intake.left()]
            await self._settle(
                nacked, self._terms.statements.nack, after=[self._wait(each) for each in nacked]
            )
            await self._settle(back, self._terms.statements.put_back)
            self._wake.set()

    async def leave(self) -> None:
        """Stop, and give back what was not acked; without a connection the leases end by themselves."""
        self._left = True
        await finish(asyncio.create_task(self._leaving()))

    def _is_mine(self, answer: Answer) -> bool:
        """Given by this session and not yet answered; anything else is none of its own."""
        if self._left or answer.message.handle not in self._given:
            _LOG.warning("%s: an answer to a delivery of another session is ignored", self._terms.what)
            return False
        return True

    def _wait(self, delivery: _Delivery) -> timedelta:
        """Until a row that was nacked is given again."""
        draw = random.random()  # noqa: S311 - jitter, no secret
        return timedelta(seconds=self._terms.redeliver.wait(delivery.attempts, draw))

    async def _settle(
        self, deliveries: list[_Delivery], statement: sql.Composed, **more: object
    ) -> int | None:
        """How many were still this session's; ``None`` where nobody can tell."""
        losses = self._link.losses
        keys, attempts = [each.key for each in deliveries], [each.attempts for each in deliveries]

        async def do(connection: Connection) -> int:
            values = {"keys": keys, "attempts": attempts, **more, **self._values}
            return (await connection.execute(statement, values)).rowcount

        settled = await self._link.work(do) if deliveries else 0
        for each in deliveries:
            self._given.discard(each)
            if self._held.get(each.key) is each:
                del self._held[each.key]
        return settled if self._link.losses == losses else None

    def _tell_late(self, given: int, settled: int | None) -> None:
        if settled is not None and settled < given:
            _LOG.warning(
                "%s: %d acks came after their leases' end, and are ignored: the rows are given again",
                self._terms.what,
                given - settled,
            )

    async def _fetch(self) -> Sequence[tuple[_Delivery, Any]]:
        """The next rows; none only where the queue is not followed."""
        while True:
            self._raise()
            self._wake.clear()
            lot, bad = await self._link.work(self._claim)
            if bad:
                await self._park(bad)
            if lot or not (bad or self._terms.follow):
                self._ended = not lot
                return lot
            if not bad:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._terms.poll):
                        await self._wake.wait()

    async def _claim(self, connection: Connection) -> tuple[list[tuple[_Delivery, Any]], dict[str, str]]:
        if self._link.losses != self._losses:
            # A claim may have been committed whose rows never arrived.
            await self._release(connection, kept=list(self._held))
            self._losses = self._link.losses
        statements = self._terms.statements
        most = self._terms.redeliver.attempts
        values = {**self._values, "count": self._terms.fetch, "most": _ENDLESS if most is None else most}
        lot, bad = await _made_of(
            await connection.execute(statements.claim, values), statements, self._terms.alone
        )
        for delivery, _ in lot:
            # A key that came again is a new delivery: an answer to the older one is late.
            self._given.discard(self._held.get(delivery.key, delivery))
            self._held[delivery.key] = delivery
        return lot, bad

    async def _park(self, bad: dict[str, str]) -> None:
        if not self._terms.parks:
            key, reason = next(iter(bad.items()))
            named = (
                f"{self._terms.statements.key}={key}" if re.fullmatch(r"[0-9a-f-]{1,36}", key) else "a row"
            )
            raise BadMessageError(
                f"{self._terms.what}: {named} cannot be made an item: {reason}; bad='park' leaves such rows"
            )

        async def do(connection: Connection) -> None:
            for key, reason in bad.items():
                values = {**self._values, "keys": [key], "reason": f"cannot be read: {reason}"}
                await connection.execute(self._terms.statements.park, values)

        await self._link.work(do)
        _LOG.error("%s: %d rows cannot be made items, and are parked", self._terms.what, len(bad))

    async def _release(self, connection: Connection, kept: list[Any]) -> None:
        given = [each.key for each in self._given]
        values = {**self._values, "given": given, "kept": kept}
        await connection.execute(self._terms.statements.release, values)

    @property
    def _values(self) -> dict[str, Any]:
        return {"session": self._name, "lease": self._terms.lease}

    async def _renewing(self) -> None:
        async def renew(connection: Connection) -> None:
            await connection.execute(self._terms.statements.renew, self._values)

        while True:
            await asyncio.sleep(self._terms.lease.total_seconds() / 3)
            if self._held:
                await self._link.work(renew)

    async def _listening(self) -> None:
        """Wake up for new rows; without it there is still the poll."""
        listen = sql.SQL("LISTEN {}").format(identifier(str(self._terms.channel)))
        while True:
            with suppress(ConnectionLostError, psycopg.Error):
                connection = await self._address.connect()
                try:
                    await connection.execute(listen, ())
                    self._wake.set()
                    async with aclosing(connection.notifies()) as told:
                        async for _ in told:
                            self._wake.set()
                finally:
                    await connection.close()
            await asyncio.sleep(_PAUSE_OF_THE_LISTENER)

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised by whoever asks next
            self._error = error
            self._wake.set()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    async def _leaving(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._intake.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            async with asyncio.timeout(_PATIENCE_AT_THE_END):
                await self._link.once(lambda connection: self._release(connection, kept=[]))
        except (ConnectionLostError, ConnectorSetupError, TimeoutError, psycopg.Error) as error:
            _LOG.warning("%s: its rows are given again when their leases end: %s", self._terms.what, error)


async def _made_of(
    rows: Any, statements: Lease, alone: bool
) -> tuple[list[tuple[_Delivery, Any]], dict[str, str]]:
    """Deliveries with their items, and of rows that cannot be read the key and the reason."""
    names = [each.name for each in rows.description][2:]
    skipped = () if statements.columns else (*LEASE_COLUMNS, statements.done)
    lot, bad = [], {}
    for number in range(rows.rowcount):
        await rows.scroll(number, mode="absolute")
        try:
            key, attempts, *values = await rows.fetchone()
        except (psycopg.Error, ValueError, ArithmeticError, RecursionError) as error:
            bad[rows.pgresult.get_value(number, 0).decode(errors="replace")] = type(error).__name__
            continue
        dressed = {name: value for name, value in zip(names, values, strict=True) if name not in skipped}
        lot.append((_Delivery(key, attempts), values[0] if alone else dressed))
    return lot, bad
