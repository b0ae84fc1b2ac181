"""The ways out where items are tracked: a part for each edge, and an end for what nobody takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..operators.protocol import ALL, ANY, Delivery
from .channel import Sender
from .routing import Discard, Edges, Results, send_to_all, send_to_any
from .tracked import Tracked

__all__ = ("TrackedDiscard", "TrackedEdges", "TrackedResults")


class TrackedDiscard(Discard):
    """As ``Discard``: what the sink has taken is done with."""

    async def send(self, value: Tracked) -> None:
        """As in ``Discard``."""
        value.settle()

    async def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """As in ``Discard``."""
        for _, value in deliveries:
            value.settle()

    def put(self, values: Sequence[Any]) -> int:
        """As in ``Discard``."""
        for value in values:
            value.settle()
        return 0


class TrackedResults(Results):
    """As ``Results``: what is no result is done with."""

    def put(self, values: Sequence[Any]) -> int:
        """As in ``Results``."""
        results = [None if value.item is None else value for value in values]
        for value, result in zip(values, results, strict=True):
            if result is None:
                value.settle()
        return super().put(results)


class TrackedEdges(Edges):
    """As ``Edges``: what goes into several is parted."""

    async def send(self, value: Tracked) -> None:
        """As in ``Edges``."""
        if self._only is not None:
            await self._only.send(value)
        elif not await send_to_all(_parted(self._all, value)):
            raise self._nobody_left()

    async def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """As in ``Edges``."""
        if self.channels and all(each.abandoned for each in self.channels):
            raise self._nobody_left()
        together: list[tuple[Sender[Any], Tracked]] = []
        for branch, value in deliveries:
            if branch == ANY:
                await send_to_any(self._all, value)
            else:
                together += _parted(self._all if branch == ALL else self._branches[branch], value)
        if together:
            await send_to_all(together)

    def laying(self) -> Callable[[Any], None] | None:
        """As in ``Edges``, where there is one."""
        return super().laying() if self._only is not None else None

    def put(self, values: Sequence[Any]) -> int:
        """As in ``Edges``."""
        if self._only is not None:
            return super().put(values)
        rows = [_parted(self._all, value) for value in values]
        for place, sender in enumerate(self._all):
            sender.put_into_claimed([row[place][1] for row in rows])
        if all(each.abandoned for each in self.channels):
            raise self._nobody_left()
        return 0


def _parted(senders: Sequence[Sender[Any]], value: Tracked) -> list[tuple[Sender[Any], Tracked]]:
    """The item itself for the first, a part of it for each other."""
    return [(sender, value.part(value.item) if place else value) for place, sender in enumerate(senders)]
