"""Mistakes in threads and processes."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "thread reads too far ahead",
        "a thread has leave to make one item more than there is room for",
        "_runtime/job.py",
        "                self._grant(1 + self._room())\n",
        "                self._grant(2 + self._room())\n",
    ),
    Mutant(
        "error taken for the end",
        "an iterator that raises in its thread has ended, as far as anybody hears",
        "_runtime/job.py",
        "            self._failure = value\n",
        "            self._failure = None\n",
    ),
    Mutant(
        "place never free again",
        "the thread of a call that nobody waits for any more is counted as busy for good",
        "_runtime/lane.py",
        "            if job.deliver(flag, value):\n",
        "            if job.deliver(flag, value) and not job._abandoned:\n",
    ),
    Mutant(
        "thread iterator not closed",
        "what is iterated over in a thread is left open there when nobody wants more",
        "_runtime/call.py",
        "            stack.push_async_callback(iterator.aclose)\n",
        "            stack.callback(iterator.abandon)\n",
    ),
    Mutant(
        "sent again twice",
        "the item of a process that died is worked on twice by the next one",
        "_runtime/process.py",
        """\
        try:
            return self._exchanged(self._running(), request)
        except _Lost as lost:
            raise lost.told(self._name, "the second with the same item") from None
""",
        """\
        try:
            self._exchanged(self._running(), request)
            return self._exchanged(self._process, request)
        except _Lost as lost:
            raise lost.told(self._name, "the second with the same item") from None
""",
    ),
    Mutant(
        "sent again unasked",
        "redeliver=False is not heeded",
        "_runtime/process.py",
        "            if self._killed or not (self._redeliver or lost.unread):\n",
        "            if self._killed:\n",
    ),
    Mutant(
        "dead process not replaced",
        "an item whose process died fails, though it could be sent again",
        "_runtime/process.py",
        "            if self._killed or not (self._redeliver or lost.unread):\n",
        "            if self._killed or not lost.unread:\n",
    ),
)
