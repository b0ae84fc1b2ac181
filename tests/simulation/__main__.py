"""Every shape under many seeds, with and without faults, and a sweep of each: ``make simulate``.

``--shape`` and ``--seed`` run what failed again, and tell the steps that led there.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import sys
import time
from collections import Counter

from .runs import Result, run_shape
from .shape import MODES, Mode
from .shapes import SHAPES


def run_all(names: list[str], total: int, processes: int) -> int:
    """Share the seeds out among shapes, and shapes among processes; print the table."""
    each = -(-total // len(names))
    began = time.monotonic()
    results: list[Result] = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for result in pool.imap_unordered(functools.partial(run_shape, seeds=each), names):
            results.append(result)
            failed = f", {len(result.failures)} FAILED" if result.failures else ""
            print(f"[{len(results)}/{len(names)}] {result.shape}: {result.seconds:.1f} s{failed}", flush=True)
    results.sort(key=lambda result: names.index(result.shape))
    print(f"\n{'shape':34} {'seeds':>6} {'swept':>6} {'steps':>9} {'faults':>7} {'failed':>6}")
    for result in results:
        print(
            f"{result.shape:34} {result.seeds:6} {result.swept:6} {result.steps:9} "
            f"{result.struck.total():7} {len(result.failures):6}"
        )
    print(
        f"{'all ' + str(len(results)):34} {sum(each.seeds for each in results):6} "
        f"{sum(each.swept for each in results):6} {sum(each.steps for each in results):9} "
        f"{sum(each.struck.total() for each in results):7} "
        f"{sum(len(each.failures) for each in results):6}   in {time.monotonic() - began:.0f} s"
    )
    struck: Counter[str] = sum((each.struck for each in results), Counter())
    print("faults: " + ", ".join(f"{kind} {count}" for kind, count in sorted(struck.items())))
    return _told([failure for result in results for failure in result.failures])


def run_one(name: str, mode: Mode, seed: int | None, sweep: int | None, *, acks: bool) -> int:
    """What failed, again."""
    reports = []
    if seed is not None:
        reports.append(SHAPES[name].simulate(mode, [seed], acks=acks))
    if sweep is not None:
        reports.append(SHAPES[name].sweep(sweep, acks=acks))
    for report in reports:
        print(report)
    return int(any(not each.passed for each in reports))


def _told(failures: list[str]) -> int:
    for each in failures:
        print(f"\n{each}")
    return int(bool(failures))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=24_000, help="in all (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="%(default)s")
    parser.add_argument("--shape", choices=SHAPES, help="only this one")
    parser.add_argument("--mode", choices=MODES, default="calm", help="of --seed")
    parser.add_argument("--seed", type=int, help="only this one, of --shape")
    parser.add_argument("--sweep", type=int, help="every step of this seed, of --shape")
    parser.add_argument("--acks", action="store_true", help="its sources are told what became of each item")
    asked = parser.parse_args(arguments)
    if asked.shape and (asked.seed is not None or asked.sweep is not None):
        return run_one(asked.shape, asked.mode, asked.seed, asked.sweep, acks=asked.acks)
    names = [asked.shape] if asked.shape else list(SHAPES)
    return run_all(names, asked.seeds, asked.processes)


if __name__ == "__main__":
    sys.exit(main())
