"""Execution: one run from its first worker to its last, whatever ends it.

A runner task of its own opens resources, starts the workers and sees them buried; the consumer only
waits. (An async generator that held a task group would deliver a failure as a cancellation of what
the consumer happens to await, PEP 789.) It ends in one of four ways: workers finish; one fails;
``drain``; ``stop``. Always in this order: workers, then threads and processes, then resources.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..delivery import has_answered_source
from ..errors import ChannelClosed, ShutdownTimeoutError, UnevenZipError
from ..following import Following
from ..graph import Graph
from ..message import WRITING
from ..naming import describe_error
from ..operators.combine import Zip
from ..policy import Buffer
from ..stats import RunState
from .accounts import NO_BUFFERS, Accounts, senders_into, unsettled
from .alarms import Alarms
from .build import build
from .channel import Receiver
from .lane import closed
from .leaving import described, settled
from .parts import parts_of
from .readiness import Readiness
from .resources import Resources
from .supervise import cancelled_from_outside, not_an_ending, tell_of_further, unordered_cancel
from .worker import Loop, Work

__all__ = ("GRACE", "Execution")

GRACE: Final = 5.0
"""Seconds that workers and threads have to end once they are cancelled."""

_PATIENCE_WITH_SOURCES: Final = 1.0
_logger = logging.getLogger("asyncdataflow")


class Execution:
    """What lives while a run runs; owned by its ``Run``, and never the other way round.

    Args:
        name: The flow's name, for logs.
        graph: What to run.
        params: Run parameters.
        resources: Resources, not yet opened.
        items: What a feed reads.
        buffer: Results that the output edge holds.
        fused: As of ``build``.
        following: What follows its messages, where instruments do.

    Attributes:
        readiness: Whether all is open.
        output: The output edge.
        tasks: Its workers, and what they work on; once it has ended, those that were left behind.
        tracks: Items are tracked, because a source is answered, or they are followed.
        completed: It came to its end by itself, drained maybe, and not because it was stopped.
    """

    def __init__(
        self,
        name: str,
        graph: Graph,
        params: Mapping[str, Any],
        resources: Mapping[str, Any],
        items: Any,
        buffer: int,
        *,
        fused: bool = True,
        following: Following | None = None,
    ) -> None:
        self.name, self.graph, self.completed = name, graph, False
        self.state: RunState = "running"
        self.failures, self.works = list[BaseException](), list[Work]()
        self._params, self._items, self._loop = params, items, asyncio.get_running_loop()
        self._build = functools.partial(build, fused=fused, following=following)
        self._parts = parts_of(self._loop)
        self._resources = Resources(name, resources, params, self._parts.workshop)
        tagged = len(graph.outputs) > 1
        self.output = self._parts.channel(Buffer(buffer), name="the results", held=True, tagged=tagged)
        self._holding_open = self.output.sender()
        self.results: Receiver[Any] = self.output.receiver()
        self.started_at = self._loop.time()
        self._ended_at: float | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._waiting: set[asyncio.Future[None]] = set()
        self._turned: asyncio.Future[None] = self._loop.create_future()
        self.tasks, self._cancelled = dict[asyncio.Task[None], Work](), set[asyncio.Task[None]]()
        self._grace = self._patience = GRACE
        self._accounts, self._alarms = NO_BUFFERS, Alarms(self._loop)
        self.tracks = following is not None or graph.kept(has_answered_source)
        self.readiness, self._opening = Readiness(), True
        # Known before it is made: a task of an eager factory runs at once.
        self._runner: asyncio.Task[None] | None = None
        self._runner = self._loop.create_task(self._run(), name=f"{name} runner")
        for work in self.works:
            work.leaving.runner = self._runner
        # Not only in the runner itself: cancelled before its first step, it would never run.
        self._runner.add_done_callback(self._end)
        self._parts.begun(self)

    @property
    def elapsed(self) -> float:
        """Seconds since the start, up to the end."""
        return (self._loop.time() if self._ended_at is None else self._ended_at) - self.started_at

    def drain(self, timeout: float, grace: float = GRACE) -> None:
        """Stop the sources and let everything in flight settle; past ``timeout``, stop."""
        if self.state != "running":
            return
        self.state, self._grace, self._patience = "draining", grace, grace
        self.readiness.give_up()
        self.output.baton.drop()
        self._accounts.drain(self.works)
        self._alarms.set(_PATIENCE_WITH_SOURCES, self._cut_sources)
        self._alarms.set(timeout, functools.partial(self._drain_expired, timeout))

    def stop(self, grace: float = GRACE) -> None:
        """Cancel everything now; what has not ended after ``grace`` is named and left behind."""
        if self.state in ("running", "draining"):
            self.state = "stopping"
            self._accounts.stop(self.works)
            self._grace = self._patience = grace
            self._turn()
            self._resources.hurry(grace, self._loop.time())
            runner = self._runner if self._opening else None
            if runner is not None and asyncio.current_task(self._loop) is not runner:
                runner.cancel()
                self._alarms.set(grace, self._opening_expired)

    def abandon(self) -> None:
        """Stop for a handle that was dropped, maybe in another thread or after the loop."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stop)
        else:
            for work in self.works:
                work.forsake()

    def fail(self, error: BaseException, work: Work | None = None) -> None:
        """The first failure stops the run; later ones become notes on it."""
        if any(error is each for each in self.failures):
            return
        if isinstance(error, Exception):
            error = not_an_ending(error)
            if work is not None:
                work.supervisor.own(error)
        if self.failures:
            tell_of_further(error, self.failures[0], self.name)
        self.failures.append(error)
        self.stop(self._grace)

    async def wait_ended(self) -> None:
        """Wait until nothing of the run is left; cancelled, the run goes on ending."""
        if not self.ended.done():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)

    async def _run(self) -> None:
        """The runner: never raises, always reaches the end."""
        WRITING.set(None)  # A function that starts a run may be writing something else.
        try:
            await self._work(await self._resources.open())
        except asyncio.CancelledError:
            self.stop()
        except BaseException as error:  # noqa: BLE001 - kept for the consumer, whatever it is
            self.fail(error)
        try:
            await self._resources.close(self.failures[0] if self.failures else None)
        except BaseException as error:  # noqa: BLE001 - as above; cancelled, they are closed all the same
            if not isinstance(error, asyncio.CancelledError):
                self.fail(error)
        if self._runner is not None:
            # A step of the loop earlier than by its callback.
            self._runner.remove_done_callback(self._end)
            self._end()

    async def _work(self, opened: Mapping[str, Any]) -> None:
        """Start the workers, wait for the end or for the order to stop, bury them."""
        self._opening = False
        if self._turned.done():
            return
        try:
            self.works = self._build(self.graph, self.output, self._params, opened, self._items, self._parts)
            self._start()
            await self._turned
        except asyncio.CancelledError:  # The loop is being closed around us, as asyncio.run does.
            self.stop()
        except Exception as error:  # noqa: BLE001 - kept for the consumer
            self.fail(error)
        left = await self._bury(self._loop.time() + self._patience)
        if left:
            told = f"{self.name}: did not end within {self._grace} s:\n" + "\n".join(left)
            _logger.error("%s", told)
            # Of a run that came to its end, nothing is lost by what nobody wanted any more.
            if self.state == "stopping":
                self.fail(ShutdownTimeoutError(told))

    def _start(self) -> None:
        for work in self.works:
            if work.calls.lane is not None:
                work.calls.lane.on_broken = lambda error, work=work: self.fail(error, work)
            if work.group is not None:
                work.group.serves = self.tasks.__setitem__
        for channel, behind in senders_into(self.works).items():
            channel.on_abandoned = lambda behind=behind: self._demand_gone(behind)
        if self.graph.buffered:
            self._accounts = Accounts(self.works, self.graph.buffered)
        if self.state == "draining":
            self._accounts.drain(self.works)
        now = self.output.baton.clock()
        for work in self.works:
            for loop in work.begin(self._runner, now, self._recruit):
                self._start_worker(work, loop)
        self._holding_open.close()
        self.readiness.watch(work.calls for work in self.works)

    def _start_worker(self, work: Work, loop: Loop) -> None:
        task = self._loop.create_task(self._guard(work, loop), name=f"{self.name}: {work.stage.title}")
        self.tasks.setdefault(task, work)  # An eager one may serve another stage by now.
        task.add_done_callback(self._buried)

    def _recruit(self, work: Work, loop: Loop) -> None:
        """Start one more worker, unless the others have been cancelled by now."""
        if work.alive and not work.leaving.asked:
            work.recruited()
            self._start_worker(work, loop)

    async def _guard(self, work: Work, loop: Loop) -> None:
        """A worker's task: whatever it raises is dealt with here, and no task ever fails.

        ``KeyboardInterrupt`` and ``SystemExit`` too: out of a task they tear the loop down.
        """
        try:
            try:
                await loop()
            finally:
                task = asyncio.current_task(self._loop)
                work = work if task is None else self.tasks.get(task, work)
            if not work.leaving.asked and task is not None:
                self._finished(task)
        except UnevenZipError as error:
            if self.state != "draining" or not isinstance(work.stage.operator, Zip):
                self.fail(error, work)
            else:  # The sources were not stopped behind the same count.
                _logger.info("%s: drained with a row begun: %s", self.name, error)
        except ChannelClosed as error:
            self._demand_gone([work])
            if not work.retired:
                # Not the outlet's word that nobody wants more, but an error of the user's.
                self.fail(error, work)
        except asyncio.CancelledError as cancelled:
            if not (work.retired or work.draining or self.state == "stopping" or self._torn_down):
                self.fail(unordered_cancel(cancelled), work)
            elif isinstance(cancelled.__context__, Exception):
                told = describe_error(cancelled.__context__)
                _logger.info("%s: %s was cancelled while it dealt with %s", self.name, work.stage.title, told)
        except BaseException as error:  # noqa: BLE001 - kept for the consumer, whatever it is
            self.fail(error, work)

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A worker is at its end by itself; what is behind it need not wait for a callback."""
        if task in self.tasks:  # One of an eager factory may be at its end before it is known.
            task.remove_done_callback(self._buried)
            self._buried(task)

    def _buried(self, task: asyncio.Task[None]) -> None:
        """A worker has ended, or was cancelled before its first step; close what it was the last to use."""
        work = self.tasks.pop(task)
        self._cancelled.discard(task)
        if task.cancelled() and not (work.leaving.asked or self._torn_down):
            self.fail(cancelled_from_outside(), work)  # Before its first step, or its guard would know.
        work.buried()
        if not work.alive:
            for inlet in work.inlets:
                inlet.close()
            work.outlet.close()
            if work.dead_letters is not None:
                work.dead_letters.close()
            self._retire(self._accounts.ended(work, draining=self.state == "draining"))
        if not self.tasks:
            self._turn()
        elif self.tracks and self.output.ended():
            self.nothing_under_way()

    def nothing_under_way(self) -> None:
        """The consumer has had every result: sources that wait to hear of a message hear it now or never."""
        if self.tracks:
            self._accounts.check(self.works, self.tasks.values(), self.output)

    def _demand_gone(self, works: list[Work]) -> None:
        """Retire those of whose results nobody wants any more."""
        for work in works:
            if work.alive and not work.retired and work.outlet.channels:  # Most have ended by then.
                wanted = any(not each.abandoned for each in work.outlet.channels)
                if not wanted and not self._accounts.stop_pulling(work):
                    self._retire(work)

    def _retire(self, unwanted: Work | None) -> None:
        if unwanted is not None:
            unwanted.retired = True
            self._cancel(task for task, of in self.tasks.items() if of is unwanted)
            self._alarms.set(self._grace, self._end_with_retired)

    @property
    def _torn_down(self) -> bool:
        """Everything is being cancelled, as by asyncio.run on its way out."""
        return self._runner is not None and self._runner.cancelling() > 0

    def _end_with_retired(self) -> None:
        """When only retired workers are left that do not end, they are buried as on stop."""
        retired = sum(work.retired for work in self.tasks.values())
        if retired == len(self.tasks):
            self._patience = self._grace / 10  # They had their grace.
            self._turn()
        elif retired:
            self._alarms.set(self._grace, self._end_with_retired)

    def _turn(self) -> None:
        """Tell the runner that there is nothing more to wait for."""
        if not self._turned.done():
            self._turned.set_result(None)

    def _cancel(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Cancel each once: a second time would hit its clean-up."""
        self.output.baton.drop()
        for task in tasks:
            if task not in self._cancelled:
                self._cancelled.add(task)
                self.tasks[task].leaving.cancel(task, again=not self._torn_down)

    def _cut_sources(self) -> None:
        """Sources that still wait at an await for their next item are not waited for."""
        self._cancel([task for task, work in self.tasks.items() if work.may_be_cut])
        for work in self.works:
            work.cut()

    def _opening_expired(self) -> None:
        """A resource swallows its cancellation while it is opened: it is left behind."""
        if self._opening and self._runner is not None:
            self._runner.cancel()
            told = f"{self.name}: its resources did not stop opening within {self._grace} s"
            self.fail(ShutdownTimeoutError(told))
            self._end()

    def _drain_expired(self, timeout: float) -> None:
        if self.state == "draining":
            told = f"{self.name}: drain took over {timeout:.3g} s; unsettled: {unsettled(self.works)}"
            self.fail(ShutdownTimeoutError(told))

    async def _bury(self, deadline: float) -> list[str]:
        """End workers, threads and processes; describe what has not ended by then."""
        lanes = [work.calls.lane for work in self.works if work.calls.lane is not None]
        return await self._cancel_tasks(deadline) + await closed(lanes, deadline)

    async def _cancel_tasks(self, deadline: float) -> list[str]:
        """Cancel until nothing is left or the deadline passes.

        Downstream first, so that nobody sees an input end that did not end. Half of the grace is
        for clean-up that awaits; the rest is halved again and again, for stages that swallow it.
        """
        self._cancel(list(reversed(self.tasks)))
        while self.tasks:
            remaining = deadline - self._loop.time()
            await settled(list(self.tasks), remaining / 2)
            if remaining < self._grace / 64:
                break
            for task in reversed(self.tasks):
                self.tasks[task].leaving.insist(task)
        return [described(task, work.stage) for task, work in self.tasks.items()]

    def _end(self, _: object = None) -> None:
        self._alarms.clear()
        self._ended_at = self._loop.time() if self._ended_at is None else self._ended_at
        self.readiness.give_up()
        self.output.end()
        self._let_go()
        self.completed = not self.failures and self.state != "stopping"
        self.state = "failed" if self.failures else "ended"
        for waiter in (self.ended, *self._waiting):
            if not waiter.done():
                waiter.set_result(None)

    def _let_go(self) -> None:
        """Break the cycles, so that what the run was given lives no longer than it."""
        self._params, self._items = {}, None
        self._resources.let_go()
        for work in self.works:
            work.let_go()
