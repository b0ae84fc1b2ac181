"""All mutants."""

from __future__ import annotations

from . import chunks, edges, lives, stages, stretches, threads

__all__ = ("MUTANTS",)

MUTANTS = (
    *edges.MUTANTS,
    *stages.MUTANTS,
    *stretches.MUTANTS,
    *threads.MUTANTS,
    *chunks.MUTANTS,
    *lives.MUTANTS,
)
