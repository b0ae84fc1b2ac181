"""How many instructions an item takes in the three hottest loops, beside the loops of the limits.

    python benchmarks/instruction_counts.py --rounds 3

``valgrind --tool=callgrind`` counts them, for a run of few items and one of more: the difference is what the
items take, without start, import and warm-up. Instructions do not depend on what else the machine does, but
on how CPython was built: compare within a machine. Under valgrind everything takes fifty times as long and
threads run in turn. What goes by the clock (chunks of a thread bridge, giving back the loop) decides as on
such a slow machine: the bridge's figure is an upper one.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from torture.table import machine

HERE: Final = Path(__file__).resolve().parent

LOOPS: Final = {
    "W1": "five coroutine stages, a worker each",
    "W2": "a plain function in 4 threads",
    "W4-broadcast": "broadcast to three sinks",
}

WHO: Final = ("limit", "ours")

COUNTED: Final = re.compile(r"Collected : (\d+)")

LONGEST: Final = 600.0
"""Seconds for one run."""


def main() -> None:
    """Count and print."""
    asked = arguments()
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("Not counted: there is no valgrind here (apt-get install valgrind).")
        return
    print(f"{machine()} `python benchmarks/instruction_counts.py {' '.join(sys.argv[1:])}`\n")
    print("| loop | instructions an item | of the limit's loop | limit / ours |\n| --- | --- | --- | --- |")
    for workload, what in LOOPS.items():
        limit, ours = (
            statistics.median(an_item(valgrind, workload, who, asked) for _ in range(asked.rounds))
            for who in WHO
        )
        print(f"| {workload}: {what} | {ours:,.0f} | {limit:,.0f} | {limit / ours:.3f} |", flush=True)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1, help="whose median is told: threads vary a little")
    parser.add_argument("--few", type=int, default=2000, help="items of the smaller run")
    parser.add_argument("--many", type=int, default=6000, help="items of the larger run")
    return parser.parse_args()


def an_item(valgrind: str, workload: str, who: str, asked: argparse.Namespace) -> float:
    """The difference of two runs, an item."""
    more = counted(valgrind, workload, who, asked.many) - counted(valgrind, workload, who, asked.few)
    return float(more / (asked.many - asked.few))


def counted(valgrind: str, workload: str, who: str, items: int) -> int:
    """The instructions of a child that does so many items.

    Raises:
        RuntimeError: It did not come to its end.
    """
    tool = (valgrind, "--tool=callgrind", f"--callgrind-out-file={os.devnull}")
    child = (sys.executable, "-m", "speed.child", workload, who, str(items))
    path = os.pathsep.join((str(HERE), str(HERE.parent)))
    # Otherwise sets and dicts of names lie differently in each run.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        (*tool, *child), env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    found = COUNTED.search(done.stderr)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"{workload}/{who} was not counted: {done.stderr.strip()[-500:]}")
    return int(found[1])


if __name__ == "__main__":
    main()
