"""Each mutant against the lanes, until one catches it: ``make mutants``.

A mutant is a copy of the package in a folder of its own, with the tests beside it. What no
lane catches is a hole in the lanes, and the exit code says so. At the end the lanes run
against the package as it is, where they have to find nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .catalogue import MUTANTS
from .lanes import LANES, Lane
from .mutant import Mutant

ROOT = Path(__file__).parents[2]
NEEDED = ("asyncdataflow", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        name: The mutant's.
        lane: What caught it; ``None`` where nothing did.
        after: How much that lane ran.
        how: What it saw.
        seconds: Real time.
    """

    name: str
    lane: str | None
    after: str
    how: str
    seconds: float


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        for name in NEEDED:
            source, target = ROOT / name, Path(folder, name)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        yield Path(folder)


def _run(lane: Lane, folder: Path) -> tuple[str, str] | None:
    """Run a lane beside a copy: what it found."""
    try:
        done = subprocess.run(
            [sys.executable, *lane.command],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=lane.seconds,
        )
    except subprocess.TimeoutExpired:
        return f"{lane.seconds:g} s", "no end"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    try:
        told = json.loads(lines[-1])
    except (ValueError, IndexError):
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        after = lines[-1].partition(" in ")[0] if lines else ""
        return after, (failed or done.stderr.strip().splitlines() or [""])[-1]
    return told["after"], told["how"]


def judge(mutant: Mutant | None, lanes: Sequence[Lane]) -> Verdict:
    """Run lanes against a mutant, or against the package as it is, until one finds something."""
    began = time.monotonic()
    name = "the package as it is" if mutant is None else mutant.name
    with _copy() as folder:
        if mutant is not None:
            mutant.apply(folder / "asyncdataflow")
        for lane in lanes:
            found = _run(lane, folder)
            if found is not None:
                return Verdict(name, lane.name, *found, time.monotonic() - began)
    return Verdict(name, None, "", "", time.monotonic() - began)


def _told(verdict: Verdict, *, wide: bool = False) -> str:
    how = verdict.how if wide else verdict.how[:110]
    return (
        f"{verdict.name:34} {verdict.lane or 'nothing':8} {verdict.after:>12} {verdict.seconds:6.1f} s  {how}"
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--processes", type=int, default=2, help="%(default)s")
    parser.add_argument("--only", action="append", help="a mutant, by name; may be given again")
    asked = parser.parse_args(arguments)
    mutants = [each for each in MUTANTS if not asked.only or each.name in asked.only]
    began = time.monotonic()
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(asked.processes) as pool:
        for verdict in pool.map(lambda each: judge(each, LANES), mutants):
            verdicts.append(verdict)
            print(f"[{len(verdicts)}/{len(mutants)}] {_told(verdict)}", flush=True)
        used = [lane for lane in LANES if any(each.lane == lane.name for each in verdicts)]
        healthy = list(pool.map(lambda lane: judge(None, [lane]), used))
    print(f"\n{'mutant':34} {'caught by':8} {'after':>11} {'time':>8}  how")
    for verdict in verdicts:
        print(_told(verdict))
    survived = [each.name for each in verdicts if each.lane is None]
    print(f"\n{len(verdicts)} mutants, {len(survived)} survived, in {time.monotonic() - began:.0f} s")
    for name in survived:
        print(f"SURVIVED: {name}")
    wrong = [each for each in healthy if each.lane is not None]
    for each in wrong:
        print(f"NOT A VERDICT: the lane fails without any mutant: {_told(each, wide=True)}")
    return int(bool(survived or wrong))


if __name__ == "__main__":
    sys.exit(main())
