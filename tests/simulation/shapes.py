"""All shapes, by name."""

from __future__ import annotations

from . import endings, fan_in, fan_out, policies, workers
from .shape import Shape

__all__ = ("SHAPES",)

SHAPES: dict[str, Shape] = {
    each.name: each for family in (fan_in, fan_out, workers, policies, endings) for each in family.SHAPES
}
