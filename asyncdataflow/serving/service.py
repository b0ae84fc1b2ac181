"""Service: one run that signals may end, and how it has ended."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from ..engine import LiveRun
from ..errors import ShutdownTimeoutError
from .ending import Ending
from .served import Served
from .systemd import Notifier

__all__ = ("Service",)

_SLACK: Final = 1.0
"""Seconds by which a run may end later than its deadline says."""


class Service(Ending):
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
        super().__init__(name, run, notifier, drain_timeout, stop_timeout)
        self._live = run
        self._bound = asyncio.timeout(None)

    async def live(
        self, on_result: Callable[[Any], Any] | None, on_start: Callable[[LiveRun[Any]], object] | None
    ) -> Served:
        """From the start to the end; what fails is raised."""
        async with self._live as run:
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
        return self.served()

    async def _tell_when_open(self) -> None:
        if await self._live.opened() and self.reason == "ended":
            self._notifier.ready()

    async def _give(self, on_result: Callable[[Any], Any]) -> None:
        """Each result to whom it is for, who has no longer than the run itself once that is to end."""
        try:
            async with self._bound:
                async for result in self._live:
                    made = on_result(result)
                    if inspect.isawaitable(made):
                        await made
                    del result, made
        except TimeoutError as error:
            if not self._bound.expired():
                raise
            told = f"{self._name}: on_result= did not come back before the deadline of the run"
            raise ShutdownTimeoutError(told) from error

    def drain(self, number: signal.Signals) -> None:
        """As in ``Ending``."""
        super().drain(number)
        self._limit(self._drain_timeout + self._stop_timeout)

    def stop(self, number: signal.Signals) -> None:
        """As in ``Ending``."""
        super().stop(number)
        self._limit(self._stop_timeout)

    def _limit(self, seconds: float) -> None:
        """Of who takes the results; nobody may, or it has passed already."""
        with suppress(RuntimeError):
            self._bound.reschedule(self._loop.time() + seconds + _SLACK)
