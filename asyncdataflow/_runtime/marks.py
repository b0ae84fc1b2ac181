"""Marks: how long it takes from a source to the results, where nothing of ours travels with the items.

Every so often a source sets a mark behind what it has put: a position in an edge, and when that was. Whoever
takes the item that is there has the mark, and sets it behind what it has put itself, as soon as all that it
had taken by then is settled (latency markers: Apache Flink). So a mark is as late as an item would be that
was given when it was, and an item costs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from ..histogram import NOTHING_SEEN, Histogram, Recorder
from ..operators.protocol import StreamOperator
from ..stage import Stage
from .channel import Channel
from .edge import UNMARKED, Edge, Mark
from .routing import Outlet
from .supervise import Counters

__all__ = ("MarkedWork", "Marks", "SourceMarks")

_MARK_SECONDS: Final = 0.01
"""Between two marks of one source."""


class MarkedWork(Protocol):
    """What is needed of a stage's work."""

    counters: Counters
    inlets: Any
    outlet: Outlet
    stage: Stage[Any, Any]


class _Station:
    """One stage, on the way of marks.

    Args:
        work: Its work.

    Attributes:
        outlets: The edges behind it that a mark can lie in.
        is_last: Nothing is behind it, or the consumer.
    """

    __slots__ = ("_counters", "_from", "_holds", "_inlets", "_until", "is_last", "outlets")

    def __init__(self, work: MarkedWork, output: Edge[Any]) -> None:
        channels = work.outlet.channels
        self.outlets: Sequence[Edge[Any]] = [each for each in channels if each.is_bare]
        self.is_last = not channels or channels[0] is output
        self._inlets: Sequence[Edge[Any]] = [each.channel for each in work.inlets]
        self._counters = work.counters
        self._holds = isinstance(work.stage.operator, StreamOperator)
        self._from: Edge[Any] | None = None
        self._until = 0

    def lets_go(self, edge: Edge[Any]) -> Edge[Any] | None:
        """The mark of this edge has come: out of which edge one goes on now, if any does."""
        if self._from is None:
            self._from = edge
            # What an operator holds back leaves with what it sends next.
            self._until = self._done() + 1 if self._holds else sum(each.taken for each in self._inlets)
        if self._done() < self._until:
            return None
        origin, self._from = self._from, None
        return origin

    def _done(self) -> int:
        return sum(each.put_in for each in self.outlets) if self._holds else self._counters.settled


class Marks:
    """Of one run: nothing is made before the first.

    Args:
        works: Its stages.
        output: The output edge.
    """

    def __init__(self, works: Sequence[MarkedWork], output: Channel[Any]) -> None:
        self._works = works
        self._output = output
        self._stations: dict[Edge[Any], _Station] = {}
        self._put_in: dict[Edge[Any], int] = {}

    def begin(self, edges: Iterable[Edge[Any]], mark: Mark) -> None:
        """A source sets one behind all that it has put."""
        if not self._stations:
            for work in self._works:
                station = _Station(work, self._output)
                self._stations |= {inlet.channel: station for inlet in work.inlets}
            for edge in [*self._stations, self._output]:
                edge.on_mark = functools.partial(self._go, edge)
        self._output.baton.drop()
        self._go(*[each for each in edges if each.is_bare and self._set(each, mark)])

    def let_go(self) -> None:
        """Break the cycles, when the run is over."""
        self._works = ()
        for edge in [*self._stations, self._output]:
            edge.on_mark = None
        self._stations.clear()

    # No recursion: a walk may have gone through a thousand stages.
    def _go(self, *reached: Edge[Any]) -> None:
        left = list(reached)
        while left:
            edge = left.pop()
            station = self._stations.get(edge)
            origin = edge if station is None else station.lets_go(edge)
            if origin is None:
                continue
            origin.marked = UNMARKED
            born, recorder = mark = origin.mark
            # Items go where any was put since the last mark.
            ways = () if station is None else station.outlets
            ways = [each for each in ways if each.put_in != self._put_in.get(each, 0)]
            left += [each for each in ways if self._set(each, mark)]
            if not ways and (station is None or station.is_last):
                recorder.add(self._output.baton.clock() - born)

    def _set(self, edge: Edge[Any], mark: Mark) -> bool:
        """Set a mark behind what lies in this edge, unless there is one; whether it is reached at once."""
        if edge.marked != UNMARKED:
            return False
        edge.mark = mark
        edge.marked = self._put_in[edge] = edge.put_in
        return edge.taken >= edge.marked


class SourceMarks:
    """Of one source.

    Args:
        marks: The run's.
        now: What time it is.

    Attributes:
        marks: As given.
        next: When it is time for one: not before the run is no longer short.
    """

    __slots__ = ("_recorder", "marks", "next")

    def __init__(self, marks: Marks, now: float) -> None:
        self.marks = marks
        self.next = now + _MARK_SECONDS
        self._recorder: Recorder | None = None

    def begin(self, edges: Iterable[Edge[Any]], now: float) -> None:
        """Set one."""
        self.next = now + _MARK_SECONDS
        if self._recorder is None:
            self._recorder = Recorder()
        self.marks.begin(edges, (now, self._recorder))

    @property
    def latency(self) -> Histogram:
        """How long they took to the end."""
        return NOTHING_SEEN if self._recorder is None else self._recorder.histogram()
