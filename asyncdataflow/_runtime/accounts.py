"""Accounts: which sources of a run wait to hear what became of their messages, and when they have heard all.

And the two ends of each durable buffer, which are a sink and such a source of one run: the
source ends when the sink has and nothing is left, and where nobody wants more of the source,
nothing more need be put.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ..graph import named
from .channel import Channel
from .worker import Work

__all__ = ("NO_BUFFERS", "Accounts", "senders_into", "unsettled")


class Accounts:
    """Of one run.

    Args:
        works: Its stages.
        buffered: The graph's.
    """

    def __init__(self, works: Sequence[Work], buffered: Mapping[str, str]) -> None:
        by_name = {named(work.stage): work for work in works}
        self._out_of = {by_name[into]: by_name[out] for into, out in buffered.items()}
        self._into = {out: into for into, out in self._out_of.items()}

    def drain(self, works: Iterable[Work]) -> None:
        """Stop the sources; what comes out of a buffer goes on while something may be put into it."""
        for work in works:
            into = self._into.get(work)
            if work.stage.role == "source" and (into is None or not into.alive):
                work.drain()

    def ended(self, work: Work, *, draining: bool) -> Work | None:
        """A stage is at its end; gives the one of which nobody wants more therefore."""
        out = self._out_of.get(work)
        if out is not None and draining:
            out.drain()
            out.cut()
        elif out is not None:
            out.finish()
        into = self._into.get(work)
        return into if into is not None and into.alive and not draining else None

    @staticmethod
    def stop(works: Iterable[Work]) -> None:
        """The run stops."""
        for work in works:
            work.stop()

    @staticmethod
    def stop_pulling(work: Work) -> bool:
        """Nobody wants more of it: whether it lives on, to be told of what it has given."""
        if work.is_answered:
            work.drain()
            work.cut()
        return work.is_answered

    @staticmethod
    def check(works: Iterable[Work], left: Iterable[Work], output: Channel[object]) -> None:
        """Where only they are left, and the consumer has nothing: what was not said is never said."""
        if not output.statistics().held and all(work.is_answered for work in left):
            for work in works:
                work.nothing_left()


NO_BUFFERS: Final = Accounts((), {})
"""Of every run without a durable buffer: nothing in it changes."""


def unsettled(works: Iterable[Work]) -> str:
    """What is under way, in words."""
    works = list(works)
    busy = [each for each in works if each.in_flight and each.stage.role != "source"]
    queued = sum(inlet.channel.statistics().items for work in works for inlet in work.inlets)
    queued += sum(work.parked for work in works)
    told = ", ".join(f"{each.in_flight} in {each.stage.title}" for each in busy) or "none in a stage"
    return f"{told}, {queued} queued"


def senders_into(works: Iterable[Work]) -> dict[Channel[Any], list[Work]]:
    """Who sends into each channel."""
    senders: dict[Channel[Any], list[Work]] = {}
    for work in works:
        for channel in work.outlet.channels:
            senders.setdefault(channel, []).append(work)
    return senders
