"""Ending: what the first two signals do to a run."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from ..stats import RunState, RunStats
from .served import Reason, Served
from .systemd import Notifier

__all__ = ("Ending",)

_logger = logging.getLogger("asyncdataflow")


class _Running(Protocol):
    """A run, as far as it can be ended."""

    @property
    def state(self) -> RunState:
        """Where it is in its life."""

    def drain(self, timeout: float = ..., grace: float = ...) -> None:
        """As of ``Run``."""

    def stop(self, timeout: float = ...) -> None:
        """As of ``Run``."""

    def stats(self) -> RunStats:
        """As of ``Run``."""


class Ending:
    """Drains a run at the first signal and stops it at the second, and says so.

    Args:
        name: The flow's name.
        run: The run.
        notifier: Who is told how it goes.
        drain_timeout: As of ``serve``.
        stop_timeout: As of ``serve``.
        waiting: How many calls wait for their turn, where there are any.

    Attributes:
        reason: How it ends, as far as is known.
    """

    def __init__(
        self,
        name: str,
        run: _Running,
        notifier: Notifier,
        drain_timeout: float,
        stop_timeout: float,
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        self.reason: Reason = "ended"
        self._name = name
        self._run = run
        self._notifier = notifier
        self._drain_timeout = drain_timeout
        self._stop_timeout = stop_timeout
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._signal: signal.Signals | None = None
        self._unsettled: Mapping[str, int] = MappingProxyType({})

    def tell(self, number: signal.Signals) -> None:
        """A signal has come; called in the midst of anything."""
        self._loop.call_soon_threadsafe(self.told, number)

    def told(self, number: signal.Signals) -> None:
        """A signal has come; once the run has ended it changes nothing."""
        if self._run.state == "running" and self.reason == "ended":
            self.drain(number)
        elif self._run.state in ("running", "draining"):
            self.stop(number)

    def served(self) -> Served:
        """How it has ended."""
        return Served(self.reason, self._signal, self._run.stats(), self._unsettled)

    def drain(self, number: signal.Signals) -> None:
        """The first one."""
        self.reason, self._signal = "drained", number
        _logger.info(
            "%s: %s: draining, for at most %s s; once more stops it, a third time ends the program at once",
            self._name,
            number.name,
            self._drain_timeout,
        )
        self._notifier.stopping("draining")
        self._run.drain(self._drain_timeout, self._stop_timeout)

    def stop(self, number: signal.Signals) -> None:
        """The second one."""
        self.reason, self._signal = "stopped", number
        self._unsettled = self._run.stats().unsettled
        told = [f"{items} in or before {stage}" for stage, items in self._unsettled.items()]
        told += [f"{waiting} calls that wait"] if (waiting := self._waiting()) else []
        _logger.warning(
            "%s: %s: stopping; unsettled: %s", self._name, number.name, ", ".join(told) or "nothing"
        )
        self._notifier.stopping("stopping")
        self._run.stop(self._stop_timeout)
