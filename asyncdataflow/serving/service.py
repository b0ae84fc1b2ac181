"""Service: one run that signals may end, and how it has ended."""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

from ..engine import LiveRun
from ..errors import ShutdownTimeoutError
from ..stats import RunStats
from .served import Reason, Served
from .systemd import Notifier

__all__ = ("Service",)

_SLACK: Final = 1.0
"""Seconds by which a run may end later than its deadline says."""

_logger = logging.getLogger("asyncdataflow")


class Service:
    """One run as a service.

    Args:
        name: The flow's name.
        run: The run, not started.
        notifier: Who is told how it goes.
        drain_timeout: As of ``serve``.
        stop_timeout: As of ``serve``.
    """

    def __init__(
        self, name: str, run: LiveRun[Any], notifier: Notifier, drain_timeout: float, stop_timeout: float
    ) -> None:
        self._name = name
        self._run = run
        self._notifier = notifier
        self._drain_timeout = drain_timeout
        self._stop_timeout = stop_timeout
        self._loop = asyncio.get_running_loop()
        self._reason: Reason = "ended"
        self._signal: signal.Signals | None = None
        self._unsettled: Mapping[str, int] = MappingProxyType({})
        self._bound = asyncio.timeout(None)

    def tell(self, number: signal.Signals) -> None:
        """A signal has come; called in the midst of anything."""
        self._loop.call_soon_threadsafe(self._told, number)

    async def live(
        self, on_result: Callable[[Any], Any] | None, on_start: Callable[[LiveRun[Any]], object] | None
    ) -> Served:
        """From the start to the end; what fails is raised."""
        async with self._run as run:
            if on_start is not None:
                on_start(run)
            # Beside the results: sources that are open give them while others are waited for.
            opening = self._loop.create_task(self._tell_when_open(), name=f"{self._name} opening")
            try:
                if on_result is None:
                    async for _ in run:
                        pass
                else:
                    await self._give(on_result)
                await opening
            finally:
                opening.cancel()
        return Served(self._reason, self._signal, run.stats(), self._unsettled)

    async def _tell_when_open(self) -> None:
        if await self._run.opened() and self._reason == "ended":
            self._notifier.ready()

    async def _give(self, on_result: Callable[[Any], Any]) -> None:
        """Each result to whom it is for, who has no longer than the run itself once that is to end."""
        try:
            async with self._bound:
                async for result in self._run:
                    made = on_result(result)
                    if inspect.isawaitable(made):
                        await made
                    del result, made
        except TimeoutError as error:
            if not self._bound.expired():
                raise
            told = f"{self._name}: on_result= did not come back before the deadline of the run"
            raise ShutdownTimeoutError(told) from error

    def _told(self, number: signal.Signals) -> None:
        if self._run.state == "running" and self._reason == "ended":
            self._drain(number)
        elif self._run.state in ("running", "draining"):
            self._stop(number)

    def _drain(self, number: signal.Signals) -> None:
        self._reason, self._signal = "drained", number
        _logger.info(
            "%s: %s: draining, for at most %s s; once more stops it, a third time ends the program at once",
            self._name,
            number.name,
            self._drain_timeout,
        )
        self._notifier.stopping("draining")
        self._run.drain(self._drain_timeout, self._stop_timeout)
        self._limit(self._drain_timeout + self._stop_timeout)

    def _stop(self, number: signal.Signals) -> None:
        self._reason, self._signal = "stopped", number
        self._unsettled = MappingProxyType(_unsettled(self._run.stats()))
        told = ", ".join(f"{items} in or before {stage}" for stage, items in self._unsettled.items())
        _logger.warning("%s: %s: stopping; unsettled: %s", self._name, number.name, told or "nothing")
        self._notifier.stopping("stopping")
        self._run.stop(self._stop_timeout)
        self._limit(self._stop_timeout)

    def _limit(self, seconds: float) -> None:
        """Of who takes the results; nobody may, or it has passed already."""
        with suppress(RuntimeError):
            self._bound.reschedule(self._loop.time() + seconds + _SLACK)


def _unsettled(stats: RunStats) -> dict[str, int]:
    under_way = {name: of.in_flight + of.queued for name, of in stats.stages.items()}
    return {name: items for name, items in under_way.items() if items}
