"""Resume: where a source is to go on, as the sink that keeps its positions says."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

from ..abc import Positions

__all__ = ("Resume",)


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
