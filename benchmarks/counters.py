"""What counters, times and histograms cost on the five-stage chain, with and without anybody who looks.

They cannot be switched off, so two stand for "off": the package as it was before it told times, out of git,
and the package as it is with stand-ins that neither read clocks for waits nor record anything, put in by the
child that measures. Counts of items are in all of them: they are made up of what the edges know.

All run in turn, round after round, each in a process of its own, which does a short run before the one that
is measured. What counts is the throughput in that of each "off", of which a tenth may be lost; by processor
time, since the chain waits for nothing, and what else the machine does is not to be measured.
"""

# The package is imported where it runs: it is another one in each child.
# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from speed.feed import STAGES, numbers, step
from speed.release import checked_out
from torture import environments
from torture.table import machine

ROOT: Final = Path(__file__).resolve().parents[1]
BEFORE: Final = "7644702b10961429c553011a6e0fcb9861e31746"
"""The commit before times were told."""

ALLOWED: Final = 0.9
"""Of the throughput without."""

SHAPES: Final = {"W1, a worker each": False, "W1f, fused": True}
WAYS: Final = ("as is", "scraped", "stand-ins", "before")


async def run(items: int, *, fuse: bool, around: Callable[[Any], Any]) -> float:
    """Seconds of processor time from the first result to the last, all of them counted."""
    from asyncdataflow import DataFlow

    flow = DataFlow((numbers, *[step] * STAGES), fuse=fuse, name="chain")
    async with flow.stream({"count": items}) as run:
        await anext(run)
        with around(run):
            begun, taken = time.process_time(), 1
            async for _ in run:
                taken += 1
            took = time.process_time() - begun
    if taken != items:
        raise AssertionError(f"{taken} results of {items} items")
    return took


@contextmanager
def scraped(run: Any) -> Iterator[None]:
    """Somebody scrapes every second, from a thread, as a server for Prometheus does."""
    from prometheus_client import CollectorRegistry, generate_latest

    from asyncdataflow.observe.prometheus import RunCollector

    registry, enough = CollectorRegistry(), threading.Event()

    def scrape() -> None:
        while not enough.wait(1.0):
            generate_latest(registry)

    thread = threading.Thread(target=scrape)
    with RunCollector(registry).watching(run):
        thread.start()
        try:
            yield
        finally:
            enough.set()
            # Not joined here: it may wait for the loop, which this is.
    asyncio.get_running_loop().run_in_executor(None, thread.join)


def without_times() -> None:
    """Put stand-ins in the place of what reads clocks for waits, and of what records."""
    from asyncdataflow import histogram
    from asyncdataflow._runtime import marks, meter, walked

    def nothing(*_: Any, **__: Any) -> None:
        """In place of what is left out."""

    for kind in (meter.Waits, meter.AnyWait):
        kind.__enter__ = kind.__exit__ = nothing  # type: ignore[method-assign]
    histogram.Recorder.add = histogram.Recorder.add_together = nothing  # type: ignore[method-assign]
    histogram.Recorder.each = lambda self: []  # type: ignore[method-assign]
    marks._MARK_SECONDS = float("inf")  # type: ignore[misc]
    walked._EVERY = sys.maxsize  # type: ignore[misc]


def measure_here(shape: str, way: str, items: int) -> float:
    """In the child: once short, to load what it needs, then what counts."""
    if way == "stand-ins":
        without_times()
    around = scraped if way == "scraped" else nullcontext
    asyncio.run(run(1000, fuse=SHAPES[shape], around=around))
    return asyncio.run(run(items, fuse=SHAPES[shape], around=around))


def measure(shape: str, way: str, items: int) -> float:
    """In a child of its own, with the package that it is to have."""
    place = checked_out(BEFORE, environments.PLACE) if way == "before" else ROOT
    command = [sys.executable, __file__, "--items", str(items), "--child", json.dumps([shape, way])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT / "benchmarks")])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def compared(shape: str, items: int, rounds: int) -> bool:
    """Measure a shape in turn, print its rows; whether what is promised is kept."""
    seen: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):
        turn = number % len(WAYS)
        for way in (*WAYS[turn:], *WAYS[:turn]):
            seen[way].append(measure(shape, way, items))
    kept = True
    for way, times in seen.items():
        told = []
        for off in ("stand-ins", "before"):
            ratios = [other / own for own, other in zip(times, seen[off], strict=True)]
            best = min(seen[off]) / min(times)
            told.append(f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
            kept &= max(statistics.median(ratios), best) >= ALLOWED
        print(
            f"| {shape} | {way} | {statistics.median(times) / items * 1e6:.3f} | " + " | ".join(told) + " |"
        )
    return kept


def main() -> int:
    """Measure, print, and fail where more than what is allowed is lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--items", type=int, default=1_500_000)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        shape, way = json.loads(asked.child)
        print(measure_here(shape, way, asked.items))
        return 0
    print(f"{machine()}, {asked.rounds} rounds of {asked.items} items in turn, medians")
    print("| chain | times | µs of CPU an item | of the throughput with stand-ins | of that before |")
    print("|---|---|---|---|---|")
    kept = [compared(shape, asked.items, asked.rounds) for shape in SHAPES]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
