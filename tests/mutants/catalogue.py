"""All mutants."""

from __future__ import annotations

from . import acks, batches, calls, chunks, crews, edges, lives, rows, stages, stretches, threads, times

__all__ = ("MUTANTS",)

MUTANTS = (
    *edges.MUTANTS,
    *stages.MUTANTS,
    *stretches.MUTANTS,
    *crews.MUTANTS,
    *rows.MUTANTS,
    *threads.MUTANTS,
    *chunks.MUTANTS,
    *batches.MUTANTS,
    *calls.MUTANTS,
    *lives.MUTANTS,
    *acks.MUTANTS,
    *times.MUTANTS,
)
