"""Snapshots of a run: frozen, every field with its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from .histogram import NOTHING_SEEN, Histogram

__all__ = ("ChannelStatistics", "RunState", "RunStats", "StageStats")

RunState = Literal["new", "running", "draining", "stopping", "ended", "failed"]


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """A channel at one moment.

    Attributes:
        items: Items that lie there.
        held: Items taken whose slot is not free yet.
        capacity: Most items and held ones.
        waiting_senders: Senders that wait for a slot.
        waiting_receivers: Receivers that wait for an item.
        open_senders: Senders not closed.
        open_receivers: Receivers not closed.
        taken: Items taken so far.
        dropped: Items dropped so far by the overflow policy.
        promised: Free slots that are somebody's already: of a sender that was woken, of what a thread makes.
    """

    items: int
    held: int
    capacity: int
    waiting_senders: int
    waiting_receivers: int
    open_senders: int
    open_receivers: int
    taken: int
    dropped: int
    promised: int = 0


@dataclass(frozen=True, slots=True)
class StageStats:
    """What one stage has done so far.

    For a stage that makes one item from each, at any time
    ``received == sent + filtered + skipped + dead_lettered + failed + in_flight``.

    Attributes:
        received: Items begun; for a source, items that it made.
        sent: Items handed on, a broadcast to three branches counted once.
        filtered: Items of which nothing was handed on: filtered, routed to nobody, or turned
            into ``None`` by a last step.
        skipped: Items given up by ``on_error="skip"``.
        dead_lettered: Items sent to a dead-letter sink.
        failed: Items whose error stopped the run.
        retried: Further attempts after a first one; of a source, how often it was opened anew.
        in_flight: Items begun and not yet settled here.
        queued: Items that lie in the edges into the stage, or were taken and wait behind others
            of their key or for a thread.
        capacity: Items that the edges into the stage can hold.
        dropped: Items that the edges into the stage dropped by their overflow policy.
        unacked: Of a source that is answered: messages that it gave and was not told of yet.
        workers: Workers: tasks, threads or processes.
        elapsed: Seconds since its workers started, up to when the last of them ended.
        busy: Seconds of worker time in its function, or waiting for a turn of the loop.
        waiting: Seconds of worker time that they waited for items: for those of the edges, or, of
            a source, for the next of its own. A wait that lasts counts up to now.
        blocked: Seconds of worker time that they waited for room behind them, or for their turn to send.
            ``busy + waiting + blocked == workers * elapsed``.
        latency: Seconds from when an item is begun to when what comes of it is made, retries
            included and waits for room behind it not.
    """

    received: int = 0
    sent: int = 0
    filtered: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    failed: int = 0
    retried: int = 0
    in_flight: int = 0
    queued: int = 0
    capacity: int = 0
    dropped: int = 0
    unacked: int = 0
    workers: int = 0
    elapsed: float = 0.0
    busy: float = 0.0
    waiting: float = 0.0
    blocked: float = 0.0
    latency: Histogram = NOTHING_SEEN

    @property
    def fill(self) -> float:
        """How full the edges into the stage are, from 0 to 1."""
        return min(self.queued / self.capacity, 1.0) if self.capacity else 0.0


@dataclass(frozen=True, slots=True)
class RunStats:
    """What a run has done so far.

    Attributes:
        state: Where the run is in its life.
        stages: Each stage's figures by its name, in definition order.
        results: Results handed to the consumer.
        waiting: Results that lie in the output edge.
        elapsed: Seconds since the run started, up to its end; 0 before.
        latency: End to end: seconds from when a message of a source that is answered is given to
            when everything made of it is known to be settled. Of other sources, seconds that marks take
            from there to the consumer, or the sink, of which each source sets one every 10 ms at most.
    """

    state: RunState
    stages: Mapping[str, StageStats]
    results: int
    waiting: int
    elapsed: float
    latency: Histogram = NOTHING_SEEN

    @property
    def unsettled(self) -> Mapping[str, int]:
        """Items in a stage or waiting before it, by its name; of stages that have any.

        Example:
            >>> import asyncio
            >>> from asyncdataflow import DataFlow
            >>> async def main():
            ...     async def hold(n):
            ...         await asyncio.sleep(100)
            ...     async with DataFlow((range(3), hold)).stream() as run:
            ...         while sum(run.stats().unsettled.values()) < 3:
            ...             await asyncio.sleep(0.001)
            ...         return dict(run.stats().unsettled)
            >>> asyncio.run(main())
            {'hold': 3}
        """
        under_way = {name: of.in_flight + of.queued for name, of in self.stages.items()}
        return MappingProxyType({name: items for name, items in under_way.items() if items})
