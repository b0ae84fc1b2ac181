"""Sessions of a source that is answered, as the kit holds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ...abc import AckableSource, Positions, Subscription
from ...message import Answer, Message
from .trial import Bench

__all__ = ("Answered", "Session", "without")


class Session:
    """One session: what was taken of it, and its answers.

    Attributes:
        subscription: What ``open`` gave.
        acked: Items whose ack was begun.
    """

    def __init__(self, subscription: Subscription[Any], silence: float | None) -> None:
        self.subscription = subscription
        self.iterator = aiter(subscription)
        self.acked: list[Any] = []
        self._silence = silence

    async def take(self, most: int, until: Callable[[list[Any]], bool] | None = None) -> list[Message[Any]]:
        """Up to so many messages; fewer where it ends, or nothing comes for as long as is told.

        Args:
            most: How many.
            until: Of the items so far, whether these are enough.
        """
        taken: list[Message[Any]] = []
        while len(taken) < most and not (until and until([each.item for each in taken])):
            try:
                async with asyncio.timeout(self._silence) as scope:
                    taken.append(await anext(self.iterator))
            except StopAsyncIteration:
                break
            except TimeoutError:
                if not scope.expired():
                    raise
                break
        return taken

    async def ack(self, *messages: Message[Any]) -> None:
        """All is well with these."""
        self.acked += [each.item for each in messages]
        await self.subscription.answer([Answer(each) for each in messages])

    async def nack(self, *messages: Message[Any]) -> None:
        """These have failed."""
        error = LookupError("nacked by the kit")
        await self.subscription.answer([Answer(each, error) for each in messages])


@dataclass(frozen=True, slots=True)
class Answered:
    """What is tried: sources made anew, and what they are to give."""

    make: Callable[[], AckableSource[Any]]
    items: Sequence[Any]
    low_water: bool
    silence: float | None
    bench: Bench

    @asynccontextmanager
    async def session(
        self, source: AckableSource[Any], after: Positions | None = None
    ) -> AsyncIterator[Session]:
        """Open, as a run does it, and leave."""
        context = source.open() if after is None else source.open(after)
        if not isinstance(context, AbstractAsyncContextManager):
            raise TypeError(f"open() returned {type(context).__qualname__}, no async context manager")
        async with context as subscription:
            yield Session(subscription, self.silence)

    async def all_of(self, source: AckableSource[Any], after: Positions | None = None) -> list[Any]:
        """The items of a session that answers nothing."""
        async with self.session(source, after) as session:
            return [each.item for each in await session.take(len(self.items) + 1)]

    async def missing(self, source: AckableSource[Any], items: list[Any]) -> list[Any]:
        """Which of these do not come in a session of their own."""
        async with self.session(source) as session:
            taken = await session.take(len(self.items) + 1, until=lambda seen: not without(items, seen))
            return without(items, [each.item for each in taken])


def without(items: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The items less the others, one for one; items may not be hashable."""
    left, kept = list(others), []
    for item in items:
        if item in left:
            left.remove(item)
        else:
            kept.append(item)
    return kept
