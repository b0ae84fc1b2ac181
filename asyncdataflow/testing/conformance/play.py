"""Producers and consumers on one channel, and what they say of themselves."""

from __future__ import annotations

import asyncio
import functools
import random
from collections import Counter, defaultdict
from contextlib import suppress
from typing import Any, Protocol

from ...errors import EndOfChannel, WouldBlock

__all__ = ("AnyChannel", "AnyReceiver", "AnySender", "Play")


class AnySender(Protocol):
    """A sending end."""

    async def send(self, item: Any) -> None:
        """Send, waiting while it is full; ``ChannelClosed`` where every receiver has closed."""

    def send_nowait(self, item: Any) -> None:
        """Send, or raise ``WouldBlock`` or ``ChannelClosed``."""

    def close(self) -> None:
        """Send no more."""


class AnyReceiver(Protocol):
    """A receiving end."""

    async def receive(self) -> Any:
        """The next item, waiting for one; ``EndOfChannel`` at the end."""

    def receive_nowait(self) -> Any:
        """The next item, or ``WouldBlock`` or ``EndOfChannel``."""

    def close(self) -> None:
        """Receive no more."""


class AnyChannel(Protocol):
    """A bounded edge. What has to be closed behind its ends has a coroutine method ``aclose`` as well."""

    def sender(self) -> AnySender:
        """A new sending end."""

    def receiver(self) -> AnyReceiver:
        """A new receiving end."""


class Play:
    """Producers that send numbered items, and consumers that receive until the end.

    Args:
        channel: Where.
        capacity: How many items it may hold.
        producers: How many.
        consumers: How many.
        draw: Where their pauses come from.
        each: Items of each producer.

    Attributes:
        sent: What producers have sent, as ``(producer, count)``.
        received: What each consumer has received.
        tasks: Theirs, the producers' first.
    """

    def __init__(
        self,
        channel: AnyChannel,
        capacity: int,
        producers: int,
        consumers: int,
        draw: random.Random,
        each: int = 3,
    ) -> None:
        self.sent: list[tuple[int, int]] = []
        self.received: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._capacity, self._draw, self._each = capacity, draw, each
        self._sending: set[int] = set()
        self._receiving: set[int] = set()
        # Neither the end nor the abandonment of the channel hides who waits at rest.
        self._held_open = channel.sender()
        self._spare = channel.receiver()
        self.tasks: list[asyncio.Task[None]] = []
        for number in range(producers):
            sender = channel.sender()
            task = asyncio.create_task(self._produce(sender, number), name=f"producer {number}")
            # Not in the task: one that is cancelled before its first step never runs.
            task.add_done_callback(functools.partial(_close, sender))
            self.tasks.append(task)
        for number in range(consumers):
            consuming = self._consume(channel.receiver(), number)
            self.tasks.append(asyncio.create_task(consuming, name=f"consumer {number}"))

    def beside(self) -> str | None:
        """Whether somebody waits beside what it waits for; to be asked when nothing moves."""
        lying = len(self.sent) - sum(map(len, self.received.values()))
        if lying > 0 and self._receiving:
            return f"{lying} items lay there, and {len(self._receiving)} receivers waited"
        if lying < self._capacity and self._sending:
            return f"{self._capacity - lying} slots were free, and {len(self._sending)} senders waited"
        return None

    def close(self) -> None:
        """Let the channel end behind its producers."""
        self._held_open.close()

    def waiting(self) -> str | None:
        """Who has not ended."""
        return ", ".join(each.get_name() for each in self.tasks if not each.done()) or None

    async def count(self) -> str | None:
        """End everybody, take what still lies there, and compare what was sent with what was received."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.close()
        taken = Counter(item for items in self.received.values() for item in items)
        with suppress(EndOfChannel, WouldBlock):
            while True:
                taken[self._spare.receive_nowait()] += 1
        sent = Counter(self.sent)
        lost, extra = sent - taken, taken - sent
        told = [f"lost: {sorted(lost)}"] if lost else []
        return "; ".join([*told, *([f"came without being sent: {sorted(extra)}"] if extra else [])]) or None

    def disorder(self) -> str | None:
        """A consumer that received a producer's items in another order than they were sent in."""
        for consumer, items in self.received.items():
            for producer in {by for by, _ in items}:
                counts = [count for by, count in items if by == producer]
                if counts != sorted(counts):
                    return f"consumer {consumer} received items {counts} of producer {producer}"
        return None

    async def _pause(self) -> None:
        for _ in range(self._draw.choice((0, 0, 1, 2))):
            await asyncio.sleep(0)

    async def _produce(self, sender: AnySender, number: int) -> None:
        for count in range(self._each):
            await self._pause()
            self._sending.add(number)
            try:
                await sender.send((number, count))
            finally:
                self._sending.discard(number)
            self.sent.append((number, count))

    async def _consume(self, receiver: AnyReceiver, number: int) -> None:
        while True:
            self._receiving.add(number)
            try:
                item = await receiver.receive()
            except EndOfChannel:
                return
            finally:
                self._receiving.discard(number)
            self.received[number].append(item)
            await self._pause()


def _close(sender: AnySender, _: asyncio.Task[None]) -> None:
    sender.close()
