"""How a service is at one moment: what it says itself, and what the system says of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

__all__ = ("LETTERS", "Sample", "faults_of", "taken")

LETTERS = "letters"
"""The stage that takes dead letters, where there is one."""

_ONE_EACH = ("sent", "filtered", "skipped", "dead_lettered", "failed", "in_flight")


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        at: Seconds since the soak began.
        items: That its source has given.
        blocks: Of memory, that Python holds in the parent.
        allocated: Bytes that the C library has given away there, as far as it tells.
        rss: Bytes, of the parent alone, with nothing kept for later.
        workers: Bytes, of each of its worker processes by its id.
        tasks: Of its loop.
        threads: Of the parent.
        files: Descriptors of the parent.
        state: Of its run.
        stages: What each stage has done so far.
    """

    at: float
    items: int
    blocks: int
    allocated: int
    rss: int
    workers: Mapping[int, int]
    tasks: int
    threads: int
    files: int
    state: str
    stages: Mapping[str, Mapping[str, int]]

    @property
    def tree(self) -> int:
        """Bytes, of all its processes."""
        return self.rss + sum(self.workers.values())


def taken(at: float, line: bytes, process: psutil.Process) -> Sample | None:
    """What a line of the service says, and the system besides; ``None`` where it has ended meanwhile."""
    told: dict[str, Any] = json.loads(line)
    workers: dict[int, int] = {}
    try:
        for each in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                workers[each.pid] = each.memory_info().rss
        rss, files, threads = process.memory_info().rss, process.num_fds(), process.num_threads()
    except psutil.NoSuchProcess:
        return None
    stages = told["stages"]
    return Sample(
        at=at,
        items=next(iter(stages.values()))["received"],
        blocks=told["blocks"],
        allocated=told["allocated"],
        rss=rss,
        workers=workers,
        tasks=told["tasks"],
        threads=threads,
        files=files,
        state=told["state"],
        stages=stages,
    )


def faults_of(sample: Sample) -> list[str]:
    """Where counters do not add up: in = out + dropped + failed + in flight, of a stage and between two.

    Of a run that is stopped, what lay between two is given back to its source, and counted there.
    """
    between = [] if sample.state == "stopping" else _between(sample.stages)
    return [*_within(sample.stages), *between]


def _within(stages: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for name, of in stages.items():
        if of["received"] != sum(of[each] for each in _ONE_EACH):
            yield f"{name}: not what it has received: {dict(of)}"


def _between(stages: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    names = list(stages)
    ways = [(before, "sent", behind) for before, behind in itertools.pairwise(names) if behind != LETTERS]
    if LETTERS in stages:
        ways += [(name, "dead_lettered", LETTERS) for name in names if stages[name]["dead_lettered"]]
    for before, how, behind in ways:
        given, got = stages[before][how], stages[behind]
        if given != got["received"] + got["queued"] + got["dropped"]:
            yield f"{before} to {behind}: {given} {how}, and there: {dict(got)}"
