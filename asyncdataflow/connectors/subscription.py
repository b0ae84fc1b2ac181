"""What sessions of sources on local storage have in common: reading ahead, giving again, answers."""

from __future__ import annotations

import abc
import asyncio
import heapq
import itertools
import logging
import random
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import RedeliveryError
from ..message import Answer, Message
from ..policy import Retry

__all__ = ("Reading", "Record")

T = TypeVar("T")

_logger = logging.getLogger("asyncdataflow")


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """What was read, not given yet.

    Attributes:
        item: The item.
        position: Where it lies.
        partition: In which part.
        skipped: It is not to be given: it counts as done when its turn comes.
    """

    item: T
    position: Any
    partition: Hashable = None
    skipped: bool = False


class _Delivery:
    """One giving of an item: the handle of its message."""

    __slots__ = ("answered", "session", "since", "token", "turn")

    def __init__(self, session: Reading[Any], token: Any, since: float, turn: int = 1) -> None:
        self.session = session
        self.token = token
        self.since = since
        self.turn = turn
        self.answered = False


class Reading(abc.ABC, Generic[T]):
    """A session that reads in a thread, a few records at a time.

    What was nacked comes again before anything new, each after the wait that ``redeliver`` says;
    nothing new is given meanwhile. An ``__anext__`` that is cancelled loses nothing.

    Args:
        redeliver: How often and when something is given again.
        follow: At the end, look for more every ``poll`` seconds, instead of ending.
        poll: Seconds.
    """

    def __init__(self, *, redeliver: Retry, follow: bool, poll: float) -> None:
        self._redeliver = redeliver
        self._follow = follow
        self._poll = poll
        self._records: deque[Record[T]] = deque()
        self._reading: asyncio.Future[list[Record[T]]] | None = None
        # By when they are due, and in the order in which they were nacked.
        self._nacked: list[tuple[float, int, Message[T]]] = []
        self._numbers = itertools.count()
        self._failed: RedeliveryError | None = None
        self._changed = asyncio.Event()
        self._ended = self._closed = False

    def __aiter__(self) -> Reading[T]:
        """Itself: a session is read once."""
        return self

    async def __anext__(self) -> Message[T]:
        """The next message.

        Raises:
            RedeliveryError: Something was nacked as often as it may be.
        """
        if self._ended:
            raise StopAsyncIteration
        try:
            while True:
                message = await self._next_nacked() or self._next_record()
                if message is not None:
                    return message
                if not await self._read_on() and not self._nacked and self._failed is None:
                    await self._wait_for_more()
        except (Exception, StopAsyncIteration):
            self._ended = True
            raise

    async def answer(self, answers: Sequence[Answer]) -> None:
        """Take note of acks for good, and give again what was nacked."""
        acked = []
        for each in answers:
            delivery = self._open_delivery(each.message)
            if delivery is None:
                continue
            delivery.answered = True
            if each.error is None:
                acked.append(delivery.token)
            else:
                self._give_again(each.message, delivery, each.error)
        if acked:
            await self._keep(acked)

    def close(self) -> None:
        """End: nothing is given any more, and an answer is no longer heard."""
        self._ended = self._closed = True
        self._nacked.clear()
        self._records.clear()
        if self._reading is not None:
            self._reading.cancel()

    @abc.abstractmethod
    def _begin_reading(self) -> asyncio.Future[list[Record[T]]]:
        """Have a few records read; none where there are no more at present."""

    @abc.abstractmethod
    async def _keep(self, acked: list[Any]) -> None:
        """Keep, for good, that these are done, each the token of :meth:`_given`."""

    @abc.abstractmethod
    def _given(self, record: Record[T]) -> Any:
        """Take note of what is given for the first time, in order.

        Returns:
            A token to know it by.
        """

    @abc.abstractmethod
    def _skipped(self, record: Record[T]) -> None:
        """Take note, in order, of what is not given."""

    def _next_record(self) -> Message[T] | None:
        while self._records:
            record = self._records.popleft()
            if record.skipped:
                self._skipped(record)
                continue
            delivery = _Delivery(self, self._given(record), asyncio.get_running_loop().time())
            return Message(record.item, record.position, record.partition, delivery)
        return None

    async def _next_nacked(self) -> Message[T] | None:
        """What comes again, when it is due; ``None`` where nothing does."""
        if self._failed is not None:
            raise self._failed
        while self._nacked:
            now = asyncio.get_running_loop().time()
            due, _, old = self._nacked[0]
            if due > now:
                await self._sleep(due - now)
                if self._failed is not None:
                    raise self._failed
                continue
            heapq.heappop(self._nacked)
            before: _Delivery = old.handle
            delivery = _Delivery(self, before.token, before.since, before.turn + 1)
            return Message(old.item, old.position, old.partition, delivery)
        return None

    async def _read_on(self) -> bool:
        """Read more records; whether there were any."""
        if self._reading is None:
            self._reading = self._begin_reading()
        try:
            # Cancelled, it is there for whoever asks next.
            records = await asyncio.shield(self._reading)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._reading = None
            raise
        self._reading = None
        self._records.extend(records)
        return bool(records)

    async def _wait_for_more(self) -> None:
        if not self._follow:
            raise StopAsyncIteration
        await self._sleep(self._poll)

    async def _sleep(self, seconds: float) -> None:
        """Wait so long, or until something has changed."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds) as scope:
                await self._changed.wait()
        except TimeoutError:
            if not scope.expired():
                raise

    def _open_delivery(self, message: Message[Any]) -> _Delivery | None:
        """The delivery that an answer is for, where it is of this session and has none yet."""
        delivery = message.handle
        mine = isinstance(delivery, _Delivery) and delivery.session is self
        if mine and not delivery.answered and not self._closed:
            return delivery  # type: ignore[no-any-return]
        _logger.warning(
            "an answer for position %r of partition %r came too late, and is ignored",
            message.position,
            message.partition,
        )
        return None

    def _give_again(self, message: Message[T], delivery: _Delivery, error: BaseException) -> None:
        policy, now = self._redeliver, asyncio.get_running_loop().time()
        due = now + policy.wait(delivery.turn, random.random())  # noqa: S311 - jitter, no secret
        given_up = (
            not isinstance(error, policy.on)
            or (policy.attempts is not None and delivery.turn >= policy.attempts)
            or (policy.max_elapsed is not None and due > delivery.since + policy.max_elapsed)
        )
        if given_up:
            self._failed = self._failed or _given_up(message, delivery.turn, error)
        else:
            heapq.heappush(self._nacked, (due, next(self._numbers), message))
        self._changed.set()


def _given_up(message: Message[Any], turns: int, error: BaseException) -> RedeliveryError:
    where = "" if message.partition is None else f" of {message.partition!r}"
    told = RedeliveryError(
        f"position {message.position!r}{where} was given {turns} times, and failed each time; "
        "send such items to a dead-letter sink (on_error=dead_letter(…)), or allow more (redeliver=Retry(…))"
    )
    told.__cause__ = error
    return told
