"""``simulate``: a flow under many orders of events, and with faults."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..collected import collected
from ..dataflow import DataFlow
from ..naming import callable_name
from .faults import Faults
from .idle_faults import refuse_idle
from .isolation import refuse_on_a_loop
from .report import Failure, Report
from .simulated_loop import MOST_TURNS
from .simulated_threads import StuckThreadError
from .simulation import Outcome, Simulation, Story
from .trace import shown

__all__ = ("Findings", "NothingToRun", "called_with", "claimed", "running", "simulate", "which")

_ENOUGH: Final = 10
"""Failures after which there is nothing more to learn."""

_NO_VERDICTS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)

_NOT_GOVERNED: Final = (
    "run again, it did not fail: something in the flow is not governed by the seed "
    "(a clock, an order of a set of strings, a thread or socket of its own, state left by another seed)"
)


def simulate(
    make: Callable[[], DataFlow[Any, Any]],
    params: Mapping[str, Any] | None = None,
    *,
    check: Callable[[Any], object] | None = None,
    seeds: int | Iterable[int] = 500,
    faults: Faults | None = None,
    most_turns: int = MOST_TURNS,
) -> Report:
    """Run a flow under many orders of events, with virtual time, and maybe with faults.

    For each seed the flow is built anew and run to its end on a loop that draws from the
    seed which ready step runs next: of the stages' tasks, and of their threads and
    processes, which are simulated. No time is waited for. The same seed is the same
    run.

    After each run this is checked without being asked for: every item that a source made came
    out, was filtered, dropped by policy or dead-lettered, exactly once; no edge and no
    stage held more than it may; order was kept where it is promised; no task,
    thread or generator is left; nothing stood still for good or ran in circles; the run failed
    only if a fault was put in.

    Args:
        make: Builds the flow; called for each seed, so that seeds share nothing.
        params: Run parameters by name.
        check: Your own claim: called with what ``await flow.run(params)`` gives, of each run
            that came to its end; raises (``assert``), or returns false, where it does not hold.
        seeds: How many, from 0; or which.
        faults: What may go wrong; by default nothing but the order of events varies.
        most_turns: Turns of the loop after which a run is taken to go in circles, a livelock.

    Returns:
        A report. ``simulate(…).raise_for_failures()`` fails a test, and names a line that runs
        the failing seed again, with the steps that led there.

    Raises:
        TypeError: ``make`` does not build a flow, or ``check`` is an ``async def``; what else
            ``make`` raises comes out as well.
        ValueError: There is no seed to run; or, behind the runs of which none has failed: ``only=`` has a
            name that no stage has, or there was no place for any of the faults.
        RuntimeError: It is called on a running loop.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow, stage
        >>> from asyncdataflow.testing import simulate
        >>> async def numbers():
        ...     for n in range(5):
        ...         yield n
        >>> async def square(n):
        ...     await asyncio.sleep(1 / (n + 1))
        ...     return n * n
        >>> def make():
        ...     return DataFlow((numbers, stage(square, concurrency=3)))
        >>> def in_order(results):
        ...     assert results == [0, 1, 4, 9, 16]
        >>> report = simulate(make, check=in_order, seeds=20).raise_for_failures()
        >>> report.runs, report.passed
        (20, True)
    """
    faults = faults or Faults()
    story = running(make, params)
    call = f"simulate({called_with(make, params, check)}"
    told = f", faults={faults!r}" if faults != Faults() else ""
    told += f", most_turns={most_turns}" if most_turns != MOST_TURNS else ""
    findings = Findings(f"{call}{told})", faults)
    for seed in which(seeds):
        rerun = f"{call}, seeds=[{seed}]{told})"
        findings.add(
            f"seed {seed}",
            rerun,
            functools.partial(Simulation, seed, faults, most_turns=most_turns),
            story,
            check,
        )
        if findings.enough:
            break
    return findings.report()


def called_with(
    make: Callable[[], DataFlow[Any, Any]],
    params: Mapping[str, Any] | None,
    check: Callable[[Any], object] | None,
) -> str:
    """The arguments of a simulation, as code.

    Raises:
        TypeError: The check is an ``async def``, which would hold whatever comes.
    """
    if inspect.iscoroutinefunction(check):
        raise TypeError(f"check={callable_name(check)}: a plain function is needed, not an async def")
    given = f", {dict(params)!r}" if params else ""
    return callable_name(make) + given + (f", check={callable_name(check)}" if check else "")


def running(make: Callable[[], DataFlow[Any, Any]], params: Mapping[str, Any] | None) -> Story:
    """A story in which a flow is built and run to its end."""
    if not callable(make) or isinstance(make, DataFlow):
        raise TypeError(
            "a function is needed that builds the flow anew for each seed: simulate(lambda: DataFlow(…))"
        )

    async def story(simulation: Simulation) -> Any:
        try:
            run = _built(make).stream(params)
        except Exception as error:
            raise NothingToRun from error
        heard = False
        try:
            return await collected(run)
        except asyncio.CancelledError:
            heard = True
            raise
        finally:
            if simulation.left and not heard:
                simulation.ledger.report("C24", "the consumer was cancelled, and never heard of it")

    return story


class NothingToRun(Exception):  # noqa: N818 - among those who run seeds: no seed can change that
    """There is nothing to run; its cause says why, and is raised instead."""


def _built(make: Callable[[], DataFlow[Any, Any]]) -> DataFlow[Any, Any]:
    flow = make()
    if not isinstance(flow, DataFlow):
        raise TypeError(f"{callable_name(make)} returned {type(flow).__qualname__}, not a DataFlow")
    return flow


def which(seeds: int | Iterable[int]) -> Sequence[int]:
    """The seeds that are meant.

    Raises:
        TypeError: It is neither how many nor which.
        ValueError: There is none among them.
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        told: Sequence[int] = range(seeds)
    elif isinstance(seeds, Iterable) and not isinstance(seeds, str | bytes):
        told = tuple(seeds)
    else:
        raise TypeError(f"simulate(seeds={seeds!r}): how many seeds, or which: seeds=500, seeds=[17, 42]")
    if not told or not all(isinstance(each, int) for each in told):
        raise ValueError(
            f"simulate(seeds={seeds!r}): at least one seed is needed, a whole number, or nothing is tested"
        )
    return told


def claimed(
    check: Callable[[Any], object] | None, simulation: Simulation, outcome: Outcome
) -> BaseException | None:
    """What the user's own claim has to say to an outcome that broke no rule."""
    if check is None or outcome.error is not None or simulation.cut_short:
        return None
    try:
        verdict = check(outcome.value)
    except BaseException as error:
        # pytest.fail raises what is no Exception; its skip and exit are no verdict on a seed.
        if isinstance(error, _NO_VERDICTS) or type(error).__name__ in ("Exit", "Skipped"):
            raise
        told = error
    else:
        if verdict is not False:
            return None
        told = AssertionError(f"{callable_name(check)} returned False")
    told.add_note(f"the results were {shown(outcome.value)}")
    return told


@dataclass
class Findings:
    """What has been found so far.

    Args:
        call: What is simulated, as code.
        faults: What may go wrong.
    """

    call: str
    faults: Faults = Faults()  # noqa: RUF009 - frozen
    failures: list[Failure] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    stages: dict[str, None] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)
    runs: int = 0
    steps: int = 0
    seconds: float = 0.0

    @property
    def enough(self) -> bool:
        """There is nothing more to learn."""
        stuck = any(isinstance(each.error, StuckThreadError) for each in self.failures)
        return stuck or len(self.failures) >= _ENOUGH

    def add(
        self,
        where: str,
        rerun: str,
        simulation: Callable[..., Simulation],
        story: Story,
        check: Callable[[Any], object] | None,
    ) -> Outcome:
        """Run a simulation once; the first of which something does not hold once more, to tell how."""
        refuse_on_a_loop(
            "a simulation has a loop of its own: call it from a plain function, not from an async one"
        )
        simulated = simulation(traced=False)
        outcome = simulated.run(story)
        error = outcome.broken or claimed(check, simulated, outcome)
        self.runs += 1
        self.steps += outcome.steps
        self.seconds += outcome.seconds
        self.struck.update(outcome.struck)
        self.stages.update(dict.fromkeys(simulated.ledger.stages))
        self.places |= simulated.injector.places
        if isinstance(error, NothingToRun) and error.__cause__ is not None:
            raise error.__cause__
        self.ended[_ending(error, outcome, simulated)] += 1
        if error is not None:
            known = self.failures or isinstance(error, StuckThreadError)
            lines, note = ((), "") if known else _story_of(simulation, story, check)
            self.failures.append(Failure(where, error, rerun, lines, note))
        return outcome

    def report(self) -> Report:
        """All of it.

        Raises:
            ValueError: Nothing was found, and nothing was tested: no fault could have come.
        """
        if not self.failures:
            refuse_idle(self.faults, self.stages, self.places)
        call = f"{self.call}, given up" if self.enough else self.call
        return Report(
            call, self.runs, tuple(self.failures), self.ended, self.struck, self.steps, self.seconds
        )


def _story_of(
    simulation: Callable[..., Simulation], story: Story, check: Callable[[Any], object] | None
) -> tuple[tuple[str, ...], str]:
    """The steps of a simulation that failed, out of another run of it."""
    again = simulation(traced=True)
    outcome = again.run(story)
    failed = outcome.broken or claimed(check, again, outcome)
    return outcome.lines, "" if failed is not None else _NOT_GOVERNED


def _ending(error: BaseException | None, outcome: Outcome, simulation: Simulation) -> str:
    if error is not None:
        return "failed"
    if simulation.cut_short:
        return "cut short"
    return "completed" if outcome.error is None else "failed by a fault"
