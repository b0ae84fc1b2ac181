"""``sweep``: one fault, at every step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from ..dataflow import DataFlow
from .report import Report
from .simulate import Findings, called_with, running
from .simulation import Simulation

__all__ = ("Way", "sweep")

Way = Literal["cancel", "raise"]


def sweep(
    make: Callable[[], DataFlow[Any, Any]],
    params: Mapping[str, Any] | None = None,
    *,
    check: Callable[[Any], object] | None = None,
    seed: int = 0,
    ways: Sequence[Way] = ("cancel", "raise"),
    steps: Iterable[int] | None = None,
) -> Report:
    """Run a flow once and count its steps; then, at every one of them, let something go wrong.

    It is exhaustive for one fault in one order of events: with ``"cancel"`` the consumer
    is cancelled at that step, with ``"raise"`` the first stage that is called, returns
    or goes on from then on raises. Checked is what ``simulate`` checks.

    Args:
        make: Builds the flow; called for each step.
        params: Run parameters by name.
        check: Your own claim about the results of a run that came to its end.
        seed: The order of events.
        ways: What goes wrong.
        steps: Which steps; all, where it is left out.

    Returns:
        A report, as ``simulate`` gives it: of the run in which nothing goes wrong, and of all the
        others, unless that one failed.

    Raises:
        TypeError: As ``simulate``.
        ValueError: There is no step, or no way of these names.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.testing import sweep
        >>> async def numbers():
        ...     for n in range(3):
        ...         yield n
        >>> async def save(n):
        ...     await asyncio.sleep(1)
        >>> sweep(lambda: DataFlow((numbers, save))).raise_for_failures().passed
        True
    """
    if isinstance(ways, str) or not set(ways) <= set(get_args(Way)) or not ways:
        raise ValueError(f"sweep(ways={ways!r}): some of {list(get_args(Way))} are needed")
    story = running(make, params)
    call = f"sweep({called_with(make, params, check)}"
    findings = Findings(f"{call}, seed={seed})")
    counted = findings.add(
        f"seed {seed}", f"{call}, seed={seed})", functools.partial(Simulation, seed), story, check
    )
    if findings.failures:
        return findings.report()
    chosen = tuple(range(1, counted.steps + 1) if steps is None else steps)
    if not chosen:
        raise ValueError(f"sweep(steps={steps!r}): at least one step is needed, or nothing is tested")
    for way in ways:
        for step in chosen:
            rerun = f"{call}, seed={seed}, ways=[{way!r}], steps=[{step}])"
            findings.add(f"{way} at step {step}", rerun, _cutting(seed, way, step), story, check)
            if findings.enough:
                return findings.report()
    return findings.report()


def _cutting(seed: int, way: Way, step: int) -> Callable[..., Simulation]:
    if way == "cancel":
        return functools.partial(Simulation, seed, cancel_at=step)
    return functools.partial(Simulation, seed, raise_from=step)
