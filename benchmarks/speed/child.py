"""The child process: measures one contestant once, and writes what it measured as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import json
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import memory
from .workload import Contestant, Taken, Workload
from .workloads import named

WARM_UP = 30
"""Items of a run before the one that is measured: it loads what the contestant needs."""


def measure(workload: Workload, contestant: Contestant, items: int) -> dict[str, Any]:
    """One run, its results checked; the seconds are the whole run's, the start of its workers included."""
    _run(contestant, WARM_UP)
    gc.collect()
    memory.forget_peak()
    empty = memory.peak()
    timing, made = _run(contestant, items)
    peak = memory.peak() - empty
    taken = made if isinstance(made, Taken) else Taken(made)
    (contestant.check or workload.check)(items, taken.results)
    return {
        "items": items,
        "seconds": timing.seconds,
        "cpu": timing.cpu,
        "first": None if taken.first_at is None else taken.first_at - timing.begun,
        "peak": peak,
        "p50": percentile(taken.latencies, 50),
        "p99": percentile(taken.latencies, 99),
    }


def percentile(latencies: Sequence[float], percent: int) -> float | None:
    """What so many of a hundred do not exceed; nothing where there are too few to say."""
    return statistics.quantiles(latencies, n=100)[percent - 1] if len(latencies) > 1 else None


class _Timing(NamedTuple):
    """Seconds, processor time, and the clock when it began."""

    seconds: float
    cpu: float
    begun: float


def _run(contestant: Contestant, items: int) -> tuple[_Timing, Any]:
    """How long it took, and what came out; a loop's own start is no part."""
    if not inspect.iscoroutinefunction(inspect.unwrap(getattr(contestant.run, "func", contestant.run))):
        cpu, begun = time.process_time(), time.perf_counter()
        made = contestant.run(items)
        return _Timing(time.perf_counter() - begun, time.process_time() - cpu, begun), made

    async def timed() -> tuple[_Timing, Any]:
        cpu, begun = time.process_time(), time.perf_counter()
        made = await contestant.run(items)
        return _Timing(time.perf_counter() - begun, time.process_time() - cpu, begun), made

    return asyncio.run(timed())


def main() -> None:
    """Measure what the parent asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workload")
    parser.add_argument("contestant")
    parser.add_argument("items", type=int)
    asked = parser.parse_args()
    # What a package prints is not taken for the figures.
    line = os.dup(1)
    os.dup2(2, 1)
    workload = named(asked.workload)
    told = measure(workload, workload.contestant(asked.contestant), asked.items)
    os.write(line, json.dumps(told).encode() + b"\n")
    # Threads and loops that a peer leaves behind are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
