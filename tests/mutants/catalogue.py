"""All mutants."""

from __future__ import annotations

from . import edges, lives, stages, threads

__all__ = ("MUTANTS",)

MUTANTS = (*edges.MUTANTS, *stages.MUTANTS, *threads.MUTANTS, *lives.MUTANTS)
