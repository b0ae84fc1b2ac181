"""``flow.serve()``: runs a flow until it ends or is told to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ..engine import Engine, LiveRun, Plan
from ..given import check_engine
from ..local import LocalEngine
from ..policy import Restart
from .restarting import restarting
from .served import Served
from .service import Service
from .signals import Signals, may_be_taken
from .systemd import Notifier

__all__ = ("serve",)

_RESTART: Final = Restart()


class _Planned(Protocol):
    """What is needed of a ``DataFlow``, which stands a floor above."""

    def _planned(self, params: Mapping[str, Any] | None, items: Any, buffer: int) -> Plan:
        """What an engine gets, checked."""


async def serve(
    flow: _Planned,
    params: Mapping[str, Any] | None = None,
    *,
    engine: Engine | None = None,
    drain_timeout: float = 30.0,
    stop_timeout: float = 5.0,
    restart: Restart | None = _RESTART,
    on_result: Callable[[Any], Any] | None = None,
    on_start: Callable[[LiveRun[Any]], object] | None = None,
    signals: bool = True,
) -> Served:
    """Run as a service, until the sources have no more, a signal comes, or something fails for good.

    The first SIGTERM or Ctrl-C drains: sources stop, and everything in flight settles. The second
    stops: workers are cancelled. The third ends the program at once, with the stack of every thread on
    stderr. Handlers are set while this runs, in the main thread, and not in a notebook, whose kernel has
    its own; elsewhere cancel it, or call the run's ``drain()``. Under systemd it is told when all
    resources, sources and sinks are open and when the service stops, and its watchdog is served.

    Args:
        flow: What runs; a method of every ``DataFlow``.
        params: Run parameters by name.
        engine: Where the workers live; ``None`` is this machine.
        drain_timeout: Seconds that a drain may take; then what is unsettled is counted and stopped.
        stop_timeout: Seconds that workers have to end once they are cancelled.
        restart: How sources that are answered are opened anew when they fail, where ``stage(…, restart=)``
            says nothing else; ``None``: they are not.
        on_result: Called with each result of the last step, and awaited where it returns an awaitable;
            without it they are dropped.
        on_start: Called with the run when it begins, before anything is open: to keep it.
        signals: Take SIGTERM and SIGINT over, where they can be.

    Returns:
        How it ended; ``exit_code`` is what a command should end with.

    Raises:
        ParameterError: A parameter is missing, or used by nobody.
        ValueError: A time is below 0.
        ShutdownTimeoutError: A deadline has passed; the message counts and names what was left.
        BaseException: What failed first in any stage, as it was raised.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> async def main():
        ...     served = await DataFlow((range(3), lambda n: n * n)).serve(on_result=print)
        ...     return served.reason
        >>> asyncio.run(main())
        0
        1
        4
        'ended'
    """
    for name, seconds in (("drain_timeout", drain_timeout), ("stop_timeout", stop_timeout)):
        if not seconds >= 0:
            raise ValueError(f"serve({name}=): at least 0 seconds is needed, not {seconds!r}")
    check_engine(engine)
    plan = flow._planned(params, None, 128)
    plan = dataclasses.replace(plan, graph=restarting(plan.graph, restart))
    run = (engine or LocalEngine()).begin(plan)
    with Notifier() as notifier:
        service = Service(plan.name, run, notifier, drain_timeout, stop_timeout)
        with Signals(service.tell, taken=signals and may_be_taken()):
            return await service.live(on_result, on_start)
