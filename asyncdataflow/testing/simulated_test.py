"""One test function under many orders of events: what the marker ``simulate`` of the pytest plugin does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..collected import collected
from ..dataflow import DataFlow
from ..errors import SimulationError
from ..naming import nearest
from .faults import Faults
from .report import Report
from .simulate import Findings, which
from .simulated_loop import MOST_TURNS
from .simulation import Simulation, Story
from .virtual_clock import VirtualClock

__all__ = ("Marked", "NothingSimulated", "read_marker", "simulate_test")

_OPTIONS: Final = ("seeds", "faults", "most_turns")
_EXAMPLE: Final = "@pytest.mark.simulate(seeds=500, faults=Faults(slow=0.1))"
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Marked:
    """What a marker asks for.

    Attributes:
        seeds: How many, from 0; or which.
        faults: What may go wrong.
        most_turns: Turns of the loop after which a seed is taken to run in circles.
    """

    seeds: int | Sequence[int] = 500
    faults: Faults = Faults()  # noqa: RUF009 - frozen
    most_turns: int = MOST_TURNS

    def each(self, only: int | None, count: int | None) -> Iterable[int]:
        """The seeds to run, after what the command line says.

        Args:
            only: The one seed that is asked for there.
            count: How many are; a marker that says which ones keeps them.
        """
        if only is not None:
            return (only,)
        if isinstance(self.seeds, int):
            return range(self.seeds if count is None else count)
        return self.seeds


def read_marker(positional: Sequence[object], named: Mapping[str, object]) -> Marked:
    """What a marker's arguments ask for.

    Raises:
        TypeError: They are not what the marker takes.
        ValueError: There are no seeds among them.
    """
    if positional:
        raise TypeError(f"simulate takes its arguments by name: {_EXAMPLE}")
    for name in named:
        if name not in _OPTIONS:
            raise TypeError(
                f"simulate takes {'=, '.join(_OPTIONS)}=, and no {name!r}{nearest(name, _OPTIONS)}"
            )
    faults = named.get("faults")
    if faults is not None and not isinstance(faults, Faults):
        raise TypeError(f"simulate(faults={faults!r}): Faults(…) is needed, as in {_EXAMPLE}")
    most_turns = named.get("most_turns", MOST_TURNS)
    if not isinstance(most_turns, int) or most_turns < 1:
        raise TypeError(f"simulate(most_turns={most_turns!r}): a number of turns is needed")
    seeds: Any = named.get("seeds", 500)
    told = which(seeds)
    return Marked(seeds if isinstance(seeds, int) else told, faults or Faults(), most_turns)


def simulate_test(
    test: Callable[[], Any],
    marked: Marked,
    seeds: Iterable[int],
    *,
    rerun: str,
    verdicts: tuple[type[BaseException], ...] = (),
    clock: VirtualClock | None = None,
) -> None:
    """Run a test once for each seed.

    Args:
        test: The test, its fixtures bound: an ``async def``, or a function that returns a flow
            or something to await.
        marked: What its marker asks for.
        seeds: Which seeds.
        rerun: The command that runs the test again, without the seed.
        verdicts: Exceptions that say something of the test and not of a seed, such as that it is
            skipped: raised as they are.
        clock: Shows the time of the seed that runs.

    Raises:
        NothingSimulated: The test is no async def, and returns no flow.
        ValueError: No fault that the marker asks for could have come.
        BaseException: What the first seed that failed found, with a note that says which
            seed it is, how to run it again and what led there.
    """
    __tracebackhide__ = True
    findings = Findings(rerun, marked.faults)
    story = _story(test, clock)
    for seed in seeds:
        simulation = functools.partial(Simulation, seed, marked.faults, most_turns=marked.most_turns)
        findings.add(f"seed {seed}", f"{rerun} --simulate-seed={seed}", simulation, story, None)
        found = findings.failures[-1].error if findings.failures else None
        if isinstance(found, NothingSimulated):
            raise found.with_traceback(None)
        if isinstance(found, verdicts):
            raise found
        if findings.enough:
            break
    _raise_first(findings.report())


class NothingSimulated(TypeError):  # noqa: N818 - a verdict on the test, whatever the seed
    """The test gives nothing to simulate."""


def _story(test: Callable[[], Any], clock: VirtualClock | None) -> Story:
    async def story(simulation: Simulation) -> None:
        if clock is not None:
            clock.follow(simulation.loop)
        made = test()
        waited = inspect.isawaitable(made)
        if waited:
            made = await made
        if isinstance(made, DataFlow):
            await collected(made.stream())
        elif not waited:
            raise NothingSimulated(
                f"a simulated test is an async def, or returns the flow to run: this one returned "
                f"{type(made).__qualname__}; where a class or module is marked, mark the tests that are meant"
            )

    return story


def _raise_first(report: Report) -> None:
    __tracebackhide__ = True
    if report.passed:
        return
    first = report.failures[0]
    seeds = [each.where.removeprefix("seed ") for each in report.failures]
    named = ", ".join(seeds[:_MOST_NAMED]) + (", …" if len(seeds) > _MOST_NAMED else "")
    first.error.add_note(
        f"{len(seeds)} of the {report.runs} seeds that ran failed: {named}\n"
        f"{first.where} again: {first.rerun}\n{first.led_there()}"
    )
    # Where the simulation found it, nothing of the user's is on the stack.
    raise first.error.with_traceback(None) if isinstance(first.error, SimulationError) else first.error
