"""Desk: where the messages of one source are answered, each once; and of one that is not, told of."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from ..errors import UnsettledError
from ..following import Following
from ..histogram import Recorder
from ..message import Answer, Message
from .clock import time_of
from .receipts import NOBODY, FollowedReceipt, Nobody
from .tracked import Tracked, tracked

__all__ = ("AnswerDesk", "OwnDesk")

_MOST_AT_ONCE: Final = 1000


class _Desk:
    """Hears of parts that were let go."""

    answers = True

    def __init__(self, source: str, following: Following | None) -> None:
        self.source = source
        self._following = following
        self._stopping = False
        self._dropped: deque[Nobody] = deque()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def stop(self) -> None:
        """The run stops: what is let go from now on has failed."""
        self._stopping = True

    def dropped(self, part: Nobody) -> None:
        """As of a desk.

        Looked at in a step of its own: the collector may be at work here in the midst of a line
        of ours, and where everything is cancelled at once, the run is yet to hear of it.
        """
        self._dropped.append(part)
        if len(self._dropped) > 1 or self._loop.is_closed():
            return
        if threading.get_ident() == self._thread:
            self._loop.call_soon(self._look_at_dropped)
        else:
            self._loop.call_soon_threadsafe(self._look_at_dropped)

    def _look_at_dropped(self) -> None:
        while self._dropped:
            part = self._dropped.popleft()
            if self._stopping:
                part.fail(_unsettled())
            else:
                part.unwanted()


class OwnDesk(_Desk):
    """Of a source that is not answered, and that instruments follow.

    Args:
        source: The source's name.
        following: What follows its items.
    """

    answers = False
    sleeps = True

    def __init__(self, source: str, following: Following) -> None:
        super().__init__(source, following)
        self.acked: list[Answer] = []
        self._begin = following.begin
        # Of all, since nobody is answered: else what was given would live until it is settled.
        self._message: Message[Any] = Message(None)

    def track(self, item: Any) -> Tracked:
        """An item, on its way."""
        trace = self._begin(self.source, Message(item))
        return tracked(item, NOBODY if trace is None else FollowedReceipt(self._message, self, trace))

    def wake(self) -> None:
        """As of a desk: there is nobody to be told."""
        self.acked.clear()

    def nack(self, message: Message[Any], error: BaseException) -> None:
        """As of a desk, likewise."""


class AnswerDesk(_Desk):
    """Knows what is unanswered, and tells the source what became of it, many messages in one call.

    Args:
        source: The source's name.
        answer: The subscription's way to be told.
        most: Most messages unanswered.
        took: Counts the seconds from when a message is given to when it is known to be settled.
        following: What follows the messages.

    Attributes:
        acked: As of a desk.
        sleeps: As of a desk.
    """

    def __init__(
        self,
        source: str,
        answer: Callable[[Sequence[Answer]], Awaitable[None]],
        most: int,
        took: Recorder | None = None,
        following: Following | None = None,
    ) -> None:
        super().__init__(source, following)
        self._answer = answer
        self._most = most
        self._took = took or Recorder()
        # With the time at which each was given.
        self._open: dict[Message[Any], float] = {}
        self.acked: list[Answer] = []
        self.sleeps = False
        self._answers: list[Answer] = []
        self._telling = 0
        self._closed = self._given_up = False
        self._muted = self._hurried = False
        self._clock = time_of(self._loop)
        self._now = self._clock()
        self._news: asyncio.Future[None] | None = None
        self._waiting: asyncio.Future[None] | None = None

    @property
    def unacked(self) -> int:
        """Messages that were given and not answered."""
        return len(self._open) + len(self._answers) + self._telling

    @property
    def room(self) -> int:
        """Messages that may be given now."""
        return max(self._most - self.unacked, 0)

    def track(self, message: Message[Any]) -> Tracked:
        """A message's item, on its way."""
        self.look()
        made: list[Tracked] = []
        self.laying(made.append)(message)
        return made[0]

    def laying(self, lay: Callable[[Tracked], None]) -> Callable[[Message[Any]], None]:
        """What puts a message's item where ``lay`` puts what is tracked."""
        unanswered = self._open

        def lay_message(message: Message[Any]) -> None:
            unanswered[message] = self._now
            made = Tracked()
            made.item = message.item
            made.receipt = message
            made.desk = self
            lay(made)

        following = self._following
        if following is None:
            return lay_message

        def lay_followed(message: Message[Any]) -> None:
            trace = following.begin(self.source, message)
            if trace is None:
                lay_message(message)
            else:
                unanswered[message] = self._now
                lay(tracked(message.item, FollowedReceipt(message, self, trace)))

        return lay_followed

    def look(self) -> None:
        """Look what time it is, for all messages that are given in one stretch."""
        self._now = self._clock()

    def nack(self, message: Message[Any], error: BaseException) -> None:
        """As of a desk; behind :meth:`close` it was answered already."""
        if message in self._open:
            self._took.add(self._clock() - self._open.pop(message))
            self._answers.append(Answer(message, error))
            if self.sleeps:
                self.wake()

    def wake(self) -> None:
        """As of a desk."""
        self.sleeps = False
        _wake(self._news)

    async def wait_for_room(self) -> None:
        """Wait until one more may be given."""
        while not self.room and not self._muted:
            await self._wait()

    async def wait_until_answered(self) -> None:
        """Wait until every message is answered."""
        while self.unacked and not self._given_up:
            await self._wait()

    async def settle(self, seconds: float) -> None:
        """The same, for so long at most, and not behind :meth:`hurry`."""
        timer = self._loop.call_later(seconds, self.hurry)
        try:
            while self.unacked and not (self._given_up or self._hurried):
                await self._wait()
        finally:
            timer.cancel()

    def hurry(self) -> None:
        """See :meth:`settle`."""
        self._hurried = True
        _wake(self._waiting)

    def mute(self) -> None:
        """The source can be told nothing any more, whatever becomes of its messages."""
        self._muted = True
        self._answers.clear()
        _wake(self._waiting)

    def give_up(self) -> None:
        """What is not settled never will be."""
        self._look_at_dropped()
        self._given_up = True
        _wake(self._waiting)

    async def news(self) -> bool:
        """Wait until something is to be told; false when it is closed."""
        while not self._answers and not self.acked and not self._closed:
            self._news = self._loop.create_future()
            self.sleeps = True
            await self._news
        return not self._closed

    async def tell(self) -> None:
        """Answer what is settled."""
        self._take_acked()
        if self._muted:
            self.mute()
        while self._answers and not self._telling:
            telling, self._answers = self._answers[:_MOST_AT_ONCE], self._answers[_MOST_AT_ONCE:]
            self._telling = len(telling)
            try:
                await self._answer(telling)
            finally:
                self._telling = 0
                _wake(self._waiting)
            self._take_acked()

    def _take_acked(self) -> None:
        if not self.acked:
            return
        answered, now = self._open.pop, self._clock()
        given = [answered(each.message, None) for each in self.acked]
        # Most were given together.
        for since, times in Counter(given).items():
            if since is not None:
                self._took.add(now - since, times)
        # Behind :meth:`close` they are answered already.
        answers = zip(self.acked, given, strict=True)
        self._answers += [each for each, since in answers if since is not None]
        # What comes later is appended to this very list.
        self.acked.clear()

    async def close(self) -> None:
        """Nack what is not settled, and tell all; what is said of it later counts for nothing."""
        self._take_acked()
        unsettled = _unsettled()
        # A copy: whatever is collected meanwhile must find nothing half done.
        self._answers += [Answer(message, unsettled) for message in list(self._open)]
        self._open.clear()
        self._closed = True
        self.wake()
        while self.unacked:
            await (self._wait() if self._telling else self.tell())

    async def _wait(self) -> None:
        self._waiting = self._loop.create_future()
        await self._waiting


def _unsettled() -> UnsettledError:
    return UnsettledError("the run ended before it was settled")


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
