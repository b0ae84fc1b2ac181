"""Whether anything of ours became slower than in the last release.

    PYTHONPATH=benchmarks python -m speed.check --only W1 --rounds 9

Now and then are measured in turn, in the same minutes on the same machine. It fails where a row has lost.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from torture import environments
from torture.table import machine

from .pairs import judged, pairs_of
from .release import checked_out, last
from .workloads import chosen


def main() -> int:
    """Measure all rows now and then, and fail where one has lost."""
    asked = arguments()
    try:
        release = asked.release or last()
        place = checked_out(release, environments.PLACE)
    except (subprocess.CalledProcessError, OSError) as error:
        told = getattr(error, "stderr", b"") or str(error).encode()
        print(f"The last release cannot be had: {told.decode().strip()}", file=sys.stderr)
        return 2
    print(f"Now, in ratios of {release}, over 1 is faster. {machine()}\n\n| row | ratio |\n| --- | --- |")
    wrong = False
    for pair in pairs_of(asked.only, place):
        wrong |= not judged(pair, asked.rounds)
        print(f"| {pair.name} | {pair} |", flush=True)
    return int(wrong)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m speed.check", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each, now and then")
    parser.add_argument("--only", action="append", default=[], help="W1; may be said several times")
    parser.add_argument("--release", help="a tag or commit in place of the last release")
    asked = parser.parse_args()
    try:
        asked.only = chosen(asked.only)
    except ValueError as error:
        parser.error(f"--only: {error}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
