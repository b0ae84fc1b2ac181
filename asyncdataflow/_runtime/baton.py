"""Baton: whose stretch nobody has disturbed.

While a worker does not suspend, nobody else can look at its edges. So it need not check,
count or tell anything item by item: it takes the baton, finds out once how many items lie
before it and fit behind it, and moves them with two bare operations of a deque each.
Whoever else comes to look - because the worker did suspend, or because its own function
asks the run something - takes the baton away first, and with that the books are made up
from how long the two deques are now.

So two rules keep this right. A channel looks at what lies in it, or changes it, only behind
``baton.drop()``. And a worker that comes back from its stage's function goes on with its stretch
only if it has the baton still; else it sends what it has in hand as if there were no stretch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from itertools import chain
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from .edge import Edge, Lying

__all__ = ("Baton", "Probe", "Stretch", "TakingStretch", "Tally", "Way")

T = TypeVar("T")

_NOTHING: Final[deque[Any]] = deque(maxlen=0)


class Tally(Protocol):
    """What a stretch counts in; a stage's counters, for one."""

    received: int
    settled: int
    sent: int
    filtered: int


class Way(Protocol):
    """What a stretch puts its results into: an edge, or several at once.

    Attributes:
        queue: What it has put there.
        sleepers: Who waits for it.
    """

    queue: deque[Any]

    @property
    def sleepers(self) -> Sequence[Sized]: ...

    def laid(self) -> None:
        """Some were put in: whoever waits has to know."""

    def on_the_way_to(self, edge: Edge[Any]) -> int:
        """Items that were put here and do not lie in that edge yet."""


class Baton:
    """One a run.

    Args:
        clock: Tells the time.

    Attributes:
        clock: As given.
        holder: Whose stretch it is.
        awake: Workers that give way: each looks when it goes on, which is soon.
    """

    __slots__ = ("_looks", "awake", "clock", "holder")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.holder: Stretch | Probe | None = None
        self.awake = 0
        self._looks = False

    def watch(self) -> None:
        """A stretch begins whose worker may suspend in it: look, when the loop goes on, whether it has.

        No line of its own can tell, and there may be nobody else who looks for long.
        """
        if not self._looks and not self.awake:
            self._looks = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looks = False
        if self.holder is not None and self.holder.is_watched:
            self.holder.interrupt()

    def drop(self) -> None:
        """End the stretch that is under way, if there is one, because somebody has to look."""
        holder = self.holder
        if holder is not None:
            holder.interrupt()


class Probe:
    """Holds the baton only to tell whether anybody has taken it away.

    Args:
        baton: The run's.
    """

    is_watched: ClassVar[bool] = False

    __slots__ = ("baton",)

    def __init__(self, baton: Baton) -> None:
        self.baton = baton

    def interrupt(self) -> None:
        """Somebody did."""
        self.baton.holder = None

    def moved(self, edge: Edge[Any]) -> tuple[int, int]:
        """Nothing is taken or put without being counted."""
        return 0, 0

    def count_interrupted(self, tally: Tally, figures: Tally) -> None:
        """Nothing is done without being counted."""


class Stretch:
    """The stretches of one worker, one after another.

    Args:
        baton: The run's.
        inlet: Where it takes items from; a source has none.
        outlets: Where it puts each of what it makes; the consumer has none.
        tally: Where to count it.
        works: Between taking an item and putting it, the worker has it in hand.

    Attributes:
        taken: Items that the last one has taken, once it is over.
        laid: Items that the last one has put, once it is over.
        until: When it was last interrupted, with an item in hand.
        usual: The sort of results that need no second look, as whoever is in it says; none once it is over.
        on_interrupt: Called when somebody takes the baton away, before that one goes on.
        is_watched: It is over once the loop goes on.
    """

    is_watched: ClassVar[bool] = True

    __slots__ = (
        "_at_begin",
        "_before",
        "_behind",
        "_inlet",
        "_laid_at_begin",
        "_outlets",
        "_sleepers",
        "_works",
        "baton",
        "laid",
        "on_interrupt",
        "taken",
        "tally",
        "until",
        "usual",
    )

    def __init__(
        self,
        baton: Baton,
        inlet: Edge[Any] | None,
        outlets: Sequence[Way],
        tally: Tally,
        *,
        works: bool,
    ) -> None:
        self.tally = tally
        self.baton = baton
        self._inlet = inlet
        self._outlets = tuple(outlets)
        self._works = works
        self._before: Sized = () if inlet is None else inlet.queue
        self._behind: Sized = outlets[0].queue if outlets else ()
        sleepers = [] if inlet is None else [*inlet.sleepers]
        for outlet in outlets:
            sleepers += outlet.sleepers
        self._sleepers = sleepers
        self._at_begin = self._laid_at_begin = self.taken = self.laid = 0
        self.until = 0.0
        self.usual: type | None = None
        self.on_interrupt: Callable[[], None] | None = None

    def begin(self) -> None:
        """Take the baton."""
        if self.baton.holder is not None:
            self.baton.drop()
        self._at_begin = len(self._before)
        self._laid_at_begin = len(self._behind)
        self.baton.holder = self

    def lift(self, items: int) -> Iterator[Any]:
        """Take the baton, and from the inlet so many, each when it is asked for."""
        assert self._inlet is not None, "of a worker"  # noqa: S101 - for the type checker
        self.begin()
        lying = self._inlet.lift(items)
        return chain(self._first(lying), lying) if any(self._sleepers) else lying

    @property
    def is_waited_for(self) -> bool:
        """Somebody sleeps until an item is taken or put; only who suspends can join them."""
        return any(self._sleepers)

    def _first(self, lying: Iterator[Any]) -> Iterator[Any]:
        """The items up to the first that makes a result, with a word to those who sleep until then."""
        for item in lying:
            if self.progress()[0] == 1:
                self.wake_senders()
            yield item
            if self.progress()[1]:
                self.wake_receivers()
                return

    def wake_senders(self) -> None:
        """The first item was taken: wake who waited for its slot; the others when the stretch ends."""
        if self._inlet is not None:
            before = len(self._before)
            self._inlet.wake_senders()
            # Those who have left their item there to be put in have it in now.
            self._at_begin += len(self._before) - before
            self._inlet.wake_next()

    def wake_receivers(self) -> None:
        """The first item was put: wake who waited for it; the others when the stretch ends."""
        before = len(self._behind)
        for outlet in self._outlets:
            outlet.laid()
        # What is in every edge of a fan by now does not lie behind any more.
        self._laid_at_begin += len(self._behind) - before

    def interrupt(self) -> None:
        """Somebody takes the baton away: the worker is inside its stage's function, with an item in hand."""
        if self._works:
            self.until = self.baton.clock()
        self.end(int(self._works))
        if self.on_interrupt is not None:
            self.on_interrupt()

    def end(self, in_hand: int = 0) -> None:
        """Make up the books; the worker itself does between two items."""
        self.baton.holder = self.usual = None
        self.taken, self.laid = self._count(self.tally, in_hand)
        if self._inlet is not None:
            self._inlet.lifted(self.taken)
        for outlet in self._outlets:
            outlet.laid()

    def progress(self) -> tuple[int, int]:
        """Items taken and put since it began."""
        put = len(self._behind) - self._laid_at_begin
        return (put if self._inlet is None else self._at_begin - len(self._before)), put

    def moved(self, edge: Edge[Any]) -> tuple[int, int]:
        """Items that it has taken from this edge since it began, and those that do not lie in it yet."""
        lifted = self.progress()[0] if edge is self._inlet else 0
        return lifted, sum(outlet.on_the_way_to(edge) for outlet in self._outlets)

    def count_interrupted(self, tally: Tally, figures: Tally) -> None:
        """Add what was done since it began of what ``tally`` counts to ``figures``, without ending it."""
        if tally is self.tally:
            self._count(figures, int(self._works))

    def _count(self, tally: Tally, in_hand: int) -> tuple[int, int]:
        put = len(self._behind) - self._laid_at_begin
        taken = put if self._inlet is None else self._at_begin - len(self._before)
        tally.received += taken
        tally.sent += put
        tally.settled += taken - in_hand
        if self._works:
            tally.filtered += taken - in_hand - put
        return taken, put


class TakingStretch(Stretch, Generic[T]):
    """Those of the consumer.

    Args:
        baton: The run's.
        inlet: The output edge; none before the run has started.
        tally: Where to count it.

    Attributes:
        lying: What the items of the stretch are taken out of; it gives none once that is over.
    """

    is_watched: ClassVar[bool] = False

    __slots__ = ("lying",)

    def __init__(self, baton: Baton, inlet: Edge[T] | None, tally: Tally) -> None:
        super().__init__(baton, inlet, (), tally, works=False)
        self.lying: Lying[T] = _NOTHING

    def interrupt(self) -> None:
        """Somebody takes the baton away."""
        self.lying = _NOTHING
        self.end()
