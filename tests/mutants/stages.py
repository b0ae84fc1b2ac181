"""Mistakes in what works on a stage: order, keys, retries, outcomes, and what is closed."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "order buffer that grows",
        "results that wait for an earlier one are parked without a bound",
        "_runtime/order.py",
        "        if ticket != self.left and len(self._parked) >= self._places:\n",
        "        if ticket != self.left and len(self._parked) >= 1000 * self._places:\n",
    ),
    Mutant(
        "result lost in the order",
        "a result that is finished before an earlier one is dropped",
        "_runtime/order.py",
        "        self._parked[ticket] = result\n",
        "        if ticket == self.left:\n            self._parked[ticket] = result\n",
    ),
    Mutant(
        "retry that reorders",
        "an item takes its place in the order only when it is done, behind those that needed no retry",
        "_runtime/worker.py",
        """\
        ticket = self._order.draw()
        await self._order.finish(ticket, await self._made(call, item))
""",
        """\
        made = await self._made(call, item)
        await self._order.finish(self._order.draw(), made)
""",
    ),
    Mutant(
        "two workers on one key",
        "a key that is being worked on is no obstacle",
        "_runtime/worker.py",
        "            key = self._key(item)\n",
        "            key = (self._keyed, item)\n",
    ),
    Mutant(
        "filtered is not counted",
        "an item that is filtered out has no outcome",
        "_runtime/making.py",
        "                self.counters.filtered += 1\n",
        "                pass\n",
    ),
    Mutant(
        "swallowed cancel of a worker",
        "a worker takes its cancellation for an error of its stage, and tries again",
        "_runtime/leaving.py",
        "        if task in self._ordered or (self.runner",
        "        if (self.runner",
    ),
    Mutant(
        "dead letter not sent",
        "a dead letter is counted and written nowhere",
        "_runtime/supervise.py",
        """\
            await self._dead_letters.send(self._letter(error, item, attempt))
            self._counters.dead_lettered += 1
""",
        """\
            self._counters.dead_lettered += 1
""",
    ),
    Mutant(
        "skip without an outcome",
        "a skipped item is not counted",
        "_runtime/supervise.py",
        "            self._counters.skipped += 1\n",
        "            pass\n",
    ),
    Mutant(
        "generator not closed",
        "what a stage or source iterates over is left open when nobody wants more",
        "operators/streamwise.py",
        "            await close()\n",
        "            pass\n",
    ),
    Mutant(
        "clean-up not awaited",
        "the clean-up of a generator goes on beside the run, which does not wait for it",
        "operators/streamwise.py",
        "            await close()\n",
        "            __import__('asyncio').ensure_future(close())\n",
    ),
    Mutant(
        "zip that leaks its pulls",
        "a zip that has ended leaves the pulls of its other branches behind",
        "operators/combine.py",
        """\
        for pull in pulls:
            pull.cancel()
        await asyncio.gather(*pulls, return_exceptions=True)
""",
        """\
        pass
""",
    ),
    Mutant(
        "uneven zip ends quietly",
        "a branch that is longer than the others is cut off without a word",
        "operators/combine.py",
        "                if row:\n",
        "                if not ended:\n",
    ),
    Mutant(
        "dropped last batch",
        "the last batch, which is not full, is not sent",
        "operators/accumulate.py",
        "            if lot:\n",
        "            if lot and not ended:\n",
    ),
)
