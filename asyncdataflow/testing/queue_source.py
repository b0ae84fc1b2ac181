"""QueueSource: a source in memory that is told what became of each item."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from ..abc import AckableSource, Positions
from ..message import Answer, Message

__all__ = ("QueueSource",)

T = TypeVar("T")


class QueueSource(AckableSource[T]):
    """A queue for tests of what is acked, and when: one run at a time.

    A run gives what is left, in order, and ends. What it nacks is left for the next one.

    Args:
        items: What is in it.
        max_unacked: Most items that a run has and has not answered.
        on_answer: Called with each answer before the queue takes note of it; what it raises is
            an error of the source.

    Attributes:
        left: The items that are still in it, in order.
        acked: Items that are done with, in the order in which they were.
        nacked: Items that were not, each with its error, as often as that was said.

    Example:
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.testing import QueueSource
        >>> queue = QueueSource([1, 2, 0, 4])
        >>> flow = DataFlow((queue, lambda n: 8 // n))
        >>> try:
        ...     flow()
        ... except ZeroDivisionError:
        ...     0 in queue.left
        True
    """

    has_positions = True

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        max_unacked: int = 1000,
        on_answer: Callable[[Answer], object] | None = None,
    ) -> None:
        self._waiting: deque[tuple[int, T]] = deque(enumerate(items))
        self._on_answer = on_answer
        self.max_unacked = max_unacked
        self.acked: list[T] = []
        self.nacked: list[tuple[T, BaseException]] = []

    @property
    def left(self) -> list[T]:
        """What is still in it."""
        return [item for _, item in self._waiting]

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncGenerator[_Session[T], None]:
        """Give what is left, or, where a sink keeps positions, what lies behind them."""
        done = -1 if after is None else after.get(None, -1)
        self._waiting = deque(each for each in self._waiting if each[0] > done)
        yield _Session(self._waiting, self._take_note)

    def _take_note(self, answer: Answer) -> bool:
        if self._on_answer is not None:
            self._on_answer(answer)
        if answer.error is None:
            self.acked.append(answer.message.item)
        else:
            self.nacked.append((answer.message.item, answer.error))
        return answer.is_ack


class _Session(Generic[T]):
    """One run's part of it."""

    def __init__(self, waiting: deque[tuple[int, T]], take_note: Callable[[Answer], bool]) -> None:
        self._waiting = waiting
        self._take_note = take_note
        self._given: dict[int, Message[Any]] = {}

    async def __aiter__(self) -> AsyncGenerator[Message[T], None]:
        for position, item in list(self._waiting):
            message = self._given[position] = Message(item, position)
            yield message

    async def answer(self, answers: Sequence[Answer]) -> None:
        """See ``Subscription``."""
        for each in answers:
            position = each.message.position
            if self._given.pop(position, None) is not each.message:
                raise RuntimeError(f"{each.message.item!r} was answered twice, or by another session")
            if self._take_note(each):
                self._waiting.remove((position, each.message.item))
