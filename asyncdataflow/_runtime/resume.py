"""Resume: where a source is to go on, as the sink that keeps its positions says."""

from __future__ import annotations

import asyncio

from ..abc import Positions

__all__ = ("Resume",)


class Resume:
    """Where a source is to go on, told by the sink that keeps its positions."""

    def __init__(self) -> None:
        self._told: asyncio.Future[Positions] = asyncio.get_running_loop().create_future()

    def tell(self, positions: Positions) -> None:
        """The sink is open, and has these."""
        if not self._told.done():
            self._told.set_result(positions)

    async def wait(self) -> Positions:
        """What the sink has."""
        return await asyncio.shield(self._told)
