"""A simulated loop that draws nothing: what is ready first runs first."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TypeVarTuple

from .simulated_loop import SimulatedLoop

__all__ = ("OrderlyLoop",)

Ts = TypeVarTuple("Ts")


class OrderlyLoop(SimulatedLoop):
    """Virtual time and simulated threads and processes, in asyncio's own order: first in, first out."""

    def __init__(self) -> None:
        super().__init__(0, most_turns=None)

    def offer(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Put a step behind those that are ready."""
        if self.get_debug():
            # The step may be offered in a simulated thread, while this one stands still.
            return self.call_soon_threadsafe(callback, *args, context=context)
        return asyncio.SelectorEventLoop.call_soon(self, callback, *args, context=context)
