"""Rules, and how a kit reports those that are broken: all of them, each with what was seen."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import BrokenRuleError
from ...naming import describe_error
from ..isolation import refuse_on_a_loop

__all__ = ("Rule", "judge")


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that has to hold.

    Attributes:
        number: ``"RS 1.7"`` of the Reactive Streams specification 1.0.4, or a letter and a
            number of this project's own; the package's docstring says what the letters mean.
        sentence: What has to hold.
    """

    number: str
    sentence: str


def judge(part: str, checks: Iterable[tuple[Rule, Callable[[], str | None]]]) -> tuple[Rule, ...]:
    """Try every rule, also behind one that is broken.

    Args:
        part: What is tried, as the report calls it.
        checks: Each rule with a function that returns what it saw of its being broken, or
            ``None``. An exception out of it breaks the rule as well.

    Returns:
        The rules, all of which hold.

    Raises:
        BrokenRuleError: Some do not; the message has the number and the sentence of each, and
            what was seen.
        RuntimeError: A loop is running here.

    Example:
        >>> from asyncdataflow.testing.conformance.rules import Rule, judge
        >>> judge("the sum", [(Rule("B1", "Nothing is left over."), lambda: "3 were left")])
        Traceback (most recent call last):
        asyncdataflow.errors.BrokenRuleError: the sum breaks 1 of 1 rules:
          B1: Nothing is left over.
            seen: 3 were left
    """
    refuse_on_a_loop(
        f"{part} is tried on loops of its own, and one is running here; "
        "call the kit from a plain function: def test_…(), not async def test_…()"
    )
    broken, tried = [], []
    for rule, check in checks:
        tried.append(rule)
        seen = _seen(check)
        if seen is not None:
            broken.append(f"  {rule.number}: {rule.sentence}\n    seen: {seen}")
    if broken:
        raise BrokenRuleError(f"{part} breaks {len(broken)} of {len(tried)} rules:\n" + "\n".join(broken))
    return tuple(tried)


def _seen(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - told in the report
        return f"it raised {describe_error(error)}{_where(error)}"


def _where(error: BaseException) -> str:
    """The line that raised it, which is in the part more often than in the kit."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
