"""Channels made anew, in one schedule after the other."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..seeded_loop import SeededLoop
from .play import AnyChannel
from .trial import MOST_TURNS, end, on_loop

__all__ = ("Channels", "Scenario")

Scenario = Callable[["Channels", int], Awaitable[str | None]]
"""Under one seed: what it saw of a broken rule."""


@dataclass(frozen=True, slots=True)
class Channels:
    """What is tried.

    Attributes:
        make: Makes a channel with room for so many items.
        seeds: How many schedules.
    """

    make: Callable[[int], AnyChannel]
    seeds: int

    def each_seed(self, scenario: Scenario) -> str | None:
        """What is seen first, and under which seed."""
        for seed in range(self.seeds):
            seen = self.run(seed, functools.partial(scenario, self, seed))
            if seen:
                return f"seed {seed}: {seen}"
        return None

    def run(self, seed: int, scenario: Callable[[], Awaitable[str | None]]) -> str | None:
        """Under one seed."""

        async def main() -> str | None:
            return await scenario()

        return on_loop(lambda: SeededLoop(seed, most_turns=MOST_TURNS), main())

    @asynccontextmanager
    async def open(self, capacity: int) -> AsyncIterator[AnyChannel]:
        """A new channel, whose users have ended when it is closed."""
        before = asyncio.all_tasks()
        channel = self.make(capacity)
        try:
            yield channel
        finally:
            await end(asyncio.all_tasks() - before)
            close = getattr(channel, "aclose", None)
            if close is not None:
                await close()
