"""Mistakes in how items go to threads several at a time."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "chunk goes on behind its failure",
        "what is behind a failed item in its chunk begins before that item is dealt with",
        "_runtime/chunked.py",
        """\
        chunk.let_go()
        if stop is not None:
""",
        """\
        chunk.let_go()
        if lot.rest:
            self._post(call, lot)
        if stop is not None:
""",
    ),
    Mutant(
        "rest of a chunk lost",
        "what is behind a failed item in its chunk is never begun",
        "_runtime/chunked.py",
        "            lot.rest.extendleft(reversed(chunk.pending))\n        stop = chunk.stop\n",
        "            pass\n        stop = chunk.stop\n",
    ),
    Mutant(
        "claim never returned",
        "a slot that was claimed for an item that is skipped is kept for good",
        "_runtime/hands.py",
        "            self._outlet.unclaim(unneeded)\n",
        "            pass\n",
    ),
    Mutant(
        "more taken than there are slots",
        "a chunk is as long as its items are quick, whatever room there is behind",
        "_runtime/hands.py",
        "        return claims or 1\n",
        "        return wanted\n",
    ),
    Mutant(
        "claims of one's own",
        "an earlier item waits for a slot, although a later one keeps one for itself",
        "_runtime/hands.py",
        "        count = min(most, self.claims)\n",
        "        count = min(most, self.claims) if most > 1 else 0\n",
    ),
    Mutant(
        "slow item hides those that are done",
        "what a chunk has made is fetched at its end only",
        "_runtime/chunked.py",
        "        lot.start_clock(self._patience, functools.partial(self._is_late, lot, chunk))\n",
        "",
    ),
    Mutant(
        "chunks out of order",
        "what a thread has made leaves at once, before what was taken earlier",
        "_runtime/chunked.py",
        "        return self._order is None or lot.ticket is None or self._order.due(lot.ticket)\n",
        "        return True\n",
    ),
)
