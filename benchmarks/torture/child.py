"""The child process: does runs of one flow of one package in turn, and tells its parent of each.

It speaks JSON, one line a message: ``begin``, ``middle`` (Ctrl-C may come) and ``end`` with the
number of the run, and ``done`` when it has nothing more to do. After a run that is not right it
ends, whatever is left, so that one run's leftovers are never held against the next.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import signal
from collections.abc import Callable

from .case import INTERRUPTED, Case
from .leaks import Leftovers, without_frames
from .oracle import Verdict, judge

Flow = Callable[[Case, float], None]
Tell = Callable[..., None]


def teller() -> Tell:
    """Writes messages to what was standard output; what packages print goes to standard error from now on."""
    line = os.dup(1)
    os.dup2(2, 1)

    def tell(what: str, number: int = 0, words: tuple[str, ...] = (), detail: str = "") -> None:
        message = {"what": what, "number": number, "words": words, "detail": detail}
        os.write(line, json.dumps(message).encode() + b"\n")

    return tell


def run_once(run: Flow, flow: str, number: int, grace: float, tell: Tell) -> Verdict:
    """One run, judged."""
    case = Case(flow, number, lambda: tell("middle", number))
    before = Leftovers()
    seen: BaseException | None = None
    tell("begin", number)
    try:
        run(case, grace)
    except BaseException as error:  # noqa: BLE001 - whatever the consumer sees is what is judged
        seen = without_frames(error)
    before.note(case, grace)
    return judge(case, seen)


def main() -> None:
    """Do the runs that the parent asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("module")
    parser.add_argument("flow")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("grace", type=float)
    asked = parser.parse_args()
    # A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tell = teller()
    package = importlib.import_module(asked.module)
    run: Flow = package.run
    # What a package keeps for good, by design and once, is no leak of a run.
    prepare: Callable[[], None] = getattr(package, "prepare", lambda: None)
    prepare()
    gc.collect()
    gc.freeze()  # collecting then looks at what the runs make
    for number in range(asked.first, asked.first + asked.count):
        verdict = run_once(run, asked.flow, number, asked.grace, tell)
        tell("end", number, verdict.words, verdict.detail)
        if verdict.words:
            os._exit(0)
    tell("done")
    if asked.flow == INTERRUPTED:
        raise KeyboardInterrupt


if __name__ == "__main__":
    main()
