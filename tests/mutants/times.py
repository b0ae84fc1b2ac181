"""Mistakes in what is told of time: marks on their way, and how long items and waits took."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "mark ahead of its item",
        "a mark leaves a stage before what had been taken is settled",
        "_runtime/marks.py",
        "        if self._done() < self._until:\n            return None\n",
        "",
    ),
    Mutant(
        "mark before what lies there",
        "a mark is set at the first item of an edge, and not behind the last",
        "_runtime/marks.py",
        "        edge.marked = self._put_in[edge] = edge.put_in\n",
        "        self._put_in[edge] = edge.put_in\n        edge.marked = edge.taken\n",
    ),
    Mutant(
        "mark that an operator does not hold",
        "a mark passes a stage that holds its items back",
        "_runtime/marks.py",
        "            self._until = self._done() + 1 if self._holds else",
        "            self._until = self._done() if self._holds else",
    ),
    Mutant(
        "mark of one branch",
        "behind a broadcast only the first branch is followed",
        "_runtime/marks.py",
        "            left += [each for each in ways if self._set(each, mark)]\n",
        "            left += [each for each in ways[:1] if self._set(each, mark)]\n",
    ),
    Mutant(
        "mark that is told of at every stage",
        "the time up to any stage counts as the time to the end",
        "_runtime/marks.py",
        "            if not ways and (station is None or station.is_last):\n",
        "            if True:\n",
    ),
    Mutant(
        "mark that is never due",
        "a source sets no mark but its first",
        "_runtime/marks.py",
        '        """Set one."""\n        self.next = now + _MARK_SECONDS\n',
        '        """Set one."""\n        self.next = now + 1e9\n',
    ),
    Mutant(
        "item timed from the first",
        "what is done by turns is timed from where the first item of the turn was begun",
        "_runtime/crew.py",
        "            began = now\n            if not suspends:\n",
        "            if not suspends:\n",
    ),
    Mutant(
        "item in line not timed",
        "an item of a crew that finds no room is not timed",
        "_runtime/crew.py",
        "        self._meter.recorder.add(self._meter.clock() - self.began)\n",
        "",
    ),
    Mutant(
        "wait in line that is work",
        "a worker of a crew that waits for room counts as busy",
        "_runtime/crew.py",
        "            with self._meter.blocked:\n                wanted = await waiter\n",
        "            wanted = await waiter\n",
    ),
    Mutant(
        "wait in order that is work",
        "the wait for room of results in order is taken for the next item's time",
        "_runtime/ordered.py",
        "                    await self._send_due()\n                    now = clock()\n",
        "                    await self._send_due()\n",
    ),
    Mutant(
        "wait that lasts not seen",
        "a wait counts when it is over, and not before",
        "_runtime/meter.py",
        "        return self.sum + self.workers * now\n",
        "        return max(self.sum, 0.0)\n",
    ),
    Mutant(
        "one worker that waits twice",
        "a worker that waits in two places at once waits twice as long",
        "_runtime/meter.py",
        "        if self._places == 1:\n            super().__enter__()\n",
        "        super().__enter__()\n",
    ),
    Mutant(
        "wait to collect that is work",
        "who waits for its turn to collect a list counts as busy",
        "_runtime/batches.py",
        "        with self._meter.waiting:\n",
        "        if True:\n",
    ),
)
