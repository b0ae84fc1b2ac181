"""Runs for Prometheus: their counters are read when somebody scrapes, and cost nothing in between.

Needs ``pip install 'asyncdataflow[prometheus]'``. Labels come from definitions alone: the flow's name, the
stage's name and fixed words. No item, parameter or error is ever shown.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

from ..errors import MissingExtraError
from ..histogram import NOTHING_SEEN, Histogram
from ..stats import RunStats, StageStats
from .watched import Seen, Watched, Watching, patience_ends

try:
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError:
    raise MissingExtraError(
        "asyncdataflow.observe.prometheus needs prometheus_client, which is not installed: "
        "pip install 'asyncdataflow[prometheus]'"
    ) from None

__all__ = ("RunCollector",)

_OUTCOMES: Final = (
    "received",
    "sent",
    "filtered",
    "skipped",
    "dead_lettered",
    "failed",
    "retried",
    "dropped",
)
_STATES: Final = ("busy", "waiting", "blocked")
_GAUGES: Final = {
    "in_flight": "Items begun and not yet settled in the stage.",
    "queued": "Items that lie before the stage.",
    "capacity": "Items that the edges into the stage can hold.",
    "unacked": "Messages of a source that were given and not yet answered.",
    "workers": "Workers of the stage.",
}

_BUCKETS: Final = tuple(2.0**power for power in range(-14, 10))
"""Powers of two, for which a histogram's counts are exact."""

_LONGEST_NAME: Final = 100


class _Figures:
    """What the runs of one stage, or of one flow, have done together."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.latency = NOTHING_SEEN

    def add(self, values: Any, names: Iterable[str], latency: Histogram) -> None:
        """What one run did besides."""
        for name in names:
            self.counts[name] += getattr(values, name)
        self.latency += latency


class RunCollector(Collector):
    """Shows the runs that it is told to watch, as long as they live.

    Runs of one flow are added up, also in turn: what has ended stays counted, so that counters never go back.
    A scrape may come from any thread: figures are taken on the run's own loop.

    Args:
        registry: Where it is registered; ``None`` is for the caller to do.
        most: Most stages, of all flows together, that are shown; what comes later is left out, and counted.

    Example:
        >>> import asyncio
        >>> from prometheus_client import CollectorRegistry, generate_latest
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.observe.prometheus import RunCollector
        >>> registry = CollectorRegistry()
        >>> collector = RunCollector(registry)
        >>> async def main():
        ...     async with DataFlow((range(10), lambda n: n * n), name="squares").stream() as run:
        ...         with collector.watching(run):
        ...             return [each async for each in run]
        >>> len(asyncio.run(main()))
        10
        >>> registry.get_sample_value("asyncdataflow_results_total", {"flow": "squares"})
        10
    """

    def __init__(self, registry: CollectorRegistry | None = REGISTRY, *, most: int = 500) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._live: list[Seen] = []
        self._past: list[tuple[str, RunStats]] = []
        self._shown: set[tuple[str, str]] = set()
        self._highest: dict[tuple[str, ...], float] = {}
        if registry is not None:
            registry.register(self)

    def watching(self, run: Watched, flow: str | None = None) -> AbstractContextManager[None]:
        """Show a run within this block; called on the run's own loop.

        Args:
            run: The run.
            flow: What to call its flow; the flow's name otherwise.
        """
        return Watching(run, (flow or run.name)[:_LONGEST_NAME], self._begin, self._end)

    def _begin(self, seen: Seen) -> None:
        with self._lock:
            self._live.append(seen)

    def _end(self, seen: Seen) -> None:
        stats = seen.look()
        with self._lock:
            self._live.remove(seen)
            self._keep(seen.flow, stats)

    def collect(self) -> Iterator[Metric]:
        """What is shown now."""
        with self._lock:
            live, past = list(self._live), list(self._past)
        # All are asked before any is waited for: they may be of one loop, which somebody blocks.
        asked, until = [each.ask() for each in live], patience_ends()
        now = [(each.flow, each.seen(answer, until)) for each, answer in zip(live, asked, strict=True)]
        with self._lock:
            # A list: whoever reads it slowly, or never to its end, must not keep the lock.
            metrics = [*self._of_stages(past, now), *self._of_flows(past, now)]
        yield from metrics

    def _keep(self, flow: str, stats: RunStats) -> None:
        """A run that is watched no more: all those of a flow are one."""
        for place, (name, before) in enumerate(self._past):
            if name == flow:
                self._past[place] = flow, _together(before, stats)
                return
        self._past.append((flow, stats))

    def _of_stages(
        self, past: Iterable[tuple[str, RunStats]], now: list[tuple[str, RunStats]]
    ) -> Iterator[Metric]:
        labels = ["flow", "stage"]
        items = CounterMetricFamily(
            "asyncdataflow_items", "Items of a stage, by what became of them.", labels=[*labels, "outcome"]
        )
        spent = CounterMetricFamily(
            "asyncdataflow_worker_seconds",
            "Seconds of worker time, by what workers did.",
            labels=[*labels, "state"],
        )
        took = HistogramMetricFamily(
            "asyncdataflow_item_seconds",
            "Seconds from when an item is begun to when it is made.",
            labels=labels,
        )
        gauges = {
            name: GaugeMetricFamily(f"asyncdataflow_{name}", told, labels=labels)
            for name, told in _GAUGES.items()
        }
        counted = self._by_stage([*past, *now], (*_OUTCOMES, *_STATES))
        standing = self._by_stage(now, _GAUGES)
        for place, figures in counted.items():
            for outcome in _OUTCOMES:
                items.add_metric([*place, outcome], figures.counts[outcome])
            for state in _STATES:
                seconds = self._never_back((*place, state), figures.counts[state])
                spent.add_metric([*place, state], seconds)
            self._add_histogram(took, place, figures.latency)
        for place, figures in standing.items():
            for name, gauge in gauges.items():
                gauge.add_metric(place, figures.counts[name])
        yield from (items, spent, took, *gauges.values())

    def _of_flows(
        self, past: Iterable[tuple[str, RunStats]], now: list[tuple[str, RunStats]]
    ) -> Iterator[Metric]:
        results: Counter[str] = Counter()
        settled: dict[str, Histogram] = {}
        stages: set[tuple[str, str]] = set()
        for flow, stats in [*past, *now]:
            results[flow] += stats.results
            settled[flow] = settled.get(flow, NOTHING_SEEN) + stats.latency
            stages.update((flow, stage) for stage in stats.stages)
        runs = Counter(flow for flow, _ in now)
        given = CounterMetricFamily("asyncdataflow_results", "Results handed to consumers.", labels=["flow"])
        living = GaugeMetricFamily("asyncdataflow_runs", "Runs that are being watched.", labels=["flow"])
        for flow, count in results.items():
            given.add_metric([flow], count)
            living.add_metric([flow], runs[flow])
        whole = HistogramMetricFamily(
            "asyncdataflow_end_to_end_seconds",
            "Seconds from a source to where everything made of what it gave is settled.",
            labels=["flow"],
        )
        for flow, latency in settled.items():
            self._add_histogram(whole, (flow,), latency)
        left = GaugeMetricFamily(
            "asyncdataflow_stages_left_out", "Stages that are not shown, because there are too many."
        )
        left.add_metric([], max(len(stages) - len(self._shown), 0))
        yield from (given, living, whole, left)

    def _by_stage(
        self, runs: Iterable[tuple[str, RunStats]], names: Iterable[str]
    ) -> dict[tuple[str, str], _Figures]:
        found: dict[tuple[str, str], _Figures] = {}
        for flow, stats in runs:
            for title, stage in stats.stages.items():
                place = flow, title[:_LONGEST_NAME]
                if place not in self._shown:
                    if len(self._shown) >= self._most:
                        continue
                    self._shown.add(place)
                found.setdefault(place, _Figures()).add(stage, names, stage.latency)
        return found

    def _add_histogram(self, family: HistogramMetricFamily, place: tuple[str, ...], seen: Histogram) -> None:
        buckets = [
            (str(bound), self._never_back((*place, str(bound)), seen.within(bound))) for bound in _BUCKETS
        ]
        buckets.append(("+Inf", self._never_back((*place, "+Inf"), seen.count)))
        family.add_metric(place, buckets, self._never_back((*place, "sum"), seen.seconds))

    def _never_back(self, name: tuple[str, ...], value: float) -> float:
        """A counter's value: how a walk's time is shared out may be known better later."""
        highest = self._highest[name] = max(self._highest.get(name, 0.0), value)
        return highest


def _together(some: RunStats, others: RunStats) -> RunStats:
    """What two runs of a flow have done, of which none works any more."""
    stages = {
        name: _both(some.stages.get(name, StageStats()), others.stages.get(name, StageStats()))
        for name in {**some.stages, **others.stages}
    }
    results, latency = some.results + others.results, some.latency + others.latency
    return RunStats("ended", stages, results, 0, 0.0, latency)


def _both(some: StageStats, others: StageStats) -> StageStats:
    names = (*_OUTCOMES, *_STATES)
    added = {name: getattr(some, name) + getattr(others, name) for name in names}
    return StageStats(**added, latency=some.latency + others.latency)
