"""The child process: measures one contestant once, and writes what it measured as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import json
import os
import time
from typing import Any

from .workload import Contestant, Taken, Workload
from .workloads import named

WARM_UP = 30
"""Items of a run before the one that is measured: it loads what the contestant needs."""


def measure(workload: Workload, contestant: Contestant, items: int) -> dict[str, Any]:
    """One run, its results checked; the seconds are the whole run's, the start of its workers included."""
    _run(contestant, WARM_UP)
    gc.collect()
    seconds, cpu, begun, made = _run(contestant, items)
    results = made.results if isinstance(made, Taken) else made
    (contestant.check or workload.check)(items, results)
    first = made.first_at - begun if isinstance(made, Taken) else None
    return {"items": items, "seconds": seconds, "cpu": cpu, "first": first}


def _run(contestant: Contestant, items: int) -> tuple[float, float, float, Any]:
    """Seconds, processor time, the clock when it began, and what came out; a loop's own start is no part."""
    if not inspect.iscoroutinefunction(inspect.unwrap(getattr(contestant.run, "func", contestant.run))):
        cpu, begun = time.process_time(), time.perf_counter()
        made = contestant.run(items)
        return time.perf_counter() - begun, time.process_time() - cpu, begun, made

    async def timed() -> tuple[float, float, float, Any]:
        cpu, begun = time.process_time(), time.perf_counter()
        made = await contestant.run(items)
        return time.perf_counter() - begun, time.process_time() - cpu, begun, made

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
