"""One seed: some code on a simulated loop, what came of it, and whether all rules held."""

from __future__ import annotations

import asyncio
import functools
import gc
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from .._runtime.parts import Parts
from .._threads.bridge import Outbox
from ..errors import BrokenRuleError, DeadlockError, LivelockError, WorkerLostError
from ..naming import describe_error
from ..stage import Stage
from .faults import Faults
from .injection import Injector
from .isolation import (
    collecting_nothing,
    drawing_from,
    told_of_logs,
    told_of_warnings,
    watched_generators,
)
from .ledger import Ledger
from .simulated_loop import MOST_TURNS, SimulatedLoop, SimulatedWorkshop, sleeping_in_virtual_time
from .simulated_threads import SimulatedOutbox
from .trace import Trace
from .unreliable import unreliable

__all__ = ("Outcome", "Simulation", "Story")

Story = Callable[["Simulation"], Coroutine[Any, Any, Any]]
"""What is simulated: an ``async def`` of the simulation that it runs in."""

_WAYS: Final = ("drains", "stops", "leaves")

_LONG: Final = 1e6
"""Virtual seconds for a drain: however slow the stages are, it has to end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one seed.

    Attributes:
        value: What the code returned.
        error: What it raised: itself, or as a consequence of a fault.
        broken: What ought not to have happened; ``None`` where all is well.
        steps: Steps that ran.
        seconds: Virtual seconds that passed.
        struck: How often each fault came.
        lines: What happened, in words; empty unless asked for.
    """

    value: Any
    error: BaseException | None
    broken: BaseException | None
    steps: int
    seconds: float
    struck: Mapping[str, int]
    lines: tuple[str, ...] = ()


class Simulation:
    """One seed.

    Args:
        seed: An order of steps, and which faults come.
        faults: What may go wrong.
        most_turns: Turns of the loop after which it is taken to run in circles.
        traced: Write down what happens.
        cancel_at: Cancel the code at this step.
        raise_from: Let the first stage raise that can, from this step on.

    Attributes:
        loop: The loop that it runs on.
        seed: The seed.
        way: How the run shall be cut short, if it shall: a name of ``Faults``' own.
        at_step: When.
        left: The code was cancelled, before it came to its end.
    """

    def __init__(
        self,
        seed: int,
        faults: Faults = Faults(),  # noqa: B008 - frozen
        *,
        most_turns: int = MOST_TURNS,
        traced: bool = False,
        cancel_at: int | None = None,
        raise_from: int | None = None,
    ) -> None:
        self.seed = seed
        self.loop = _WatchedLoop(seed, most_turns=most_turns)
        self.trace = Trace(self.loop, kept=traced)
        self.injector = Injector(self.loop, faults, self.trace.note, raise_from)
        self.ledger = Ledger(self.trace, self.injector)
        workshop = _WatchedWorkshop(self.loop, self.injector, self.ledger)
        self.loop.ledger = self.ledger
        self.loop.dataflow_parts = Parts(workshop, self.ledger.channel, self.ledger.work, self.ledger.begun)
        self.way = next((each for each in _WAYS if self.injector.strikes(each, "at some step")), None)
        self.at_step = self.loop.draw.randrange(1, 2 ** self.loop.draw.randrange(1, 10)) if self.way else 0
        self.left = False
        if cancel_at is not None:
            self.way, self.at_step = "leaves", cancel_at

    @property
    def cut_short(self) -> bool:
        """The run shall not come to its end, so that nobody can claim anything of its results."""
        return self.way in ("stops", "leaves")

    def run(self, story: Story) -> Outcome:
        """Run the code on this seed."""
        value = error = broken = None
        with (
            collecting_nothing(),
            sleeping_in_virtual_time(),
            drawing_from(self.seed),
            told_of_warnings(self.ledger.report),
            told_of_logs(self.trace),
        ):
            runner = asyncio.Runner(loop_factory=lambda: self.loop)
            try:
                value, error = runner.run(self._told(story))
            except (DeadlockError, LivelockError) as found:
                broken = found
                self.trace.close()
            finally:
                self._close(runner)
        return Outcome(
            value,
            error,
            broken or self._broken() or self._unexpected(error),
            self.loop.steps,
            self.loop.time(),
            dict(self.injector.struck),
            tuple(self.trace.lines),
        )

    def _close(self, runner: asyncio.Runner) -> None:
        """What stands still may do so again when it is cancelled: then it is left to the collector."""
        try:
            with suppress(DeadlockError, LivelockError):
                runner.close()
        finally:
            self.loop.close()
            self.loop.ledger = None

    async def _told(self, story: Story) -> tuple[Any, BaseException | None]:
        """What came of it; raised out of the loop, an error would be formatted by it, whatever it is."""
        self.loop.unseen = asyncio.current_task(self.loop)
        task = self.loop.create_task(story(self), name="the consumer")
        if self.way is not None:
            leave = functools.partial(self._leave, task)
            self.loop.hooks[self.at_step] = leave if self.way == "leaves" else self._cut
        with watched_generators() as generators:
            try:
                return await task, None
            except BaseException as error:  # noqa: BLE001 - to be looked at, whatever it is
                self._check_interrupt(task)
                return None, error
            finally:
                await self.loop.end_executors()
                self._check_leftovers(task, generators)
                self.ledger.check_end()

    def _check_interrupt(self, task: asyncio.Task[Any]) -> None:
        """Let Ctrl-C out, which the runner hands to this task as a cancellation: no fault comes to it."""
        me = asyncio.current_task(self.loop)
        if me is not None and me.cancelling():
            task.cancel()
            raise asyncio.CancelledError

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self.left = task.cancel()

    def _cut(self) -> None:
        living = [each for each in self.ledger.outer if not each.ended.done()]
        if not living:
            # None has begun yet; a service that nobody drains would never end.
            self.loop.hooks[self.loop.steps + 1] = self._cut
        for execution in living:
            if self.way == "drains":
                execution.drain(_LONG)
            else:
                execution.stop()

    def _check_leftovers(self, own: asyncio.Task[Any], generators: weakref.WeakSet[Any]) -> None:
        mine = {own, asyncio.current_task(self.loop)}
        for task in sorted(asyncio.all_tasks() - mine, key=lambda each: each.get_name()):
            self.ledger.report("C22", f"a task is left: {self.loop.described(task)}")
        for forgotten in self.loop.forgotten():
            if (error := forgotten.exception()) is not None:
                self.ledger.report("D42", f"Task exception was never retrieved ({describe_error(error)})")
        for thread in self.loop.threads():
            self.ledger.report("F62", f"a thread is left: {thread.described()}")
        if any(each.ag_frame is not None for each in generators):
            gc.collect()
        for each in generators:
            if each.ag_frame is not None:
                self.ledger.report("C22", f"a generator is left unfinished: {each.__qualname__}")

    def _broken(self) -> BrokenRuleError | None:
        told = self.ledger.broken
        return BrokenRuleError("; ".join(told)) if told else None

    def _unexpected(self, error: BaseException | None) -> BaseException | None:
        """An error that no fault explains."""
        if error is None or (self.way == "leaves" and isinstance(error, asyncio.CancelledError)):
            return None
        if isinstance(error, WorkerLostError) and self.injector.struck["dies"]:
            return None
        put_in = any(_alike(each, fault) for each in _chain(error) for fault in self.injector.raised)
        return None if put_in else error


class _WatchedLoop(SimulatedLoop):
    """A simulated loop whose runs are written down.

    Attributes:
        ledger: Where; ``None`` when the simulation is over.
    """

    ledger: Ledger | None = None

    def advance(self, seconds: float) -> None:
        """Before time moves, nothing is ready: whoever waits then has to have a reason."""
        if self.ledger is not None:
            self.ledger.check_rest()
        super().advance(seconds)

    def waiting(self) -> str:
        """Each task and thread, the edges that they wait at, and the stages that are out of reach."""
        told = [] if self.ledger is None else [*self.ledger.waiting(), *self.ledger.out_of_reach()]
        return "\n".join([super().waiting(), *(f"  {each}" for each in told)])

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio would log and forget: an exception that nobody retrieved, a task destroyed."""
        if self.ledger is not None:
            error = context.get("exception")
            told = f" ({describe_error(error)})" if error is not None else ""
            self.ledger.report("D42", f"{context.get('message')}{told}")


class _WatchedWorkshop(SimulatedWorkshop):
    """Simulated threads and processes whose functions meet faults, and whose items are counted."""

    def __init__(self, loop: SimulatedLoop, injector: Injector, ledger: Ledger) -> None:
        super().__init__(loop)
        self._watched = loop
        self._injector = injector
        self._ledger = ledger

    def outbox(self) -> Outbox[Any]:
        """As it is, and written down."""
        return SimulatedOutbox(self._watched, self._ledger.said)

    def prepared(self, stage: Stage[Any, Any], function: Any) -> Any:
        """With faults around it; of a source that is answered it is its ``open``."""
        if stage.call is not None and stage.call.kind == "ackable_source":
            return unreliable(stage, function, self._injector)
        return self._injector.prepared(stage, function)

    def dies(self, stage: Stage[Any, Any]) -> bool:
        """As drawn."""
        return self._injector.meets(stage) and self._injector.strikes(
            "dies", f"in a process of {stage.title}"
        )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _alike(error: BaseException, fault: BaseException) -> bool:
    """The same, or its copy out of a process."""
    return error is fault or (type(error) is type(fault) and error.args == fault.args != ())
