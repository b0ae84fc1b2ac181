"""Mistakes in what a source is told of its messages."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "whole done before its parts",
        "an item that is parted counts as done, whatever becomes of its parts",
        "_runtime/tracked.py",
        "        origin.release()\n",
        "        origin.settle()\n",
    ),
    Mutant(
        "stop that acks",
        "what a worker has in hand when the run stops is taken for not wanted",
        "_runtime/desk.py",
        "            if self._stopping:\n",
        "            if self._closed:\n",
    ),
    Mutant(
        "first part answers for all",
        "a message is answered when one part of it is done",
        "_runtime/receipts.py",
        """\
        self._done = True
        self._parts -= 1
        if not self._parts:
            self._end()
""",
        """\
        self._done = True
        self._parts -= 1
        self._end()
""",
    ),
    Mutant(
        "best outcome wins",
        "a part that has failed is forgotten beside one that is done",
        "_runtime/receipts.py",
        "        if self._error is not None:\n            self._desk.nack(self._message, self._error)\n",
        "        if self._error is not None and not self._done:\n"
        "            self._desk.nack(self._message, self._error)\n",
    ),
    Mutant(
        "batch answers for one",
        "of what is united only the first is answered",
        "_runtime/tracked.py",
        "    return tracked(item, receipts[0] if len(receipts) == 1 else united(receipts))\n",
        "    return tracked(item, receipts[0])\n",
    ),
    Mutant(
        "branches share one part",
        "a broadcast counts nothing: the first branch to be done answers",
        "_runtime/tracked_routing.py",
        "value.part(value.item) if place else value) for",
        "value) for",
    ),
    Mutant(
        "answered twice",
        "what is answered stays open, and is nacked at the end",
        "_runtime/desk.py",
        "        answered, now = self._open.pop, self._clock()\n",
        "        answered, now = self._open.get, self._clock()\n",
    ),
    Mutant(
        "no bound of what is unacked",
        "a source is pulled however much of it is unanswered",
        "_runtime/desk.py",
        "        return max(self._most - self.unacked, 0)\n",
        "        return self._most\n",
    ),
    Mutant(
        "ack before the sink",
        "a list is taken for written before it is",
        "_runtime/together.py",
        "        return await self._call.one(values)\n",
        "        if work.tracks:\n            for each in items:\n                each.settle()\n"
        "        return await self._call.one(values)\n",
    ),
    Mutant(
        "ack before the consumer",
        "a result is done with when it is handed over",
        "_runtime/in_hand.py",
        """\
            before = result
            yield result.item
""",
        """\
            before = result
            result.settle()
            yield result.item
""",
    ),
    Mutant(
        "left before it is answered",
        "a source is left while messages are under way",
        "_runtime/reading.py",
        "            await answers.desk.wait_until_answered()\n",
        "            pass\n",
    ),
    Mutant(
        "opened anew while messages are under way",
        "what a source has given is not settled before it is opened anew, and comes twice",
        "_runtime/reading.py",
        "            settled = await answers.settle(restarts.patience)\n",
        "            settled = True\n",
    ),
    Mutant(
        "waits in a lost session",
        "a source that cannot be told is asked for more for ever",
        "_runtime/answers.py",
        "        if waits and self.puller is not None:\n            self.puller.cancel()\n",
        "",
    ),
    Mutant(
        "pulled on in a lost session",
        "a session that was lost while others ran is asked for its next message",
        "_runtime/reading.py",
        "        while not self.leaving.asked and not self._is_lost and not",
        "        while not self.leaving.asked and not",
    ),
    Mutant(
        "a session that fails twice",
        "what is raised on the way out of a lost session counts as another failure",
        "_runtime/restarts.py",
        "        if self.failure is not None:\n            self.also(error)\n            return True\n",
        "",
    ),
    Mutant(
        "an answer that keeps what was made",
        "what was made of a message lives until its source has been told",
        "_runtime/tracked.py",
        "            self.desk = self.error = self.item = None\n",
        "            self.desk = self.error = None\n",
    ),
    Mutant(
        "dropped by policy and not said",
        "an item that an edge drops is never answered for",
        "_runtime/store.py",
        "        if self.on_drop is not None:\n            self.on_drop(item)\n",
        "        self.items and None\n",
    ),
    Mutant(
        "dead letter without its receipt",
        "an item is done when its letter is written, before the sink has it",
        "_runtime/supervise.py",
        "        return tracked(super()._letter(error, item.item, attempt), item.take())\n",
        "        from .receipts import NOBODY\n\n"
        "        return tracked(super()._letter(error, item.item, attempt), NOBODY)\n",
    ),
    Mutant(
        "position of the first",
        "a list's first position is stored, and the others come again",
        "_runtime/tracked.py",
        "            positions.setdefault(desk.source, {})[message.partition] = message.position\n",
        "            positions.setdefault(desk.source, {}).setdefault(message.partition, message.position)\n",
    ),
    Mutant(
        "highest mark instead of the low one",
        "a position is kept as done although earlier ones are not",
        "low_water.py",
        "            before._reach = place._reach\n",
        "            self._marks[partition] = before._reach = place._reach\n",
    ),
)
