"""Engine: where the workers of a run live.

``flow.stream(engine=…)`` and ``flow.run(engine=…)`` hand a frozen :class:`Plan` to an
engine and get a :class:`LiveRun` back. Without ``engine=`` that is ``LocalEngine``: tasks,
threads and processes of this machine. ``asyncdataflow.testing.check_engine`` tells whether
an engine keeps what a run promises.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar, runtime_checkable

from .abc import Instrument
from .graph import Graph
from .message import Message
from .stats import RunState, RunStats

__all__ = ("Engine", "LiveRun", "Plan", "TellingRun")

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan:
    """What an engine is to run: everything that a run was given, checked against the graph.

    Attributes:
        name: The flow's name, for warnings and logs.
        graph: The stages and edges.
        params: Run parameters by name.
        resources: Resources by name, not yet opened: a callable is called when the run starts.
        items: The iterable or async iterable that the first step takes; ``None`` where it has
            sources of its own. It is read in the process of whoever gave it.
        buffer: Results that may lie ready before the consumer.
        fuse: Workers of neighbouring stages may stand in for each other.
        instruments: Who is told what becomes of each message.
    """

    name: str
    graph: Graph
    params: Mapping[str, Any]
    resources: Mapping[str, Any]
    items: Any = None
    buffer: int = 128
    fuse: bool = True
    instruments: Sequence[Instrument] = ()


class LiveRun(Protocol[T_co]):
    """One live execution, as a consumer holds it; ``Run`` is the local one and has the whole contract."""

    @property
    def graph(self) -> Graph:
        """What runs."""

    @property
    def state(self) -> RunState:
        """Where the run is in its life; ``"new"`` until it is entered or asked for a result."""

    @property
    def failures(self) -> Sequence[BaseException]:
        """What went wrong so far, the first failure first."""

    async def __aenter__(self) -> LiveRun[T_co]:
        """Start."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, wait until nothing is left, and raise what was not raised yet."""

    def __aiter__(self) -> AsyncIterator[T_co]:
        """The run is its own iterator."""

    async def __anext__(self) -> T_co:
        """The next result; raises what failed, after the results that were ready before it."""

    async def opened(self) -> bool:
        """Wait until its resources, sources and sinks are open; false where it is to end, or has, before."""

    async def next_placed(self) -> tuple[int, T_co]:
        """The next result with its place among the graph's outputs."""

    def drain(self, timeout: float = ..., grace: float = ...) -> None:
        """Stop the sources, let everything in flight settle, then end; late, stop. Returns at once."""

    def stop(self, timeout: float = ...) -> None:
        """Cancel everything now. Returns at once; results that lie ready are still delivered."""

    async def wait(self) -> None:
        """Wait for the end, however it comes; raises what failed."""

    async def aclose(self) -> None:
        """Stop and wait until nothing is left. Idempotent; callable from any task."""

    def stats(self) -> RunStats:
        """A snapshot of what the run has done so far."""


@runtime_checkable
class TellingRun(LiveRun[T_co], Protocol[T_co]):
    """One that tells which result was made of what, which ``DataFlow.open`` needs."""

    def origins(self) -> Sequence[Message[Any]]:
        """The messages that the last result was made of, each once, until the next one is asked for.

        Of a run whose source is answered.
        """

    def take_back(self, message: Message[Any]) -> bool:
        """Take back what a source that is answered has given, if no worker has begun it."""


class Engine(abc.ABC):
    """Where workers live. One method, so that it never has to break.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.engine import Engine
        >>> from asyncdataflow.local import LocalEngine
        >>> class Announced(Engine):
        ...     def begin(self, plan):
        ...         print(plan.name, "runs", len(plan.graph.stages), "stages")
        ...         return LocalEngine().begin(plan)
        >>> flow = DataFlow((range(3), str), name="digits")
        >>> asyncio.run(flow.run(engine=Announced()))
        digits runs 2 stages
        ['0', '1', '2']
    """

    @abc.abstractmethod
    def begin(self, plan: Plan) -> LiveRun[Any]:
        """Make a run of a plan, in state ``"new"``: nothing is open and nothing runs yet.

        It is called in any thread, with or without a running loop; the loop in which the run
        is entered, or first asked for a result, is the run's own.
        """
