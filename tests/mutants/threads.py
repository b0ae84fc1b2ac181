"""Mistakes in threads and processes."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "thread reads too far ahead",
        "a thread has leave to make one item more than there is room for",
        "_threads/job.py",
        "                self._grant(1 + self.room())\n",
        "                self._grant(2 + self.room())\n",
    ),
    Mutant(
        "all slots promised to one",
        "of several senders one is promised all that is free, and keeps it from the others",
        "_runtime/sending.py",
        "        return max(min(self.share(sender), self._capacity // self._senders - held), 0)\n",
        "        return max(min(self.share(sender), self._store.room - held), 0)\n",
    ),
    Mutant(
        "promised slots that nobody needs",
        "slots promised to a source in a thread stay so when it has ended",
        "_runtime/promised.py",
        """\
        \"""As of ``PullAhead``.\"""
        self._release(self._slots)
""",
        """\
        \"""As of ``PullAhead``.\"""
""",
    ),
    Mutant(
        "item that waits behind its own slots",
        "what a thread has made waits for a slot while all are promised to it and its like",
        "_runtime/promised.py",
        "        if handed_back is not NOTHING:\n",
        "        if handed_back is None:\n",
    ),
    Mutant(
        "one more than there are slots",
        "a source in a thread makes one item ahead that has none of the slots promised to it",
        "_runtime/promised.py",
        "        return sure or max(self._slots - 1, 0)\n",
        "        return sure or self._slots\n",
    ),
    Mutant(
        "slots promised twice",
        "a source in a thread keeps what it was promised for items that have left",
        "_runtime/promised.py",
        "        self._put(self._stretch.laid)\n",
        "",
    ),
    Mutant(
        "error taken for the end",
        "an iterator that raises in its thread has ended, as far as anybody hears",
        "_threads/job.py",
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
        "what is lost with a process is made twice by the next one",
        "_processes/series.py",
        "        self._sent.clear()\n",
        "",
    ),
    Mutant(
        "sent again unasked",
        "redeliver=False is not heeded",
        "_threads/process.py",
        "        if self._killed or (begun and not self._redeliver):\n",
        "        if self._killed:\n",
    ),
    Mutant(
        "dead process not replaced",
        "an item whose process died fails, though it could be sent again",
        "_threads/process.py",
        "        if self._killed or (begun and not self._redeliver):\n",
        "        if self._killed or begun:\n",
    ),
    Mutant(
        "wrong item suspected",
        "a lost process is held against the first item that has no answer, not the one that it was at",
        "_processes/series.py",
        "        place = self._answered + max(begun - 1, 0)\n",
        "        place = self._answered\n",
    ),
    Mutant(
        "calls made behind a failure",
        "a process goes on with what was sent ahead, though a call before it has failed",
        "_processes/child.py",
        "        elif kind == MORE and self._failed:\n",
        "        elif kind == MORE and self._failed and not message:\n",
    ),
    Mutant(
        "results behind a slow item",
        "results wait in the process for as long as the next item takes",
        "_processes/child.py",
        "            if self._waiting and self._waiting is self._found:\n",
        "            if not self._waiting:\n",
    ),
    Mutant(
        "writes without reading",
        "the owner of a process waits for it to read, which may wait for the owner to read",
        "_processes/wire.py",
        "            if events & ~select.POLLOUT:\n",
        "            if events & select.POLLHUP:\n",
    ),
)
