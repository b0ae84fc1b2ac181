"""Parts: what a run is put together from.

A loop that simulates brings its own, as the attribute ``dataflow_parts``: whoever runs a
flow on it, directly or deep inside a stage, needs to know nothing of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .._threads.workshop import Workshop
from .channel import Channel
from .worker import Work

__all__ = ("Parts", "parts_of")


def _unwatched(execution: Any) -> None:
    """Nobody looks."""


class Parts(NamedTuple):
    """What makes the parts of a run.

    Attributes:
        workshop: Threads and processes.
        channel: Makes a channel; called like ``Channel``.
        work: Makes what works on a stage; called like ``Work``.
        begun: Called with each execution that begins; what it returns is of no interest.
    """

    workshop: Workshop = Workshop()
    channel: Callable[..., Channel[Any]] = Channel
    work: Callable[..., Work] = Work
    begun: Callable[[Any], object] = _unwatched


_REAL: Final = Parts()
"""Nothing in it has a state."""


def parts_of(loop: asyncio.AbstractEventLoop) -> Parts:
    """What runs on this loop are made from."""
    parts = getattr(loop, "dataflow_parts", None)
    return parts if isinstance(parts, Parts) else _REAL
