"""Faults: what may go wrong in a simulated run, and how often."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

from ..errors import InjectedFault

__all__ = ("Faults",)

_NO_SHARES: Final = ("delay", "only", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What may go wrong, each as a share, from 0 to 1, of the places where it could.

    Whether it does is drawn from the seed, so a seed is a whole story: an order of steps
    and what went wrong in between.

    Attributes:
        slow: A stage takes up to ``delay`` seconds more, at any of its awaits, or at a call in
            a thread or process.
        raises: A stage raises ``error``: before its call, behind it, or at any of its awaits.
        cancelled: A stage finds itself cancelled at one of its awaits, by nobody.
        dies: A worker process dies, at any request, call or answer.
        refuses: A sink raises ``error`` in place of taking an item.
        late: A sink answers up to ``delay`` seconds late.
        ends_early: A source ends before its next item.
        reconnects: A source gives nothing for up to ``delay`` seconds, and then the last items
            again that it gave; one that is answered also all that are not, and what becomes of
            those that it gave before counts for nothing.
        redelivers: A source gives its last item again; one that is answered as another message,
            and hears what became of the first of the two to be settled. Neither comes to a
            source whose positions a sink keeps: there nothing comes again.
        drains: Of the runs: ``drain()`` is called at some step.
        stops: Of the runs: ``stop()`` is called at some step.
        leaves: Of the runs: the consumer is cancelled at some step.
        delay: Virtual seconds, the most that anything is slow or late.
        only: Names of the stages that meet them, as in the flow's graph, or in that of a flow that
            a stage runs; by default all do.
        error: Makes what is raised, out of words that say where; for stages that retry on
            errors of some kind only: ``Faults(raises=0.1, error=ConnectionError)``.

    Raises:
        ValueError: A share is not between 0 and 1, or the delay is not above 0.

    Example:
        >>> from asyncdataflow.testing import Faults
        >>> Faults(slow=0.2, refuses=0.05).slow
        0.2
    """

    slow: float = 0.0
    raises: float = 0.0
    cancelled: float = 0.0
    dies: float = 0.0
    refuses: float = 0.0
    late: float = 0.0
    ends_early: float = 0.0
    reconnects: float = 0.0
    redelivers: float = 0.0
    drains: float = 0.0
    stops: float = 0.0
    leaves: float = 0.0
    delay: float = 1.0
    only: tuple[str, ...] = ()
    error: Callable[[str], Exception] = InjectedFault

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in _NO_SHARES:
                continue
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"Faults({each.name}={value!r}): a share between 0 and 1 is needed")
        if not callable(self.error):
            raise ValueError(f"Faults(error={self.error!r}): an exception's class, or a function, is needed")
        if isinstance(self.only, str):
            raise ValueError(f"Faults(only={self.only!r}): a tuple of names is needed: only=({self.only!r},)")
        if not 0 < self.delay < math.inf:
            raise ValueError(f"Faults(delay={self.delay!r}): more than 0 virtual seconds are needed")

    @property
    def asked(self) -> tuple[str, ...]:
        """The kinds that may come: those with a share above 0."""
        return tuple(
            each.name for each in fields(self) if each.name not in _NO_SHARES and getattr(self, each.name)
        )

    @classmethod
    def every(cls, share: float = 0.02) -> Faults:
        """A little of everything that any stage, a sink or a process can meet.

        What changes what a source gives, and what cuts runs short, has to be asked for.

        Args:
            share: Of each of them.
        """
        return cls(slow=share, raises=share, cancelled=share / 4, dies=share / 4, refuses=share, late=share)

    def __repr__(self) -> str:
        """Only what is not as by default, so that it reads well in a line that reruns a seed."""
        told = [
            f"{each.name}={_said(getattr(self, each.name))}"
            for each in fields(self)
            if getattr(self, each.name) != each.default
        ]
        return f"Faults({', '.join(told)})"


def _said(value: object) -> str:
    return getattr(value, "__qualname__", None) or repr(value)
