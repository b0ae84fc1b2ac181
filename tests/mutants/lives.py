"""Mistakes in how a run ends."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "error that overtakes",
        "a failure is raised before the results that were ready before it",
        "_runtime/run.py",
        "            result = await execution.results.receive(self._tally.received - self._told)\n",
        """\
            if execution.failures:
                raise EndOfChannel
            result = await execution.results.receive(self._tally.received - self._told)
""",
    ),
    Mutant(
        "swallowed cancel of the consumer",
        "a consumer that is cancelled while its run ends never hears of it",
        "_runtime/run.py",
        "                cancelled = error\n",
        "                pass\n",
    ),
    Mutant(
        "run that nobody waits for",
        "leaving the block asks the run to stop, and does not wait until it has",
        "_runtime/run.py",
        "        while not execution.ended.done():\n            try:\n",
        "        if not execution.ended.done():\n            try:\n                return None\n",
    ),
    Mutant(
        "stop of one worker",
        "when nobody wants more of a stage, one of its workers is cancelled and the others are not",
        "_runtime/execution.py",
        "            self._cancel(task for task, of in self.tasks.items() if of is unwanted)\n",
        "            self._cancel([task for task, of in self.tasks.items() if of is unwanted][:1])\n",
    ),
    Mutant(
        "closed by the first worker",
        "the edge behind a stage ends when the first of its workers does",
        "_runtime/execution.py",
        """\
        work.buried()
        if not work.alive:
""",
        """\
        work.buried()
        if work.alive <= 1:
""",
    ),
    Mutant(
        "failure that looks like the end",
        "what is behind a stage that fails sees its input end before it is cancelled",
        "_runtime/execution.py",
        "        self.failures.append(error)\n        self.stop(self._grace)\n",
        """\
        self.failures.append(error)
        if work is not None:
            work.outlet.close()
        self.stop(self._grace)
""",
    ),
    Mutant(
        "cancelled twice",
        "a worker that is cancelled is cancelled again in its clean-up",
        "_runtime/leaving.py",
        """\
        if task in self._cleaning:
            self._told_later.add(task)
        elif again or not task.cancelling():
            self.insist(task)
""",
        """\
        self.insist(task)
""",
    ),
    Mutant(
        "drain that loses what was made",
        "a drain forgets what a thread has made ahead",
        "_runtime/reading.py",
        """\
        if self._stop_making is None:
            return True
        self._stop_making()
        return False
""",
        """\
        return True
""",
    ),
    Mutant(
        "drain that is a stop",
        "a source that is drained is cancelled at once, the item in its hands included",
        "_runtime/execution.py",
        "        self._alarms.set(_PATIENCE_WITH_SOURCES, self._cut_sources)\n",
        '        self._cancel([task for task, work in self._tasks.items() if work.stage.role == "source"])\n',
    ),
    Mutant(
        "resources closed before workers",
        "resources are left while workers still use them",
        "_runtime/execution.py",
        "            await self._work(await self._resources.open())\n",
        """\
            opened = await self._resources.open()
            await self._resources.close(None)
            await self._work(opened)
""",
    ),
)
