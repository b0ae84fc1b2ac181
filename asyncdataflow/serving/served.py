"""Served: how a service came to its end."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from ..stats import RunStats

__all__ = ("Reason", "Served")

Reason = Literal["ended", "drained", "stopped"]

_CODES: Final = {"ended": 0, "drained": 0, "stopped": 3}
_DRAINED_BY_CTRL_C: Final = 128 + signal.SIGINT


@dataclass(frozen=True, slots=True)
class Served:
    """What ``flow.serve()`` returns. What failed is not in here: it is raised.

    Attributes:
        reason: ``"ended"``, the sources had no more; ``"drained"``, a first signal stopped them and all
            that was taken is settled; ``"stopped"``, a second signal cut that short.
        signal: The last signal that came, ``None`` without one.
        stats: The run's figures at its end.
        unsettled: Of a service that was stopped, items that were under way or waited just before, by
            stage. Items of a source that is answered come again.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> served = asyncio.run(DataFlow((range(3), print)).serve())
        0
        1
        2
        >>> served.reason, served.exit_code
        ('ended', 0)
    """

    reason: Reason
    signal: signal.Signals | None
    stats: RunStats
    unsettled: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def exit_code(self) -> int:
        """With which a command ends: 0, 130 where it was drained by Ctrl-C, or 3 where it was cut short."""
        if self.reason == "drained" and self.signal is signal.SIGINT:
            return _DRAINED_BY_CTRL_C
        return _CODES[self.reason]
