"""Ledger: all that is written down of the runs on a simulated loop, and the rules held against it.

The rules are local, an edge or a stage each, and are kept by the channels and workers
themselves; together they say that every source item came out, was filtered, was dropped
by policy or was dead-lettered, exactly once. What concerns a whole run is here. A rule's
number is its place in the list of what has to hold: ``asyncdataflow.testing.conformance``
says what the letters mean.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from .._runtime.channel import Channel
from .._runtime.execution import Execution
from .._runtime.pull import NOTHING
from .._runtime.worker import Work
from .._threads.job import Job, LaneIterator
from ..bound import bound
from ..errors import ShutdownTimeoutError
from ..graph import Edge, Graph, named
from ..naming import place
from ..operators.combine import Merge
from ..operators.protocol import ItemOperator
from ..stage import Stage
from .injection import Injector
from .observed_channel import ObservedChannel
from .observed_work import ObservedWork
from .trace import Trace

__all__ = ("Ledger",)

_MOST_TOLD = 10

_CONNECTORS: Final = "asyncdataflow.connectors."

_STAND_INS: Final[Mapping[str, str]] = MappingProxyType({
    "source": "FeedSource(items)",
    "ackable_source": "QueueSource(items)",
    "sink": "CollectSink()",
    "transactional_sink": "CollectSink()",
})  # fmt: skip
"""What is governed by the seed, by the kind of what it stands for."""


class Ledger:
    """What the runs on one loop did.

    Args:
        trace: Takes what happens, in words.
        injector: Decides what goes wrong.

    Attributes:
        executions: The runs, as they began.
        outer: Those that did not begin inside a stage of another.
        broken: The rules that were broken, in words.
    """

    def __init__(self, trace: Trace, injector: Injector) -> None:
        self.executions: list[Execution] = []
        self.outer: list[Execution] = []
        self.broken: list[str] = []
        self._limits: dict[Execution, int] = {}
        self._trace = trace
        self._injector = injector
        self._said: weakref.WeakKeyDictionary[Job, deque[Any]] = weakref.WeakKeyDictionary()

    def begun(self, execution: Execution) -> None:
        """A run has begun."""
        task = asyncio.current_task()
        if not any(task in each.tasks for each in self._works()):
            self.outer.append(execution)
        self.executions.append(execution)
        if _is_simple(execution.graph):
            self._limits[execution] = bound(execution.graph, execution.output.statistics().capacity)
        self._trace.note(f"a run of {execution.name} begins")

    @property
    def stages(self) -> list[str]:
        """Names of the stages of all runs."""
        return [stage.title for execution in self.executions for stage in execution.graph.stages]

    def _works(self) -> Iterator[ObservedWork]:
        works = (work for execution in self.executions for work in execution.works)
        return (work for work in works if isinstance(work, ObservedWork))

    def channel(self, *args: Any, **options: Any) -> Channel[Any]:
        """A channel of a run."""
        return ObservedChannel(self._trace, self.report, *args, **options)

    def work(self, *args: Any, **options: Any) -> Work:
        """What works on a stage of a run."""
        return ObservedWork(self._trace, self, self._injector, self._check_bounds, *args, **options)

    def said(self, message: tuple[Job | None, bool, Any]) -> None:
        """A thread says something; an item of an iterator has to be heard on the loop, once and in turn."""
        job, is_item, value = message
        if is_item and isinstance(job, LaneIterator):
            self._said.setdefault(job, deque()).append(value)

    def heard(self, iterator: LaneIterator, item: Any, stage: str) -> None:
        """The loop has got an item of an iterator in a thread, or its end."""
        said = self._said.get(iterator, deque())
        if item is NOTHING:
            if said:
                self.report("A1", f"{len(said)} items that {stage} made in a thread never came to the loop")
        elif not said or said.popleft() is not item:
            self.report(
                "A1", f"{stage} made items in a thread, which came to the loop twice or in another order"
            )

    def report(self, rule: str, seen: str) -> None:
        """A rule was broken."""
        told = f"{seen} ({rule})"
        if len(self.broken) < _MOST_TOLD and told not in self.broken:
            self.broken.append(told)
            self._trace.note(f"BROKEN {told}")

    def check_rest(self) -> None:
        """Nothing is ready: called before virtual time moves."""
        for execution in self.executions:
            if not execution.ended.done():
                for channel in _channels(execution):
                    channel.check_rest()
                for work in execution.works:
                    if isinstance(work, ObservedWork):
                        work.check_rest()

    def waiting(self) -> list[str]:
        """The edges at which somebody waits, in words."""
        living = (each for each in self.executions if not each.ended.done())
        told = (channel.waiting() for execution in living for channel in _channels(execution))
        return [each for each in told if each]

    def out_of_reach(self) -> list[str]:
        """The stages whose threads or sockets no seed governs, and what to put in their place."""
        living = [each.graph for each in self.executions if not each.ended.done()]
        told = (_out_of_reach(stage, graph) for graph in living for stage in graph.stages)
        return [each for each in told if each]

    def check_end(self) -> None:
        """The simulated code has returned: what each run has to have done by now."""
        for execution in self.executions:
            for failure in execution.failures:
                if isinstance(failure, ShutdownTimeoutError):
                    self.report("C25", str(failure))
            if not execution.ended.done():
                self.report("C22", f"a run of {execution.name} still works, and nobody waits for it")
            elif execution.completed:
                for channel in _channels(execution):
                    channel.check_end()
                for work in execution.works:
                    if isinstance(work, ObservedWork):
                        work.check_end()
                self._check_broadcasts(execution)

    def _check_broadcasts(self, execution: Execution) -> None:
        """Every branch got everything: an edge got what all that send into it have sent."""
        graph = execution.graph
        works = {work.stage.title: work for work in execution.works}
        for name, work in works.items():
            edges = list(graph.into(name))
            chosen = any(isinstance(graph.by_name[each.source].operator, ItemOperator) for each in edges)
            if work.retired or chosen or len(work.inlets) != 1:
                continue
            sent = sum(_sent(works[each.source], each) for each in edges)
            channel = work.inlets[0].channel
            if isinstance(channel, ObservedChannel) and not channel.cut_off and channel.accepted != sent:
                self.report(
                    "B15", f"the edge into {name} got {channel.accepted} of the {sent} items sent there"
                )

    def _check_bounds(self) -> None:
        for execution, limit in self._limits.items():
            if (pulled := _outstanding(execution)) > limit:
                self.report(
                    "A4", f"{pulled} source items are taken and not settled, where bound() is {limit}"
                )


def _channels(execution: Execution) -> list[ObservedChannel]:
    channels = [inlet.channel for work in execution.works for inlet in work.inlets] + [execution.output]
    return [each for each in channels if isinstance(each, ObservedChannel)]


def _out_of_reach(stage: Stage[Any, Any], graph: Graph) -> str:
    kind = stage.call.kind if stage.call is not None else "operator"
    if kind not in _STAND_INS or not type(stage.fn).__module__.startswith(_CONNECTORS):
        return ""
    where = place(stage.path, stage.title)
    told = f"{where} has a thread or socket of its own, which no simulation governs: "
    if stage.title in {*graph.buffered, *graph.buffered.values()}:
        return f"{told}give the stage a buffer= that is no Durable"
    return f"{told}put asyncdataflow.testing.{_STAND_INS[kind]} in place of the connector"


def _sent(work: Work, edge: Edge) -> int:
    return work.figures.dead_lettered if edge.dead_letters else work.figures.sent


def _is_simple(graph: Graph) -> bool:
    """A chain, or a merge, of stages that make one item of each: there the bound is exact."""
    fan_out = any(sum(1 for _ in graph.out_of(named(each))) > 1 for each in graph.stages)
    return not fan_out and all(
        each.role == "source"
        or isinstance(each.operator, Merge)
        or (each.operator is None and each.call is not None and not each.call.many)
        for each in graph.stages
    )


def _outstanding(execution: Execution) -> int:
    """Source items taken, less those that came out or were given up; the one in hand is counted."""
    results = execution.output.statistics()
    settled = results.taken - results.held
    pulled = 0
    for work in execution.works:
        counters = work.figures
        if work.stage.role == "source":
            pulled += counters.received
        else:
            settled += counters.filtered + counters.skipped + counters.dead_lettered + counters.failed
            settled += sum(inlet.channel.statistics().dropped for inlet in work.inlets)
    return pulled - settled
