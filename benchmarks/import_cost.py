"""What ``import asyncdataflow`` costs over the ``asyncio`` and ``janus`` that it needs anyway.

Each import is timed in a fresh child process, with the bytecode already compiled. The two
are measured in turn, round after round, so that whatever else the machine does meets both.
What counts is the difference of the medians: the design allows 40 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

BASE = "import asyncio, janus"
WHOLE = "import asyncio, janus, asyncdataflow"
ALLOWED = 40.0

TIMED = """
import sys, time
began = time.perf_counter()
{statement}
took = time.perf_counter() - began
print(took * 1000, len(sys.modules), "aiostream" in sys.modules)
"""


def measure(statement: str) -> tuple[float, int, bool]:
    """Milliseconds that the import takes, modules loaded after it, and whether aiostream is one."""
    # Without its bytecode kept, a package would be compiled anew in every round.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    told = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    took, modules, aiostream = told.stdout.split()
    return float(took), int(modules), aiostream == "True"


def main() -> int:
    """Measure, print, and fail where the allowance is exceeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31)
    rounds = parser.parse_args().rounds
    for statement in (BASE, WHOLE):
        measure(statement)  # compiles what is not compiled yet
    taken: dict[str, list[float]] = {BASE: [], WHOLE: []}
    for _ in range(rounds):
        for statement, times in taken.items():
            times.append(measure(statement)[0])
    base, whole = (statistics.median(times) for times in taken.values())
    (_, fewer, _), (_, more, aiostream) = measure(BASE), measure(WHOLE)
    print(f"CPython {sys.version.split()[0]}, {rounds} rounds, medians")
    print(f"asyncio and janus   {base:7.1f} ms  {fewer} modules")
    print(f"and asyncdataflow   {whole:7.1f} ms  {more} modules")
    print(f"difference          {whole - base:7.1f} ms  allowed are {ALLOWED:.0f}")
    print(f"ratio               {whole / base:7.2f}")
    print(f"aiostream is loaded: {'yes' if aiostream else 'no'}")
    return int(whole - base > ALLOWED or aiostream)


if __name__ == "__main__":
    sys.exit(main())
