"""All shapes, by name."""

from __future__ import annotations

from . import chunks, endings, fan_in, fan_out, policies, workers
from .shape import Shape

__all__ = ("SHAPES",)

SHAPES: dict[str, Shape] = {
    each.name: each
    for family in (fan_in, fan_out, workers, chunks, policies, endings)
    for each in family.SHAPES
}
