"""Mistakes in channels and in what sends into several of them."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "lost wake-up of a receiver",
        "a receiver that is cancelled when it was just woken passes the wake-up to nobody, as in janus",
        "_runtime/channel.py",
        """\
                self.accept()
                self._wake_getters()
            raise
""",
        """\
                self.accept()
            raise
""",
    ),
    Mutant(
        "lost wake-up of a sender",
        "a sender that is cancelled when a slot was just its own gives the slot to nobody",
        "_runtime/sending.py",
        """\
                self._putters.remove((waiter, size, LATER))
        self.wake_senders()
""",
        """\
                self._putters.remove((waiter, size, LATER))
""",
    ),
    Mutant(
        "slot never given back",
        "the promise of a slot is kept for good where its sender chose another edge or was cancelled",
        "_runtime/sending.py",
        "            self._store.unclaim(size)\n        else:\n",
        "            pass\n        else:\n",
    ),
    Mutant(
        "end told to one worker",
        "the end of an edge is heard by one of its workers only: a sentinel taken by the wrong one",
        "_runtime/edge.py",
        """\
        while self._getters:
            self._promise_item()
""",
        """\
        if self._getters:
            self._promise_item()
""",
    ),
    Mutant(
        "early end of a merge",
        "an edge ends with the first of its senders",
        "_runtime/channel.py",
        "        self._senders = max(self._senders - 1, 0)\n",
        "        self._senders = 0\n",
    ),
    Mutant(
        "receiver overtakes",
        "a newcomer takes the item that was promised to a receiver that was woken",
        "_runtime/channel.py",
        "        ready = len(self._store.items) - self._grants\n",
        "        ready = len(self._store.items)\n",
    ),
    Mutant(
        "one item too many",
        "an edge holds one item more than it may",
        "_runtime/store.py",
        "        if occupied >= self._buffer.items:\n",
        "        if occupied > self._buffer.items:\n",
    ),
    Mutant(
        "drop that is not counted",
        "an item that gives way to a newer one is not counted as dropped",
        "_runtime/store.py",
        """\
            self._drop(self.pop())
""",
        """\
            self.pop()
""",
    ),
    Mutant(
        "the wrong one is dropped",
        "overflow='drop_oldest' drops the newest",
        "_runtime/store.py",
        "        if self._overflow is Overflow.DROP_NEWEST or not self.items:\n",
        "        if self._overflow is not Overflow.BLOCK or not self.items:\n",
    ),
    Mutant(
        "broadcast skips a branch",
        "a branch whose edge is full does not get the item",
        "_runtime/routing.py",
        """\
        if not sender.put(value):
            waiting.append((sender.channel, sender.deposit(value)))
""",
        """\
        sender.put(value)
""",
    ),
    Mutant(
        "broadcast gives up",
        "a broadcast is over for all branches when one of them wants no more",
        "_runtime/routing.py",
        """\
        if sender.channel.abandoned:
            continue
        wanted += 1
""",
        """\
        if sender.channel.abandoned:
            return 0
        wanted += 1
""",
    ),
    Mutant(
        "balance sends twice",
        "an item that found a free branch waits for another one as well",
        "_runtime/routing.py",
        """\
            if channel.put(item):
                return
""",
        """\
            if channel.put(item):
                break
""",
    ),
)
