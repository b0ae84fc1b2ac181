"""OpenRun: the handle of a run that is given items one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..collected import placed
from ..engine import LiveRun, TellingRun
from ..errors import ParameterError, ShutdownTimeoutError
from ..graph import Graph, Places
from ..message import Message
from ..naming import annotate, describe_error
from ..stats import RunState, RunStats
from .inbox import Inbox, Result
from .told import told

__all__ = ("OpenRun",)

Out = TypeVar("Out")


class OpenRun(Generic[Out]):
    """A run that is given items one by one, by whoever wants to know what comes of each.

    Made by ``DataFlow.open``, and used as a context: leaving the block stops the run, and
    ``RunEndedError`` is raised to every caller who still waits.

    Args:
        name: The flow's name.
        graph: What to run, with a feed in front.
        limit: Most calls under way.
        begin: Makes a run of a graph.

    Raises:
        DefinitionError: A call would have to wait for other calls, or could not be told what came of it.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.operators import map_batches
        >>> def predict(texts):
        ...     return [len(text) for text in texts]
        >>> flow = DataFlow((str.strip, map_batches(predict, 32, within=0.005)))
        >>> async def main():
        ...     async with flow.open() as run:
        ...         return await asyncio.gather(run.call(" a "), run.call("bcd "))
        >>> asyncio.run(main())
        [1, 3]
    """

    def __init__(self, name: str, graph: Graph, limit: int, begin: Callable[[Graph], LiveRun[Any]]) -> None:
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise ValueError(f"open(limit=): a whole number of at least 1 is needed, not {limit!r}")
        self._name = name
        self._inbox = Inbox(
            name, limit, _Shape(graph.outputs, graph.each), self._take_back, self._failed_with
        )
        run = begin(told(graph, self._inbox))
        if not isinstance(run, TellingRun):
            raise ParameterError(
                f"open(engine=): a {type(run).__name__} cannot tell which result was made of which item; "
                "leave engine= out to run on this machine"
            )
        self._run: TellingRun[Any] = run
        self._reader: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._late: ShutdownTimeoutError | None = None
        self._late_is_told = False
        self._deadline: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        """The flow's name and the run's state."""
        return f"<OpenRun of {self._name}: {self.state}>"

    @property
    def state(self) -> RunState:
        """Where the run is in its life."""
        return "failed" if self._late is not None and self._run.state == "ended" else self._run.state

    @property
    def failures(self) -> Sequence[BaseException]:
        """What ended the run, the first failure first; an item that failed is no failure of the run."""
        return [*([] if self._late is None else [self._late]), *self._run.failures]

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return self._inbox.waiting

    @property
    def under_way(self) -> int:
        """Calls whose items the run has; at most ``limit``."""
        return self._inbox.under_way

    async def __aenter__(self) -> OpenRun[Out]:
        """Start, and wait until its resources and sinks are open; what they fail with, leaving raises."""
        await self._run.__aenter__()
        self._inbox.begin()
        self._reader = asyncio.get_running_loop().create_task(self._read(), name=f"{self._name} calls")
        try:
            await self._run.opened()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, wait until nothing is left, and raise what the run failed with.

        An error of the block's own body wins; what the run failed with becomes a note on it.
        """
        self._inbox.close()
        if self._deadline is not None:
            self._deadline.cancel()
        try:
            await self._run.__aexit__(kind, error, trace)
        finally:
            await self._read_to_the_end()
        failure, self._failure = self._told_late() or self._failure, None
        if failure is None:
            return
        if error is not None:
            if any(error is each for each in self.failures):
                # Raised by wait() in the block: it says all that there is to say.
                return
            annotate(error, f"and the run of {self._name} failed: {describe_error(failure)}")
            return
        try:
            raise failure
        finally:
            del failure, error

    async def call(self, item: Any) -> Out:
        """Give the run an item, and wait for what comes of it.

        At most ``limit`` items are under way; who comes then waits, in the order of the calls.
        From the task that is cancelled here nothing is left behind: an item that no worker has begun
        is taken back, one that is under way is let finish, and what comes of it is dropped.

        Args:
            item: Any object, as the first step takes it.

        Returns:
            The value itself where the graph makes exactly one of each item, with one place per
            branch of a last group (a tuple, after a set or dict a dict); else the list of all that came
            of this item. Of something made of several items, each of their callers gets it.

        Raises:
            RunEndedError: The run has ended, or ended first; what it failed with is the cause.
            BaseException: What failed for good in a stage with this item; the run goes on.
        """
        made: Out = await self._inbox.call(item)
        return made

    def drain(self, timeout: float = 30.0, grace: float = 5.0) -> None:
        """Take no more calls, let those that were made be served, then end. Returns at once.

        Args:
            timeout: Seconds after which the run is stopped; what is then unsettled, and how many calls
                wait for their turn, is said in a ``ShutdownTimeoutError``.
            grace: Seconds that workers have to clean up then, as of :meth:`stop`.
        """
        if self._deadline is not None:
            return
        loop = asyncio.get_running_loop()
        late = self._deadline = loop.call_later(timeout, self._expired, timeout, grace)

        def drain() -> None:
            late.cancel()
            self._run.drain(max(late.when() - loop.time(), 0.0), grace)

        self._inbox.close(drain)

    def _expired(self, timeout: float, grace: float) -> None:
        """The drain has taken too long, and calls wait for their turn still."""
        if self.state == "running":
            told = [f"{items} in or before {stage}" for stage, items in self.stats().unsettled.items()]
            told.append(f"{self.waiting} calls that wait for their turn")
            self._late = ShutdownTimeoutError(
                f"{self._name}: drain took over {timeout:.3g} s; unsettled: {', '.join(told)}"
            )
            self._run.stop(grace)

    def stop(self, timeout: float = 5.0) -> None:
        """Cancel everything now. Returns at once; callers are told when it has ended.

        Args:
            timeout: Seconds that workers have to clean up.
        """
        self._inbox.close()
        self._run.stop(timeout)

    async def wait(self) -> None:
        """Wait for the end, however it comes; raises what the run failed with."""
        await self._run.wait()
        late = self._told_late()
        if late is not None:
            raise late

    def stats(self) -> RunStats:
        """A snapshot of what the run has done so far."""
        return self._run.stats()

    def _take_back(self, message: Message[Any]) -> object:
        return self._run.take_back(message)

    def _told_late(self) -> ShutdownTimeoutError | None:
        """That a drain took too long, for the first who asks."""
        told, self._late_is_told = self._late_is_told, True
        return None if told else self._late

    def _failed_with(self) -> BaseException | None:
        return next(iter(self.failures), None)

    async def _read(self) -> None:
        """Give each result to the callers whose items it was made of."""
        run, came = self._run, self._inbox.came
        try:
            if len(run.graph.outputs) > 1:
                while True:
                    place, value = await run.next_placed()
                    came(run.origins(), place, value)
                    del value
            async for value in run:
                came(run.origins(), 0, value)
                del value
        except StopAsyncIteration:
            pass
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised to whoever leaves the block
            self._failure = error
        finally:
            self._inbox.end()

    async def _read_to_the_end(self) -> None:
        """Also while being cancelled: the run has ended, so that its reader soon does."""
        cancelled: asyncio.CancelledError | None = None
        while self._reader is not None and not self._reader.done():
            try:
                await asyncio.wait([self._reader])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


class _Shape:
    """What a call returns of the results of its item.

    Args:
        outputs: The names of the stages that make results.
        each: The shape, where one item makes exactly one; ``None`` is a list.
    """

    def __init__(self, outputs: Sequence[str], each: str | Places | None) -> None:
        self._outputs = outputs
        self._each = each

    def __call__(self, results: Iterable[Result]) -> Any:
        """Of one item's."""
        if self._each is None:
            return [value for _, value in results]
        return placed(self._each, {self._outputs[place]: value for place, value in results})
