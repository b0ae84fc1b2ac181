"""Mistakes in what the workers of a stage do together: who leads, and what they do by turns."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "leader that attends in its call",
        "a leader that is disturbed in its call is still taken for one that will look again",
        "_runtime/crew.py",
        """\
        \"\"\"Others run while it has an item in hand: they have to attend to what lies there.\"\"\"
        self._channel.leave(self)
""",
        """\
        \"\"\"Others run while it has an item in hand: they have to attend to what lies there.\"\"\"
""",
    ),
    Mutant(
        "leader that attends in its sleep",
        "a worker that sleeps, or has ended, is still taken for one that will look again",
        "_runtime/edge.py",
        """\
            self._attendant = None
            if self._getters:
""",
        """\
            if self._getters:
""",
    ),
    Mutant(
        "by turns without room",
        "workers that go on by turns put more behind them than fits there",
        "_runtime/crew.py",
        "            if error is None and result is not none and len(behind) < relay.full_at:\n",
        "            if error is None and result is not none:\n",
    ),
    Mutant(
        "in order without room",
        "of results in order more are put at once than fit there",
        "_runtime/ordered.py",
        "        order.let_leave(self.lay, relay.full_at - len(relay.behind), self.none)\n",
        "        order.let_leave(self.lay, 1000, self.none)\n",
    ),
    Mutant(
        "no result that leaves",
        "what is no result is put like one where it has waited for an earlier one",
        "_runtime/order.py",
        "            if result is none or result is NOTHING:\n",
        "            if result is NOTHING:\n",
    ),
    Mutant(
        "nobody told of the first by turns",
        "who waits for a result is left asleep while workers go on by turns",
        "_runtime/crew.py",
        """\
                if relay.untold_behind:
                    relay.wake_receivers()
""",
        "",
    ),
    Mutant(
        "key that is another's",
        "a stretch by key goes on with an item whose key another worker has",
        "_runtime/by_key.py",
        "                if key in taken or baton.holder is not stretch:\n",
        "                if baton.holder is not stretch:\n",
    ),
    Mutant(
        "started before those who wait",
        "a further worker is started for an item although one sleeps that could have it",
        "_runtime/edge.py",
        "            self._getters.appendleft(waiter)",
        "            self._getters.append(waiter)",
    ),
    Mutant(
        "started beside the first",
        "a second worker is started before the first has looked",
        "_runtime/edge.py",
        "        self._reserve = self._attendant = reserve\n",
        "        self._reserve = reserve\n",
    ),
    Mutant(
        "never takes what is promised",
        "a worker that is started leaves the item for it promised",
        "_runtime/reserve.py",
        "        self._channel.accept()\n",
        "",
    ),
    Mutant(
        "reserve that does not wait",
        "the time before a worker starts counts as work",
        "_runtime/worker.py",
        "            self.meter.waiting.begin(self._in_reserve, now)\n",
        "            self.meter.waiting.begin(0, now)\n",
    ),
)
