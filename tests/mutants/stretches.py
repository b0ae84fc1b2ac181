"""Mistakes in stretches: what a worker does between two moments at which anybody can look."""

from __future__ import annotations

from .mutant import Mutant

__all__ = ("MUTANTS",)

MUTANTS = (
    Mutant(
        "stretch that goes on",
        "a worker that has waited inside its stage's function takes the edges to be as it left them",
        "_runtime/plain.py",
        """\
                result = await function(item)
                if type(result) is stretch.usual:
                    lay(result)
                    result = None  # Else it lives until the next one is made.
                    continue
                if result is none and stretch.usual is not None:
                    continue
                if result is not none:
                    self._usual = type(checked(result))
                if self._baton.holder is not stretch:
                    self.suspends = not stretch.laid
                    break
""",
        """\
                result = await function(item)
                if result is not none:
                    self._usual = type(checked(result))
""",
    ),
    Mutant(
        "source that goes on",
        "a source that has waited for its item sends it without looking for room",
        "_runtime/pull.py",
        """\
                if baton.holder is not stretch:
                    return items - rest - left, item, None
""",
        "",
    ),
    Mutant(
        "receivers not woken",
        "what a stretch has put into an edge is told to nobody but the first who waits",
        "_runtime/baton.py",
        """\
            self._inlet.lifted(self.taken)
        for outlet in self._outlets:
            outlet.laid()
""",
        """\
            self._inlet.lifted(self.taken)
""",
    ),
    Mutant(
        "branches not woken",
        "what a stretch has put into several edges is told to nobody who waits for it",
        "_runtime/fan.py",
        """\
        for sender in wanted:
            sender.channel.laid()
""",
        "",
    ),
    Mutant(
        "nobody told of the first",
        "who waits when a stretch begins is left asleep while its stage's function waits",
        "_runtime/baton.py",
        "        return chain(self._first(lying), lying) if any(self._sleepers) else lying\n",
        "        return lying\n",
    ),
    Mutant(
        "senders not woken",
        "the slots that a stretch has freed are told to nobody but the first who waits",
        "_runtime/edge.py",
        """\
            self.on_mark()
        if self._putters:
            self.wake_senders()
""",
        """\
            self.on_mark()
""",
    ),
    Mutant(
        "an item in hand is not counted",
        "a stage whose stretch was disturbed has settled what it still has in hand",
        "_runtime/baton.py",
        "        self.end(int(self._works))\n",
        "        self.end()\n",
    ),
    Mutant(
        "branch taken to be roomy",
        "where a stretch is as long as the emptiest branch has room, another gets more than fit there",
        "_runtime/forks.py",
        """\
        if items <= self._least:
            return self._named
""",
        """\
        if items:
            return self._named
""",
    ),
    Mutant(
        "branch left asleep",
        "who waits for an item of one branch is told of it only when somebody looks at another",
        "_runtime/plain.py",
        """\
                    if self.awaits:
                        baton.watch()
                    done = await stretch(fit if fit < left else left)
""",
        """\
                    done = await stretch(fit if fit < left else left)
""",
    ),
    Mutant(
        "choice that goes on",
        "a worker that has waited for where an item goes takes the branches to be as it left them",
        "_runtime/routed.py",
        """\
                if type(result) is stretch.usual and result in ways:
""",
        """\
                if type(result) is str and result in ways:
""",
    ),
    Mutant(
        "first come takes all",
        "of several branches before a merge whoever looks first fills the edge, and the others get a slot",
        "_runtime/sending.py",
        "        return min(free, max(share, _LEAST_SHARE))\n",
        "        return free\n",
    ),
    Mutant(
        "somebody looks into a stretch",
        "what lies in an edge is counted without making up the books first",
        "_runtime/sending.py",
        """\
        if self.baton.holder is not None:
            self.baton.drop()
        return 0 if self._putters or self._abandoned else self._store.room
""",
        """\
        return 0 if self._putters or self._abandoned else self._store.room
""",
    ),
    Mutant(
        "consumer that tells nobody",
        "a consumer's stretch leaves those asleep who wait for the slots that it frees",
        "_runtime/run.py",
        "            execution.output.wake_senders_soon()\n",
        "",
    ),
)
