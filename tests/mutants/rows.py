"""Mistakes in what workers of stages in a row do for each other."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "walk that goes on",
        "a worker that has waited inside one stage takes its item into the next, which others serve",
        "_runtime/walk.py",
        """\
        if self.baton.holder is not self:
            return False
""",
        "",
    ),
    Mutant(
        "nobody takes over",
        "who was to serve the first stage goes on waiting before its own",
        "_runtime/fused.py",
        "        walker.role.channel.dismiss()\n",
        "",
    ),
    Mutant(
        "everybody keeps the role",
        "a worker that waits inside another's stage serves its own behind that, and the other serves both",
        "_runtime/fused.py",
        "        walker.role, idle.role = idle.role, walker.role\n",
        "        idle.role = walker.role\n",
    ),
    Mutant(
        "two in one stage",
        "a walk goes into a stage whose worker is inside it",
        "_runtime/fused.py",
        "        if server is None or not server.waits or self.work.leaving.asked:\n",
        "        if server is None or self.work.leaving.asked:\n",
    ),
    Mutant(
        "past what lies there",
        "a walk overtakes the items in an edge whose receiver has not run yet",
        "_runtime/fused.py",
        "        return not self.channel.queue and loop is not None and not loop.suspends\n",
        "        return loop is not None and not loop.suspends\n",
    ),
    Mutant(
        "an item that has not come is counted",
        "the stages behind the one that suspends have begun what is still in there",
        "_runtime/walk.py",
        "        begun = taken - (place > at)\n",
        "        begun = taken\n",
    ),
    Mutant(
        "where it began",
        "who looks while an item waits finds it in the first stage, wherever it is",
        "_runtime/unrolled.py",
        "        return max(bisect_right(self._lines, line) - 1, 0)\n",
        "        return 0\n",
    ),
    Mutant(
        "where the walk is left",
        "an item that fails, fails in the last stage of the walk",
        "_runtime/walk.py",
        "            self._raised = None if trace is None else trace.tb_lineno\n",
        "",
    ),
    Mutant(
        "sorts that are known",
        "a walk that was disturbed goes on with results of the usual sort",
        "_runtime/walk.py",
        "        self._path.loop.stop()\n",
        "",
    ),
    Mutant(
        "no memory of a wait",
        "a stage that suspends each time is walked into each time",
        "_runtime/fused.py",
        "        return not self.channel.queue and loop is not None and not loop.suspends\n",
        "        return not self.channel.queue and loop is not None\n",
    ),
    Mutant(
        "nobody looks",
        "an item that suspends in one stage keeps the others from those behind it",
        "_runtime/baton.py",
        "            asyncio.get_running_loop().call_soon(self._look)\n",
        "            pass\n",
    ),
    Mutant(
        "where it served before",
        "who gave way while somebody walked into its stage waits at an edge that another serves by then",
        "_runtime/clock.py",
        """\
                shared.awake -= 1
            shared.drop()
""",
        """\
                shared.awake -= 1
""",
    ),
)
