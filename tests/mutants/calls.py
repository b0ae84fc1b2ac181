"""Mistakes in runs that are given items one by one."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "a row with a hole",
        "a row that lacks an item goes on all the same",
        "_runtime/tracked_operator.py",
        "HOLE if self._rows and any(each.item is HOLE for each in taken) else item",
        "item",
    ),
    Mutant(
        "no hole",
        "what fails before a zip leaves no hole, so that its row is mixed up with the next one",
        "_runtime/making.py",
        "return item if self.supervisor.leaves_hole else NOTHING",
        "return NOTHING",
    ),
    Mutant(
        "an error not told",
        "a call whose item has failed returns as if nothing had come of it",
        "push/inbox.py",
        "            call.done.set_exception(error)\n",
        "            call.done.set_result(None)\n",
    ),
)
