"""All mutants."""

from __future__ import annotations

from . import chunks, edges, lives, stages, threads

__all__ = ("MUTANTS",)

MUTANTS = (*edges.MUTANTS, *stages.MUTANTS, *threads.MUTANTS, *chunks.MUTANTS, *lives.MUTANTS)
