"""Operators: functions that make stages which no callable of one item can be.

One family per file: ``combine`` (fan-in), ``distribute`` (fan-out), ``select``,
``accumulate``, ``map_batches``, ``streamwise``. Each has the frozen description and the behaviour
side by side; ``protocol`` says what the runtime gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..stage import Stage
from .accumulate import batch, scan
from .combine import combine_latest, concat, merge, zip_
from .distribute import balance, partition, route, split
from .map_batches import map_batches
from .select import filter_, flatten, take, until
from .streamwise import through

__all__ = (
    "BARE",
    "balance",
    "batch",
    "combine_latest",
    "concat",
    "filter_",
    "flatten",
    "map_batches",
    "merge",
    "partition",
    "route",
    "scan",
    "split",
    "take",
    "through",
    "until",
    "zip_",
)

BARE: Final[dict[Callable[..., Stage[Any, Any]], Callable[[], Stage[Any, Any]]]] = {
    each: each for each in (merge, zip_, combine_latest, concat, split, balance, flatten)
}
"""The operators that may stand in a definition without being called."""
