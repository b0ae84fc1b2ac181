"""Desk: where the messages of one source are answered, each once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from ..message import Answer, Message
from .tracked import Nobody, Receipt, Tracked

__all__ = ("AnswerDesk",)

_MOST_AT_ONCE: Final = 1000


class AnswerDesk:
    """Knows what is unanswered, and tells the source what became of it, many messages in one call.

    Args:
        source: The source's name.
        answer: The subscription's way to be told.
        most: Most messages unanswered.
    """

    def __init__(self, source: str, answer: Callable[[Sequence[Answer]], Awaitable[None]], most: int) -> None:
        self.source = source
        self._answer = answer
        self._most = most
        self._open: dict[Receipt, None] = {}
        self._answers: list[Answer] = []
        self._telling = 0
        self._closed = self._given_up = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
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
        receipt = Receipt(message, self)
        self._open[receipt] = None
        return Tracked(message.item, receipt)

    def settled(self, receipt: Receipt) -> None:
        """As of a desk; behind :meth:`close` it was answered already."""
        if receipt in self._open:
            del self._open[receipt]
            self._answers.append(Answer(receipt.message, receipt.error))
            if self._news is not None:
                _wake(self._news)
                self._news = None

    def dropped(self, part: Nobody) -> None:
        """As of a desk."""
        if threading.get_ident() == self._thread:
            part.unwanted()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(part.unwanted)

    async def wait_for_room(self) -> None:
        """Wait until one more may be given."""
        while not self.room:
            await self._wait()

    async def wait_until_answered(self) -> None:
        """Wait until every message is answered."""
        while self.unacked and not self._given_up:
            await self._wait()

    def give_up(self) -> None:
        """What is not settled never will be."""
        self._given_up = True
        _wake(self._waiting)

    async def news(self) -> bool:
        """Wait until something is to be told; false when it is closed."""
        while not self._answers and not self._closed:
            self._news = self._loop.create_future()
            await self._news
        return not self._closed

    async def tell(self) -> None:
        """Answer what is settled."""
        while self._answers and not self._telling:
            telling, self._answers = self._answers[:_MOST_AT_ONCE], self._answers[_MOST_AT_ONCE:]
            self._telling = len(telling)
            try:
                await self._answer(telling)
            finally:
                self._telling = 0
                _wake(self._waiting)

    async def close(self) -> None:
        """Nack what is not settled, and tell all; what is said of it later counts for nothing."""
        self._answers += [Answer(receipt.message, receipt.error) for receipt in self._open]
        self._open.clear()
        self._closed = True
        _wake(self._news)
        while self.unacked:
            await (self._wait() if self._telling else self.tell())

    async def _wait(self) -> None:
        self._waiting = self._loop.create_future()
        await self._waiting


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
