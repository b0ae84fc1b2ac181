"""A flow that takes items as a service: it listens on a socket until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from ..errors import ConnectorSetupError
from ..push.front import listening
from ..push.open_run import OpenRun
from ..serving.signals import CUT_SHORT, Signals, may_be_taken
from ..serving.systemd import Notifier
from .arguments import Prepared
from .failure import INTERRUPTED, Refused

__all__ = ("serve_calls",)

_logger: Final = logging.getLogger("asyncdataflow")


async def serve_calls(prepared: Prepared, socket: Path, drain_timeout: float, stop_timeout: float) -> int:
    """Answer calls until a signal: the first drains, the second stops, the third ends the program at once.

    Returns:
        The exit code: 0 when it was drained by SIGTERM or has ended by itself, 130 after Ctrl-C, 3 when it
        was stopped.
    """
    loop = asyncio.get_running_loop()
    with Notifier() as notifier:
        run = prepared.flow.open(prepared.params)
        calls = _Calls(run, notifier, drain_timeout, stop_timeout)
        with Signals(lambda number: _later(loop, calls, number), taken=may_be_taken()):
            async with AsyncExitStack() as opened:
                await opened.enter_async_context(run)
                try:
                    await opened.enter_async_context(listening(run, socket))
                except ConnectorSetupError as error:
                    raise Refused(str(error)) from None
                notifier.ready()
                _logger.info("%s: listening on %s", prepared.flow.name, socket)
                await run.wait()
    return calls.code


def _later(loop: asyncio.AbstractEventLoop, calls: _Calls, number: signal.Signals) -> None:
    """A signal has come, in the midst of anything."""
    loop.call_soon_threadsafe(calls.told, number)


class _Calls:
    """What signals do.

    Attributes:
        code: The exit code.
    """

    def __init__(
        self, run: OpenRun[Any], notifier: Notifier, drain_timeout: float, stop_timeout: float
    ) -> None:
        self.code = 0
        self._run = run
        self._notifier = notifier
        self._drain_timeout = drain_timeout
        self._stop_timeout = stop_timeout
        self._count = 0

    def told(self, number: signal.Signals) -> None:
        """A signal has come; once the run has ended it changes nothing."""
        if self._run.state not in ("running", "draining"):
            return
        self._count += 1
        if self._count == 1:
            self.code = 0 if number == signal.SIGTERM else INTERRUPTED
            _logger.info(
                "%s: draining, for at most %s s; once more stops it, a third time ends the program at once",
                number.name,
                self._drain_timeout,
            )
            self._notifier.stopping("draining")
            self._run.drain(self._drain_timeout)
        else:
            self.code = CUT_SHORT
            unsettled = self._run.under_way + self._run.waiting
            _logger.warning("%s: stopping; calls that are cut off: %s", number.name, unsettled)
            self._notifier.stopping("stopping")
            self._run.stop(self._stop_timeout)
