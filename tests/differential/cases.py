"""Each operator three times: ours, aiostream's, and in plain Python; and the plans they are run on.

What the two libraries promise differs in how far a branch runs ahead. Ours runs until the
edge behind it is full. aiostream pulls when it is asked for the next result, one item ahead
at most: ``zip`` pulls a row when the row before has been taken, ``chain`` begins with a source
when the one before has ended, ``map`` pulls while there are fewer than ``task_limit`` calls. So
by moments both have every result at the same time, and by delays ours has none later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from hypothesis import strategies as st

from asyncdataflow import DataFlow, batch, combine_latest, concat, flatten, merge, scan, stage, take, zip_
from tests.differential import models
from tests.differential.timelines import ITEMS, Pace, Seen, Timeline, in_order, timelines, watched

NO_OPTION: st.SearchStrategy[Any] = st.none()


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        branches: Their timelines.
        option: The operator's argument.
        buffer: Items that fit into the edges before and behind the operator.
        pause: How long the consumer takes nothing after each result, in seconds.
        seed: Which order of steps; ``None`` is first in, first out.
    """

    branches: tuple[Timeline, ...]
    option: Any = None
    buffer: int = 128
    pause: float = 0
    seed: int | None = None


@dataclass(frozen=True)
class Case:
    """An operator.

    Attributes:
        ours: Its stage, from a plan.
        model: What it has to make of a plan's branches.
        theirs: aiostream's operator: from its ``stream`` module, a plan and sources to a stream.
        branches: Strategy of timelines.
        options: Strategy of the operator's argument.
        ordered: The order of results is promised. Else only results and moments are.
        pauses: Nothing but the last item decides what comes next, so that a consumer may pause.
        in_step: Whether aiostream promises the same moments, from a plan.
    """

    ours: Callable[[Plan], Any]
    model: Callable[[Plan], Seen]
    theirs: Callable[[Any, Plan, list[Any]], Any] | None
    branches: st.SearchStrategy[tuple[Timeline, ...]]
    options: st.SearchStrategy[Any] = NO_OPTION
    ordered: bool = True
    pauses: bool = False
    in_step: Callable[[Plan], bool] = lambda plan: True

    def plans(self, pace: Pace) -> st.SearchStrategy[Plan]:
        """By delays, buffers are large and the consumer is always ready: nothing holds a source up."""
        free = pace == "moments"
        return st.builds(
            Plan,
            branches=self.branches,
            option=self.options,
            buffer=st.sampled_from([1, 2, 128]) if free else st.just(128),
            pause=st.sampled_from([0, 3]) if free and self.pauses else st.just(0),
            seed=SEEDS,
        )

    def run_ours(self, plan: Plan, pace: Pace) -> Seen:
        group = tuple(
            stage(branch.source(pace), name=f"branch {number}") for number, branch in enumerate(plan.branches)
        )
        flow = DataFlow((group if len(group) > 1 else group[0], self.ours(plan)))
        return self._settled(in_order(plan.seed, watched(flow.stream(buffer=plan.buffer), plan.pause)))

    def run_theirs(self, stream: Any, plan: Plan, pace: Pace) -> Seen:
        async def main() -> Seen:
            made = self.theirs(stream, plan, [branch.source(pace)() for branch in plan.branches])
            return await watched(made.stream(), plan.pause)

        return self._settled(in_order(plan.seed, main()))

    def expected(self, plan: Plan) -> Seen:
        return self._settled(models.paced(self.model(plan), plan.pause))

    def _settled(self, seen: Seen) -> Seen:
        """What may differ is taken out."""
        return seen if self.ordered else seen._replace(results=sorted(seen.results, key=itemgetter(1)))


SEEDS = st.none() | st.integers(0, 2**16)
SEVERAL = timelines(2, 4)
TIED = timelines(2, 4, ties=True)
LISTS = st.lists(ITEMS, max_size=3).map(tuple)
WORK = st.sampled_from([0, 1, 3, 20])


def numbered(branches: tuple[Timeline, ...]) -> tuple[Timeline, ...]:
    """Items ``(number, seconds of work)``, so that no two are the same."""
    return tuple(
        Timeline(tuple((at, (number, work)) for number, (at, work) in enumerate(each.items)), each.end)
        for each in branches
    )


def labelled(branches: tuple[Timeline, ...]) -> tuple[Timeline, ...]:
    """Items ``(branch, number)``, so that every item says where it is from."""
    return tuple(
        Timeline(tuple((at, (port, number)) for number, at in enumerate(each.moments)), each.end)
        for port, each in enumerate(branches)
    )


async def work(item: tuple[int, float]) -> tuple[int, float]:
    await asyncio.sleep(item[1])
    return item


def nested(state: Any, item: Any) -> tuple[Any, Any]:
    """Neither commutes nor associates, so that every order gives another state."""
    return (state, item)


CASES = {
    "merge": Case(
        ours=lambda plan: merge(buffer=plan.buffer),
        model=lambda plan: models.merge(plan.branches),
        theirs=lambda stream, plan, sources: stream.merge(*sources),
        branches=SEVERAL,
    ),
    "zip, even": Case(
        ours=lambda plan: zip_(buffer=plan.buffer),
        model=lambda plan: models.zip_(plan.branches, "error"),
        theirs=lambda stream, plan, sources: stream.zip(*sources, strict=True),
        branches=timelines(2, 4, ties=True, even=True),
        pauses=True,
    ),
    "zip, an error if uneven": Case(
        ours=lambda plan: zip_(buffer=plan.buffer),
        model=lambda plan: models.zip_(plan.branches, "error"),
        theirs=lambda stream, plan, sources: stream.zip(*sources, strict=True),
        branches=TIED,
        pauses=True,
    ),
    "zip, shortest": Case(
        ours=lambda plan: zip_(uneven="shortest", buffer=plan.buffer),
        model=lambda plan: models.zip_(plan.branches, "shortest"),
        theirs=lambda stream, plan, sources: stream.zip(*sources),
        branches=TIED,
        pauses=True,
    ),
    "combine_latest": Case(
        ours=lambda plan: combine_latest(buffer=plan.buffer),
        model=lambda plan: models.combine_latest(plan.branches),
        theirs=lambda stream, plan, sources: stream.ziplatest(*sources, partial=False),
        branches=SEVERAL,
    ),
    "concat": Case(
        ours=lambda plan: concat(buffer=plan.buffer),
        model=lambda plan: models.concat(plan.branches),
        theirs=lambda stream, plan, sources: stream.chain(*sources),
        branches=TIED,
        pauses=True,
    ),
    "scan": Case(
        ours=lambda plan: scan(nested, *plan.option, buffer=plan.buffer),
        model=lambda plan: models.scan(plan.branches[0], nested, *plan.option),
        # As itertools does, theirs sends an initial state too, and at once; ours does not.
        theirs=lambda stream, plan, sources: stream.skip(
            stream.accumulate(sources[0], nested, *plan.option), len(plan.option)
        ),
        branches=timelines(ties=True),
        options=st.sampled_from([(), ("begin",)]),
        pauses=True,
    ),
    "batch": Case(
        ours=lambda plan: batch(plan.option, buffer=plan.buffer),
        model=lambda plan: models.batch(plan.branches[0], plan.option),
        theirs=lambda stream, plan, sources: stream.chunks(sources[0], plan.option),
        branches=timelines(ties=True),
        options=st.integers(1, 5),
        pauses=True,
    ),
    # Seconds and a half: no deadline is at the moment of an item. aiostream has no such operator.
    "batch, in time": Case(
        ours=lambda plan: batch(*plan.option, buffer=plan.buffer),
        model=lambda plan: models.batch_in_time(plan.branches[0], *plan.option),
        theirs=None,
        branches=timelines(ties=True),
        options=st.tuples(st.integers(1, 5), st.sampled_from([0.5, 2.5, 6.5])),
    ),
    "take": Case(
        ours=lambda plan: take(plan.option, buffer=plan.buffer),
        model=lambda plan: models.take(plan.branches[0], plan.option),
        theirs=lambda stream, plan, sources: stream.take(sources[0], plan.option),
        branches=timelines(ties=True),
        options=st.integers(1, 8),
        pauses=True,
    ),
    "flatten": Case(
        ours=lambda plan: flatten(buffer=plan.buffer),
        model=lambda plan: models.flatten(plan.branches[0]),
        theirs=lambda stream, plan, sources: stream.concatmap(sources[0], stream.iterate, task_limit=1),
        branches=timelines(ties=True, items=LISTS),
        pauses=True,
    ),
    "ordered map": Case(
        ours=lambda plan: stage(work, concurrency=plan.option, buffer=plan.buffer),
        model=lambda plan: models.ordered_map(plan.branches[0], plan.option),
        theirs=lambda stream, plan, sources: stream.map(sources[0], work, task_limit=plan.option),
        branches=timelines(ties=True, items=WORK).map(numbered),
        options=st.integers(1, 5),
        # With theirs a result that is parked behind a slow one counts as a call.
        in_step=lambda plan: plan.option >= len(plan.branches[0].items),
    ),
    "unordered map": Case(
        ours=lambda plan: stage(work, concurrency=plan.option, ordered=False, buffer=plan.buffer),
        model=lambda plan: models.unordered_map(plan.branches[0], plan.option),
        theirs=lambda stream, plan, sources: stream.map(
            sources[0], work, ordered=False, task_limit=plan.option
        ),
        branches=timelines(ties=True, items=WORK).map(numbered),
        options=st.integers(1, 5),
        ordered=False,
    ),
}
