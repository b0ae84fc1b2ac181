"""What each operator has to make of timelines, in plain Python: itertools, heapq and a loop.

Each says every result with its moment, for a consumer that is always ready, and the end;
``paced`` says it for one that pauses. The moments are those of an operator that lets every
branch run ahead. Where items of one moment are ordered freely, theirs is one order of many.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from tests.differential.timelines import Seen, Timeline

MOMENT = itemgetter(0)


def paced(seen: Seen, pause: float) -> Seen:
    """The same for a consumer that takes nothing for so long after each result."""
    results: list[tuple[float, Any]] = []
    ready = 0.0
    for moment, result in seen.results:
        results.append((max(moment, ready), result))
        ready = results[-1][0] + pause
    return Seen(results, max(seen.ended, ready), seen.failed)


def merge(branches: Sequence[Timeline]) -> Seen:
    results = heapq.merge(*(branch.items for branch in branches), key=MOMENT)
    return Seen(list(results), max(branch.end for branch in branches))


def zip_(branches: Sequence[Timeline], uneven: str) -> Seen:
    rows = zip(*(branch.values for branch in branches), strict=False)
    moments = zip(*(branch.moments for branch in branches), strict=False)
    results = [(max(at), row) for at, row in zip(moments, rows, strict=True)]
    short = [branch for branch in branches if len(branch.items) == len(results)]
    if uneven == "shortest":
        return Seen(results, max([min(branch.end for branch in short), *map(MOMENT, results)]))
    # One more of each is awaited, since every ending counts in the error.
    ended = max(branch.end if branch in short else branch.items[len(results)][0] for branch in branches)
    return Seen(results, ended, failed=len(short) < len(branches))


def combine_latest(branches: Sequence[Timeline]) -> Seen:
    latest: dict[int, Any] = {}
    results = []
    told = ([(at, port, item) for at, item in branch.items] for port, branch in enumerate(branches))
    for moment, port, item in heapq.merge(*told, key=MOMENT):
        latest[port] = item
        if len(latest) == len(branches):
            results.append((moment, tuple(latest[each] for each in range(len(branches)))))
    return Seen(results, max(branch.end for branch in branches))


def concat(branches: Sequence[Timeline]) -> Seen:
    """A later branch has run meanwhile, and what it has is there when its turn comes."""
    results = []
    turn = 0.0
    for branch in branches:
        results += [(max(turn, moment), item) for moment, item in branch.items]
        turn = max(turn, branch.end)
    return Seen(results, turn)


def scan(branch: Timeline, f: Callable[[Any, Any], Any], *initial: Any) -> Seen:
    if initial:
        states = list(itertools.accumulate(branch.values, f, initial=initial[0]))[1:]
    else:
        states = list(itertools.accumulate(branch.values, f))
    return Seen(list(zip(branch.moments, states, strict=True)), branch.end)


def batched(values: list[Any], size: int) -> Iterator[list[Any]]:
    """``itertools.batched`` of Python 3.12, with lists."""
    rest = iter(values)
    while lot := list(itertools.islice(rest, size)):
        yield lot


def batch(branch: Timeline, size: int) -> Seen:
    """A full list at its last item, the rest at the end."""
    lots = list(batched(branch.values, size))
    full = branch.moments[size - 1 :: size]
    return Seen(list(zip([*full, branch.end], lots, strict=False)), branch.end)


def batch_in_time(branch: Timeline, size: int, seconds: float) -> Seen:
    """A list is as long as items come within so many seconds of its first, and at most ``size``."""
    results = []
    rest = list(branch.items)
    while rest:
        due = rest[0][0] + seconds
        lot = [(moment, item) for moment, item in rest[:size] if moment < due]
        rest = rest[len(lot) :]
        sent = lot[-1][0] if len(lot) == size else min(due, branch.end)
        results.append((sent, [item for _, item in lot]))
    return Seen(results, branch.end)


def take(branch: Timeline, count: int) -> Seen:
    results = list(itertools.islice(branch.items, count))
    return Seen(results, results[-1][0] if len(results) == count else branch.end)


def flatten(branch: Timeline) -> Seen:
    results = itertools.chain.from_iterable(
        [(moment, member) for member in item] for moment, item in branch.items
    )
    return Seen(list(results), branch.end)


def unordered_map(branch: Timeline, workers: int) -> Seen:
    """A queue served by so many workers: an item is ``(number, seconds of work)``."""
    free = [0.0] * workers
    results = []
    for moment, item in branch.items:
        done = max(moment, heapq.heappop(free)) + item[1]
        heapq.heappush(free, done)
        results.append((done, item))
    return Seen(sorted(results), max([branch.end, *map(MOMENT, results)]))


def ordered_map(branch: Timeline, workers: int) -> Seen:
    """As many results as there are workers may be parked behind a slow one; more keep their worker."""
    running: list[tuple[float, int]] = []
    done: set[int] = set()
    results: list[tuple[float, Any]] = []

    def next_done() -> float:
        moment, number = heapq.heappop(running)
        done.add(number)
        while len(results) in done:
            done.remove(len(results))
            results.append((moment, branch.values[len(results)]))
        return moment

    now = 0.0
    for number, (moment, item) in enumerate(branch.items):
        now = max(now, moment)
        while running and running[0][0] <= now:
            next_done()
        while len(running) + max(0, len(done) - workers) >= workers:
            now = max(now, next_done())
        heapq.heappush(running, (now + item[1], number))
    while running:
        next_done()
    return Seen(results, max([branch.end, *map(MOMENT, results)]))
