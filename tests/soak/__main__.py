"""Thirty minutes at load, with stages failing, servers restarting and signals: ``make soak``.

``--seed`` draws the same strikes in the same order again; what the services have done by then is another
thing each time. ``--leak`` shows that memory that grows is found.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import Nats, Postgres, cluster, running

from .guard import Guard
from .report import faults, figures, markdown
from .soak import Soak, Terms, soak


def run(terms: Terms) -> Soak:
    """With servers of its own, which end with it, killed or not."""
    with ExitStack() as servers:
        guard = servers.enter_context(Guard())
        data = servers.enter_context(cluster())
        postgres = servers.enter_context(running(lambda folder: Postgres(folder, data), guard.add))
        nats = servers.enter_context(running(Nats, guard.add))
        return soak(terms, nats, postgres, lambda line: print(line, flush=True), guard.add)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (%(default)s)")
    parser.add_argument("--rate", type=float, default=250.0, help="items a second into each of four services")
    parser.add_argument("--pause", type=float, default=6.0, help="usual seconds between two strikes")
    parser.add_argument("--leak", type=int, default=0, help="bytes of each item to keep, to see it found")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of what is at random")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    asked = parser.parse_args(arguments)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it puts in the background so, and the services would ignore Ctrl-C, too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    terms = Terms(asked.minutes * 60, asked.rate, asked.pause, seed=asked.seed, leak=asked.leak)
    try:
        seen = run(terms)
    except pytest.skip.Exception as missing:
        print(missing)
        return 1
    print(markdown(seen, f"python -m tests.soak --minutes {asked.minutes:g} --seed {asked.seed}"))
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(figures(seen), indent=1))
    return int(bool(faults(seen)))


if __name__ == "__main__":
    sys.exit(main())
