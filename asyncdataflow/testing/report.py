"""What a simulation found, as it is told to people."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BrokenRuleError, SimulationError
from ..naming import describe_error

__all__ = ("Failure", "Report")

_LINES: Final = 60
"""Lines of what led to a failure that are printed; all are in ``Failure.trace``."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed, or a step of a sweep, of which something that has to hold did not.

    Attributes:
        where: Which: ``"seed 17"``.
        error: What was found: ``DeadlockError``, ``LivelockError``, ``BrokenRuleError``, what
            ``check`` raised, or what the run raised though no fault was put in.
        rerun: The line of code that runs it again.
        trace: The steps that led there, in words; of the first failure only.
        note: What else there is to know.
    """

    where: str
    error: BaseException
    rerun: str
    trace: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        """One line that reruns it, and the steps that led there."""
        lines = [f"{self.where} failed; run it again with {self.rerun}", _indented(_told(self.error))]
        lines += [_indented(note) for note in getattr(self.error, "__notes__", ())]
        return "\n".join([*lines, *([_indented(led)] if (led := self.led_there()) else [])])

    def led_there(self) -> str:
        """The steps that led there; the last ones, where they are many."""
        lines = [self.note] if self.note else []
        if self.trace:
            left_out = len(self.trace) - _LINES
            lines.append("what led there:")
            if left_out > 0:
                lines.append(f"  … {left_out} lines before")
            lines += [f"  {each}" for each in self.trace[-_LINES:]]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Report:
    """What a simulation found.

    Attributes:
        call: What was simulated, as code.
        runs: Seeds, or steps of a sweep, that were run.
        failures: What did not hold.
        ended: How often a run ended how: ``"completed"``, ``"cut short"``, ``"failed by a fault"``, as
            it has to then, or ``"failed"``.
        struck: How often each kind of fault came.
        steps: Steps that ran in all.
        seconds: Virtual seconds that passed in all.
    """

    call: str
    runs: int
    failures: tuple[Failure, ...]
    ended: Mapping[str, int]
    struck: Mapping[str, int]
    steps: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.failures

    def raise_for_failures(self) -> Report:
        """The report itself, where everything held.

        Raises:
            BrokenRuleError: Something did not; the message is the whole report, and its cause
                what the first failure found.
        """
        if self.failures:
            raise BrokenRuleError(str(self)) from self.failures[0].error
        return self

    def __str__(self) -> str:
        """A line, and one or more for each failure."""
        ended = ", ".join(f"{count} {how}" for how, count in Counter(self.ended).most_common())
        struck = ", ".join(f"{kind} {count}" for kind, count in sorted(self.struck.items())) or "none"
        head = (
            f"{self.call}: {self.runs} runs, {len(self.failures)} failed; {ended}; "
            f"{self.steps} steps, {self.seconds:g} virtual seconds; faults: {struck}"
        )
        return "\n".join([head, *map(str, self.failures)])


def _told(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a hostile __str__ must not hide that there is an error
        return describe_error(error)
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or isinstance(error, SimulationError):
        return told
    # A bare `assert` says nothing, and its line all.
    last = frames[-1]
    return f"{told}\n  in {last.name} ({Path(last.filename).name}:{last.lineno}): {last.line}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
