"""A flow that takes items as a service: it listens on a socket until it is told to end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from ..errors import ConnectorSetupError
from ..push.front import listening
from ..serving.ending import Ending
from ..serving.signals import Signals, may_be_taken
from ..serving.systemd import Notifier
from .arguments import Prepared
from .failure import Refused

__all__ = ("serve_calls",)

_logger: Final = logging.getLogger("asyncdataflow")


async def serve_calls(
    prepared: Prepared,
    socket: Path,
    drain_timeout: float,
    stop_timeout: float,
    *,
    on_start: Callable[[], object] = lambda: None,
) -> int:
    """Answer calls until a signal: the first drains, the second stops, the third ends the program at once.

    Args:
        prepared: The flow.
        socket: Where it listens.
        drain_timeout: As of ``serve``.
        stop_timeout: As of ``serve``.
        on_start: Called when the run has begun, and signals are for it.

    Returns:
        The exit code: 0 when it was drained by SIGTERM or has ended by itself, 130 after Ctrl-C, 3 when it
        was stopped.
    """
    name = prepared.flow.name
    with Notifier() as notifier:
        run = prepared.flow.open(prepared.params)
        ending = Ending(name, run, notifier, drain_timeout, stop_timeout, lambda: run.waiting)
        with Signals(ending.tell, taken=may_be_taken()):
            async with AsyncExitStack() as opened:
                await opened.enter_async_context(run)
                on_start()
                try:
                    await opened.enter_async_context(listening(run, socket))
                except ConnectorSetupError as error:
                    raise Refused(str(error)) from None
                if run.state == "running" and ending.reason == "ended":
                    notifier.ready()
                    _logger.info("%s: listening on %s", name, socket)
                await run.wait()
    return ending.served().exit_code
