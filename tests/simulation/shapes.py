"""All shapes, by name."""

from __future__ import annotations

from . import batches, calls, chunks, crews, endings, fan_in, fan_out, policies, restarts, rows, workers
from .shape import Shape

__all__ = ("SHAPES",)

_FAMILIES = (fan_in, fan_out, rows, workers, crews, chunks, batches, calls, policies, endings, restarts)

SHAPES: dict[str, Shape] = {each.name: each for family in _FAMILIES for each in family.SHAPES}
