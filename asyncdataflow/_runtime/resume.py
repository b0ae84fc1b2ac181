"""Resume: where a source is to go on, as the sink that keeps its positions says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any

from ..abc import Commits, Positions

__all__ = ("Resume", "committing")


class Resume:
    """Where a source is to go on, told by the sink that keeps its positions."""

    def __init__(self) -> None:
        self._told: asyncio.Future[Positions] = asyncio.get_running_loop().create_future()
        self._stored: dict[Hashable, Any] = {}

    def tell(self, positions: Positions) -> None:
        """The sink is open, and has these."""
        if not self._told.done():
            self._told.set_result(positions)

    def stored(self, positions: Positions) -> None:
        """The sink has these too, since it was opened."""
        self._stored.update(positions)

    async def wait(self) -> Positions:
        """What the sink has."""
        told = await asyncio.shield(self._told)
        return {**told, **self._stored} if self._stored else told


def committing(commits: Commits[Any], resumes: Mapping[str, Resume]) -> Callable[[Any], Awaitable[None]]:
    """What writes items with the positions of their sources, and lets those know that it has."""

    async def write(items_and_positions: tuple[Any, Mapping[str, Positions]]) -> None:
        items, positions = items_and_positions
        await commits.write(items, positions)
        for source, stored in positions.items():
            resumes[source].stored(stored)

    return write
