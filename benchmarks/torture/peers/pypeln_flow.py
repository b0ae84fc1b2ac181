"""The flow in pypeln: its mixed pipeline of task, thread and process stages.

As in its documentation's mixed pipeline, only what has to be bounded has a ``maxsize``: the slow
sink's stages.
"""

from __future__ import annotations

import pypeln as pl  # type: ignore[import-not-found]

from ..case import SLOW_SINK, Case
from ..items import in_process

BUFFER = 10
UNBOUNDED = 0


async def same(number: int) -> int:
    """A stage for a first flow."""
    return number


def prepare() -> None:
    """Have it start its loop and its manager process, which it keeps for good, once."""
    list(pl.task.map(same, range(3)))
    list(pl.process.map(in_process, range(3)))


def run(case: Case, grace: float) -> None:
    """Run the flow over a case."""
    workers = case.concurrency
    maxsize = BUFFER if case.flow == SLOW_SINK else UNBOUNDED
    results = pl.task.map(case.on_loop, case.numbers(), workers=workers, maxsize=maxsize)
    results = pl.thread.map(case.in_thread, results, workers=workers, maxsize=maxsize)
    if case.with_processes:
        results = pl.process.map(in_process, results, workers=1, maxsize=maxsize)
    for item in results:
        if case.take(item):
            break
