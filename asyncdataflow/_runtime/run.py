"""Run: the handle of one live execution, as a consumer holds it."""

from __future__ import annotations

import asyncio
import functools
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Generic, TypeVar

from ..errors import BusyRunError, EndOfChannel, UnsettledError
from ..following import Following
from ..graph import Graph, named
from ..histogram import NOTHING_SEEN
from ..message import Message
from ..naming import annotate, describe_error
from ..stats import RunState, RunStats, StageStats
from .baton import Baton, TakingStretch
from .edge import Given, Lying
from .execution import GRACE, Execution
from .figures import stage_stats
from .in_hand import InHand
from .supervise import Counters

__all__ = ("Run",)

T = TypeVar("T")
R = TypeVar("R")


class Run(AsyncIterator[T], Generic[T]):
    """One live execution of a graph: its results, and what can be asked of it.

    Made by ``DataFlow.stream``; it starts at ``async with`` or at the first result that
    is asked for. Leaving the block stops it. Iterated without ``async with``, it has to be
    exhausted or closed with :meth:`aclose`; dropped, it stops and warns.

    Args:
        name: The flow's name.
        graph: What to run.
        params: Run parameters, checked.
        resources: Resources, not yet opened.
        items: What a feed reads.
        buffer: Results that the output edge holds.
        fused: Workers of neighbouring stages may stand in for each other.
        following: What follows its messages, where instruments do.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> async def main():
        ...     async with DataFlow((range(10), lambda n: n * n)).stream() as run:
        ...         async for square in run:
        ...             if square > 8:
        ...                 return square
        >>> asyncio.run(main())
        9
    """

    def __init__(
        self,
        name: str,
        graph: Graph,
        params: Mapping[str, Any],
        resources: Mapping[str, Any],
        items: Any = None,
        buffer: int = 128,
        *,
        fused: bool = True,
        following: Following | None = None,
    ) -> None:
        self._execution: Execution | None = None
        self._name = name
        self.graph = graph
        self._make: Callable[[], Execution] | None = functools.partial(
            Execution, name, graph, params, resources, items, buffer, fused=fused, following=following
        )
        self._asked: list[Callable[[Execution], None]] = []
        self._tally = Counters()
        self._stretch: TakingStretch[T] = TakingStretch(Baton(), None, self._tally)
        self._told = 0
        self._holds = False
        self._in_hand = InHand(following)
        self._consumer: asyncio.Task[Any] | None = None
        self._waiting = False
        self._closed = False
        self._raised = False

    def __repr__(self) -> str:
        """The flow's name and the run's state."""
        return f"<Run of {self._name}: {self.state}>"

    @property
    def name(self) -> str:
        """The flow's name."""
        return self._name

    @property
    def state(self) -> RunState:
        """Where the run is in its life."""
        if self._execution is None:
            return "ended" if self._closed else "new"
        return self._execution.state

    @property
    def failures(self) -> list[BaseException]:
        """What went wrong so far, the first failure first."""
        return [] if self._execution is None else list(self._execution.failures)

    @property
    def left_behind(self) -> frozenset[asyncio.Task[None]]:
        """Workers that swallow their cancellation, of a run that has ended without them."""
        execution = self._execution
        return frozenset() if execution is None or not execution.ended.done() else frozenset(execution.tasks)

    async def __aenter__(self) -> Run[T]:
        """Start; a run serves once, and entered behind its end it is at its end."""
        self._started()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, wait until nothing is left, and raise what was not raised yet.

        An error of the block's own body wins; what the run raised becomes a note on it.
        """
        self._in_hand.answer(error)
        cancelled = await self._end()
        failure = self._failure()
        # A cancellation that arrived meanwhile has to come out, or whoever cancelled waits in vain.
        wins = cancelled or error
        if wins is not None:
            if failure is not None and failure is not wins:
                annotate(wins, f"and the run of {self._name} failed: {describe_error(failure)}")
            if cancelled is not None:
                raise cancelled
            return
        if failure is not None:
            raise failure

    def __aiter__(self) -> Run[T]:
        """The run is its own iterator."""
        return self

    async def __anext__(self) -> T:
        """The next result, in the order in which they leave the last step.

        Raises:
            BusyRunError: Another task waits in here already.
            BaseException: What failed, after the results that were ready before it.
        """
        try:
            return self._stretch.lying.popleft()
        except (IndexError, StopIteration):
            pass  # There is no stretch, nothing lies there, or the turn is over.
        return (await self.next_placed())[1]

    async def next_placed(self) -> tuple[int, T]:
        """The next result with its place among the graph's outputs."""
        if self._waiting:
            raise BusyRunError(f"the run of {self._name} is already being asked for its next result")
        if self._closed:
            raise StopAsyncIteration
        execution = self._execution
        if execution is None:
            execution = self._started()
        self._waiting = True
        try:
            if execution.tracks:
                self._consumer = asyncio.current_task()
            if self._holds:
                self._holds = False
                if execution.tracks:
                    self._in_hand.answer(None)
                execution.output.release()
            result = await execution.results.receive(self._tally.received - self._told)
        except EndOfChannel:
            execution.nothing_under_way()
            await execution.wait_ended()
        else:
            self._holds = True
            self._tally.received += 1
            self._told = self._tally.received
            place, value = result if len(self.graph.outputs) > 1 else (0, result)
            if execution.tracks:
                value = self._in_hand.put(value)
            # Whoever waits for a slot has to be told of those that the stretch will have freed.
            execution.output.wake_senders_soon()
            self._stretch.begin()
            self._stretch.lying = self._lying(execution)
            return place, value
        finally:
            self._waiting = False
        self._closed = True
        self._in_hand.end()
        failure = self._failure()
        if failure is not None:
            raise failure
        raise StopAsyncIteration

    def origins(self) -> list[Message[Any]]:
        """The messages that the last result was made of, each once; of a source that is not answered, none.

        Known until the next result is asked for.
        """
        return self._in_hand.origins()

    def take_back(self, message: Message[Any]) -> bool:
        """Take back what a source that is answered has given, if no worker has begun it.

        Returns:
            Whether it was; then the source hears at once that nothing was done with it.
        """
        works = [] if self._execution is None else self._execution.works
        return any(work.take_back(message) for work in works if work.is_answered)

    def drain(self, timeout: float = 30.0, grace: float = GRACE) -> None:
        """Stop the sources, let everything in flight settle, then end. Returns at once.

        A generator source ends at its next yield, that item included, or after 1 s at its
        await. Partial batches are sent. The consumer goes on iterating until the end.

        Args:
            timeout: Seconds after which the run is stopped; what is then unsettled is
                counted in a ``ShutdownTimeoutError``.
            grace: Seconds that workers have to clean up then, as of :meth:`stop`.
        """
        self._ask(functools.partial(Execution.drain, timeout=timeout, grace=grace))

    def stop(self, timeout: float = GRACE) -> None:
        """Cancel everything now. Returns at once; results that lie ready are still delivered.

        Args:
            timeout: Seconds that workers have to clean up; those that have not ended by then
                are named in a ``ShutdownTimeoutError`` and left behind.
        """
        self._ask(functools.partial(Execution.stop, grace=timeout))

    async def opened(self) -> bool:
        """Wait until its resources, sources and sinks are open.

        Results that come meanwhile wait to be taken.

        Returns:
            Whether they are; false where it was told to end, or has ended, before that.
        """
        return self._execution is not None and await self._execution.readiness.wait()

    async def wait(self) -> None:
        """Wait for the end, however it comes; raises what failed.

        It waits for the consumer too: results that nobody takes hold the run up.
        """
        if self._execution is None:
            return
        await self._execution.wait_ended()
        if self._execution.failures:
            self._raised = True
            raise self._execution.failures[0]

    async def aclose(self) -> None:
        """Stop and wait until nothing is left. Idempotent; callable from any task.

        Raises what failed, if nobody was told yet.
        """
        self._in_hand.answer(sys.exc_info()[1] or self._not_asked_by_the_consumer())
        cancelled = await self._end()
        if cancelled is not None:
            raise cancelled
        failure = self._failure()
        in_flight = sys.exc_info()[1]
        if failure is not None and isinstance(in_flight, asyncio.CancelledError):
            # Closed in a `finally` on the way out of a cancellation, which has to come out.
            annotate(in_flight, f"and the run of {self._name} failed: {describe_error(failure)}")
        elif failure is not None:
            raise failure

    def stats(self) -> RunStats:
        """A snapshot of what the run has done so far."""
        execution = self._execution
        if execution is None:
            return RunStats(self.state, MappingProxyType(self._no_stats()), 0, 0, 0.0)
        stages = self._no_stats() | {work.stage.title: stage_stats(work) for work in execution.works}
        results = self._tally.received
        if self._stretch.baton.holder is self._stretch:
            results += self._stretch.progress()[0]
        waiting = execution.output.statistics().items
        latency = NOTHING_SEEN
        for work in execution.works:
            latency += work.settled
        return RunStats(
            execution.state, MappingProxyType(stages), results, waiting, execution.elapsed, latency
        )

    def __or__(self, operator: Callable[[Run[T]], R]) -> R:
        """``run | pipe.take(5)``: hand the run to an aiostream operator, or to any function of it."""
        return operator(self)

    def __del__(self, warn: Callable[..., Any] = warnings.warn) -> None:
        """A run that nobody holds any more and that still works is stopped, and said so."""
        execution = getattr(self, "_execution", None)
        if execution is None:
            return
        if execution.ended.done():
            self._in_hand.drop()
            return
        try:
            warn(
                f"a run of {self._name} was dropped while it worked; it is being stopped. "
                "Write: async with flow.stream(…) as run",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
        finally:
            self._in_hand.drop()
            execution.abandon()

    def _no_stats(self) -> dict[str, StageStats]:
        """Of a run whose workers have not started."""
        return {named(stage): StageStats() for stage in self.graph.stages}

    def _ask(self, end: Callable[[Execution], None]) -> None:
        """Tell the execution that it is to end."""
        if self._execution is not None:
            end(self._execution)
        elif self._make is not None:
            self._closed = True
        else:
            # From inside a stage, whose task an eager factory runs before there is anybody to tell.
            self._asked.append(end)

    def _started(self) -> Execution:
        if self._execution is None:
            make, self._make = self._make, None
            assert make is not None, "made once"  # noqa: S101 - for the type checker
            self._execution = make()
            self._in_hand.watch(self._execution.ended)
            while self._asked:
                self._asked.pop(0)(self._execution)
            output = self._execution.output
            self._stretch = TakingStretch(output.baton, output, self._tally)
        return self._execution

    def _lying(self, execution: Execution) -> Lying[T]:
        """What gives the next results without asking again, no more of them than make up a turn."""
        tagged, most = len(self.graph.outputs) > 1, execution.results.turn_left
        if not tagged and not execution.tracks:
            return execution.output.taking(most)
        lying: Iterator[Any] = execution.output.lift(most)
        if tagged:
            lying = (value for _, value in lying)
        return Given((self._in_hand.taking(lying) if execution.tracks else lying).__next__)

    def _not_asked_by_the_consumer(self) -> UnsettledError | None:
        """Why the result in hand is not done with, where somebody else closes than who works on it."""
        if self._consumer is asyncio.current_task():
            return None
        return UnsettledError("the run was closed while its consumer had the result")

    def _failure(self) -> BaseException | None:
        """The failure, for the first who asks."""
        if self._raised or self._execution is None or not self._execution.failures:
            return None
        self._raised = True
        return self._execution.failures[0]

    async def _end(self) -> asyncio.CancelledError | None:
        """Stop and wait, also while being cancelled: the wait is bounded by the grace period.

        Returns:
            The cancellation that arrived meanwhile, to be raised by the caller afterwards.
        """
        self._closed = True
        execution = self._execution
        if execution is None:
            return None
        self._stretch.baton.drop()
        execution.stop()
        cancelled: asyncio.CancelledError | None = None
        while not execution.ended.done():
            try:
                await execution.wait_ended()
            except asyncio.CancelledError as error:
                cancelled = error
        execution.results.close()
        self._in_hand.end()
        return cancelled
