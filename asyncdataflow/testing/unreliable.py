"""Unreliable sources: faults between a source and the flow, as a broker and the way to it have them."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from ..abc import Positions, Subscription
from ..errors import UnsettledError
from ..message import Answer, Message
from ..operators.streamwise import opened
from ..stage import Stage
from .injection import Injector

__all__ = ("UnreliableItems", "unreliable")

_AGAIN: Final = 3
"""Items that a source gives again, at most, when it has reconnected; besides those not answered."""

_Open = Callable[[Positions | None], AbstractAsyncContextManager[Subscription[Any]]]
"""The ``open`` of a source that is answered."""


class _Given:
    """What a source gave last, as it comes again: the very items, of one that is not answered.

    Args:
        most: How many of them.
    """

    def __init__(self, most: int) -> None:
        self._last: deque[Any] = deque(maxlen=most)

    def __bool__(self) -> bool:
        """Something may come again."""
        return bool(self._last)

    def add(self, item: Any) -> None:
        """It is given for the first time."""
        self._last.append(item)

    def redelivered(self) -> Any:
        """The last one, once more."""
        return self._last[-1]

    def reconnected(self) -> list[Any]:
        """What comes again behind a lost connection, in order."""
        return list(self._last)


class _Deliveries(_Given):
    """The same of a source that is answered.

    A message that comes again is another one of the same item, and what becomes of either
    is said of the source's own message: once, whatever comes first. One that was answered may
    come again as well: of a broker the answer may have been lost on the way. The source has
    heard it, and is told nothing more.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._open: dict[Message[Any], None] = {}
        self._meant: dict[Message[Any], Message[Any]] = {}

    @property
    def unanswered(self) -> list[Message[Any]]:
        """The source's own messages of which it was told nothing, in order."""
        return list(self._open)

    def add(self, item: Message[Any]) -> None:
        """As of any."""
        super().add(item)
        self._open[item] = None
        self._meant[item] = item

    def redelivered(self) -> Message[Any]:
        """As of any."""
        return self._copied(self._last[-1])

    def reconnected(self) -> list[Message[Any]]:
        """As of any; what is said of the deliveries before counts for nothing."""
        self._meant.clear()
        # All of which the source is yet to hear have to come, or it never would.
        again = dict.fromkeys([*(each for each in self._open if each not in self._last), *self._last])
        return [self._copied(each) for each in again]

    def heard(self, answers: Sequence[Answer]) -> list[Answer]:
        """Of what became of deliveries, what the source is to be told: of messages of its own."""
        told = []
        for each in answers:
            message = self._meant.pop(each.message, None)
            if message in self._open:
                del self._open[message]
                told.append(each if message is each.message else Answer(message, each.error))
        return told

    def _copied(self, message: Message[Any]) -> Message[Any]:
        delivery = copy.copy(message)
        self._meant[delivery] = message
        return delivery


class UnreliableItems(AsyncIterator[Any]):
    """The items of a source that ends early, reconnects, and gives items again.

    Args:
        items: What it gives.
        injector: Decides.
        name: The stage's name.
        given: What it gave, to give it again.

    Attributes:
        fresh: What came last, the end or an item, came from ``items``.
    """

    def __init__(
        self, items: AsyncIterator[Any], injector: Injector, name: str, given: _Given | None = None
    ) -> None:
        self.items = items
        self._injector = injector
        self._name = name
        self._given = _Given(_most(injector)) if given is None else given
        self._again: deque[Any] = deque()
        self._repeated = False
        self._ended = False
        self.fresh = True

    async def __anext__(self) -> Any:
        """The next item, or one that was there before."""
        self.fresh = False
        if self._again:
            return self._again.popleft()
        if self._ended or self._injector.strikes("ends_early", f"in {self._name}"):
            self._ended = True
            raise StopAsyncIteration
        if self._given and not self._repeated:
            # Once between two new items, or a share of 1 would never end.
            self._repeated = True
            if self._injector.strikes("redelivers", f"in {self._name}"):
                return self._given.redelivered()
            if self._injector.strikes("reconnects", f"in {self._name}"):
                self._again.extend(self._given.reconnected())
                await asyncio.sleep(self._injector.delay())
                return self._again.popleft()
        self.fresh = True
        item = await anext(self.items)
        self._given.add(item)
        self._repeated = False
        return item


class _UnreliableSession:
    """One session of a source that is answered.

    Args:
        session: The source's.
        injector: Decides.
        name: The stage's name.
        deliveries: What it has given.
    """

    def __init__(
        self, session: Subscription[Any], injector: Injector, name: str, deliveries: _Deliveries
    ) -> None:
        self._session = session
        self._injector = injector
        self._name = name
        self._deliveries = deliveries
        self._is_broken = False

    @property
    def finish(self) -> Callable[[], None] | None:
        """As of the source's own, where it has one: a durable buffer does."""
        finish: Callable[[], None] | None = getattr(self._session, "finish", None)
        return finish

    async def __aiter__(self) -> AsyncGenerator[Message[Any], None]:
        async with opened(self._session) as messages:
            async for each in UnreliableItems(messages, self._injector, self._name, self._deliveries):
                yield each

    async def answer(self, answers: Sequence[Answer]) -> None:
        """See ``Subscription``."""
        told = self._deliveries.heard(answers)
        if not told:
            return
        try:
            await self._session.answer(told)
        except BaseException:
            self._is_broken = True
            raise

    async def leave(self) -> None:
        """What was to come again, and did not any more: nobody can say what became of it."""
        left = self._deliveries.unanswered
        if left and not self._is_broken:
            error = UnsettledError("the connection was lost before it was settled, a fault of the simulation")
            await self._session.answer([Answer(each, error) for each in left])


def unreliable(stage: Stage[Any, Any], open_source: _Open, injector: Injector) -> _Open:
    """The ``open`` of a source that is answered, with faults behind it.

    Args:
        stage: The source's stage.
        open_source: Opens it.
        injector: Decides.
    """

    @asynccontextmanager
    async def open_unreliable(after: Positions | None) -> AsyncGenerator[Subscription[Any], None]:
        async with open_source(after) as session:
            # Where a sink keeps the positions, what it has is not to come again, whatever happens.
            deliveries = _Deliveries(_most(injector) if after is None else 0)
            between = _UnreliableSession(session, injector, stage.title, deliveries)
            try:
                yield between
            finally:
                await between.leave()

    return open_unreliable if injector.meets_source(stage) else open_source


def _most(injector: Injector) -> int:
    return _AGAIN if injector.may_repeat else 0
