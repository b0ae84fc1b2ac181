"""Figures: what a stage has done so far, as its workers know it."""

from __future__ import annotations

from ..stats import StageStats
from .worker import Work

__all__ = ("stage_stats",)


def stage_stats(work: Work) -> StageStats:
    """A snapshot."""
    counters = work.figures
    edges = [inlet.channel.statistics() for inlet in work.inlets]
    spent = work.spent
    return StageStats(
        received=counters.received,
        sent=counters.sent,
        filtered=counters.filtered,
        skipped=counters.skipped,
        dead_lettered=counters.dead_lettered,
        failed=counters.failed,
        retried=counters.retried,
        in_flight=work.in_flight,
        queued=sum(each.items for each in edges) + work.parked,
        capacity=sum(each.capacity for each in edges),
        dropped=sum(each.dropped for each in edges),
        unacked=work.unacked,
        workers=work.stage.concurrency,
        elapsed=spent.elapsed,
        busy=spent.busy,
        waiting=spent.waiting,
        blocked=spent.blocked,
        latency=spent.latency,
    )
