"""Mistakes in the loop that calls with lists."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "lists out of turn",
        "a list that is done leaves before an earlier one",
        "_runtime/batches.py",
        "        if order is not None:\n            await order.turn(ticket)\n        made.reverse()\n",
        "        made.reverse()\n",
    ),
    Mutant(
        "collected at once",
        "several workers collect at a time, and draw their tickets in another order than they have taken",
        "_runtime/batches.py",
        "        async with self._collecting:\n            items = await self._collect(inlet)\n",
        "        if inlet:\n            items = await self._collect(inlet)\n",
    ),
    Mutant(
        "the last list",
        "what was collected when the input ends is forgotten",
        "_runtime/batches.py",
        "        except (TimeoutError, EndOfChannel):\n",
        "        except TimeoutError:\n",
    ),
    Mutant(
        "left out, and not in its place",
        "the result of a bad item's neighbour goes on in its place",
        "_runtime/batches.py",
        "        self.made.append(item if self._work.supervisor.leaves_hole else NOTHING)\n",
        "",
    ),
)
