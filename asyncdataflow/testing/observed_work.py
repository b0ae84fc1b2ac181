"""A stage's workers that write down what they do, and check that each item has one outcome, in order."""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from .._runtime.baton import Probe, Stretch
from .._runtime.call import Call
from .._runtime.chunked import Chunked
from .._runtime.forks import Lay
from .._runtime.pull import NOTHING
from .._runtime.relay import Relay
from .._runtime.result import is_awaited
from .._runtime.tracked import Tracked
from .._runtime.worker import Loop, Work
from .._threads.job import LaneIterator
from ..errors import ChannelClosed
from ..operators.accumulate import Batch
from ..operators.combine import Concat
from ..operators.protocol import Delivery, StreamOperator
from .injection import Injector
from .observed_chunks import ObservedChunked
from .observed_lines import Heard, Keeper, Lines
from .trace import Trace
from .unreliable import UnreliableItems

__all__ = ("ObservedWork",)

_MOMENT: Final = 1e-6
"""Seconds that sums of times may be off by."""


class ObservedWork(Work):
    """One stage of one run; see ``Work``.

    Args:
        trace: Takes what happens, in words.
        keeper: Keeps the ledger: takes the rules that are broken, and what threads have made.
        injector: Decides what goes wrong.
        pulled: Called behind each item of a source.
        parts: As of a work.

    Attributes:
        tasks: Its workers' tasks.
    """

    def __init__(
        self,
        trace: Trace,
        keeper: Keeper,
        injector: Injector,
        pulled: Callable[[], None],
        *parts: Any,
        **options: Any,
    ) -> None:
        # First: what works on chunks is made along with the rest.
        self._trace = trace
        self._keeper = keeper
        self._broken = keeper.report
        super().__init__(*parts, **options)
        self._injector = injector
        self._pulled = pulled
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._calling = 0
        self._begun = 0
        self._numbers: dict[asyncio.Task[Any] | None, int] = {}
        self._outcomes: dict[int, Any] = {}
        self._next_to_leave = 0
        self._last_sent = -1
        self._keyed = self._line_up = Lines(self.stage.concurrency)
        self._stood_for = 0
        self._heard = 0
        self._sorted = self.stage.concurrency == 1 or (self.stage.ordered and self.stage.key is None)

    def loops(self) -> list[Loop]:
        """As in ``Work``."""
        return [functools.partial(self._observed, loop) for loop in super().loops()]

    def _in_chunks(self, make: Callable[..., Chunked] = Chunked) -> Chunked:
        return super()._in_chunks(functools.partial(ObservedChunked, self._trace, self.stage.title, self))

    def made(self, number: int, value: Any, most: int) -> None:
        """The item of a number has an outcome, which waits to leave beside at most so many."""
        self._outcomes[number] = _bare(value)
        self._check_waiting(most)

    def leaves(self, value: Any) -> None:
        """A value leaves."""
        self._leaves(value)

    def busy(self, workers: int) -> None:
        """So many items are being worked on."""
        if workers > self.stage.concurrency:
            self._broken("B14", f"{workers} items at once in {self.stage.title}")

    def broken(self, rule: str, seen: str) -> None:
        """A rule is broken."""
        self._broken(rule, seen)

    async def _observed(self, loop: Loop) -> None:
        task = asyncio.current_task()
        if task is not None:
            self.tasks.add(task)
        await loop()

    def check_rest(self) -> None:
        """Nothing is ready: every item taken is accounted for, and so is every worker's time."""
        counters, spent = self.figures, self.spent
        taken = sum(inlet.channel.statistics().taken for inlet in self.inlets)
        if self.stage.role != "source" and taken != counters.received + self.parked:
            told = f"{self.stage.title} took {taken} items, began {counters.received}, {self.parked} wait"
            self._broken("G71", told)
        if self.in_flight < 0:
            self._broken("G71", f"{self.stage.title} has {self.in_flight} items in flight: {counters}")
        if min(spent.busy, spent.waiting, spent.blocked) < -_MOMENT:
            self._broken("G71", f"{self.stage.title} has spent less than no time: {spent}")

    def check_end(self) -> None:
        """The run came to its end: every item has exactly one outcome."""
        counters = self.figures
        if self.retired:
            return
        if self.stage.role == "source":
            if self._many and self._heard != counters.received:
                told = f"{self.stage.title} made {self._heard} items, and sent {counters.received}"
                self._broken("A1", told)
            return
        taken = sum(inlet.channel.statistics().taken for inlet in self.inlets)
        if taken != counters.received:
            self._broken("B13", f"{self.stage.title} took {taken} items and began {counters.received}")
        if self.in_flight:
            self._broken(
                "G71", f"{self.stage.title} has {self.in_flight} items without an outcome: {counters}"
            )
        if isinstance(self.stage.operator, Batch | Concat) and self._stood_for != counters.received:
            told = f"{self.stage.title} took {counters.received} items, and sent {self._stood_for} of them"
            self._broken("B18", told)
        if self._outcomes:
            self._broken("A1", f"{self.stage.title} made {len(self._outcomes)} results that it never sent")

    async def whole(self, call: Call, item: Any) -> None:
        """As in ``Work``."""
        self._number()
        if self.stage.key is not None and self.stage.concurrency > 1:
            await self._in_line(call, item)
        else:
            await super().whole(call, item)

    def taken_together(self, items: list[Any]) -> int:
        """As in ``Work``: they are worked on as one."""
        first, self._begun = self._begun, self._begun + len(items)
        self._trace.note(f"{self.stage.title} begins {{}}", [_bare(each) for each in items])
        self._enter()
        return first

    def made_together(self, first: int, made: list[Any]) -> None:
        """As in ``Work``."""
        self._calling -= 1
        self._trace.note(f"{self.stage.title} makes {{}}", [_bare(each) for each in made])
        self._outcomes.update({first + place: _bare(each) for place, each in enumerate(made)})

    async def _in_order(self, call: Call, item: Any) -> None:
        self._number()
        await super()._in_order(call, item)

    async def _in_turn(self, call: Call, item: Any) -> None:
        self._number()
        await super()._in_turn(call, item)

    async def _in_line(self, call: Call, item: Any) -> None:
        if not self._line_up.may_begin(item):
            self._broken("B16", f"{self.stage.title} did not keep the order of the items of a key")
        await super().whole(call, item)

    async def _made(self, call: Call, item: Any) -> Any:
        made = await super()._made(call, item)
        if self.stage.role != "source":
            self._outcomes[self._numbers[asyncio.current_task()]] = _bare(made)
            # Each worker has one result in hand, and for each one may be parked behind an earlier one.
            self._check_waiting(2 * self.stage.concurrency)
        return made

    async def made_after(self, error: Exception, call: Call, item: Any, since: float) -> Any:
        """As in ``Work``."""
        made = await super().made_after(error, call, item, since)
        self._outcomes[self._numbers[asyncio.current_task()]] = _bare(made)
        return made

    def watched(
        self, function: Callable[[Any], Any], lay: Callable[[Any], Any], *, awaits: bool
    ) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """As in ``Work``."""

        async def settled(made: Any, item: Any, holder: Stretch | Probe | None) -> Any:
            try:
                made = await made
            except BaseException as error:
                self._trace.note(f"{self.stage.title} raises {{}} on {{}}", error, item)
                raise
            finally:
                self._calling -= 1
            return self._made_in(made, item, holder)

        def call(item: Any) -> Any:
            self._number()
            self._trace.note(f"{self.stage.title} begins {{}}", item)
            self._enter()
            holder = self.inlets[0].channel.baton.holder
            ends = True
            try:
                made = function(item)
                if awaits or is_awaited(type(made)):
                    ends = False
                    return settled(made, item, holder)
            except BaseException as error:
                self._trace.note(f"{self.stage.title} raises {{}} on {{}}", error, item)
                raise
            finally:
                self._calling -= ends
            return self._made_in(made, item, holder)

        def lay_one(made: Any) -> Any:
            self._leaves(made)
            return lay(made)

        return call, lay_one

    def watched_ways(self, lays: Mapping[str, Lay]) -> Mapping[str, Lay]:
        """As in ``Work``."""

        def lay_one(way: str, lay: Lay, item: Any) -> None:
            said = self._outcomes.get(self._next_to_leave)
            if said != way:
                self._broken("B16", f"{self.stage.title} sends an item to {way}, of which it said {said}")
            self._leaves(said)
            lay(item)

        return {way: functools.partial(lay_one, way, lay) for way, lay in lays.items()}

    def deliveries(self, item: Any, result: Any) -> list[Delivery]:
        """As in ``Work``."""
        made = super().deliveries(item, result)
        number, holder = self._numbers.get(asyncio.current_task()), self.inlets[0].channel.baton.holder
        if number in self._outcomes:
            # The function was called in a stretch, which drops it at once where there is nothing to send.
            self._outcomes[number] = made
            if not made and isinstance(holder, Stretch) and holder.tally is self.counters:
                self._leaves(made)
        return made

    def passing(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """As in ``Work``."""

        def call(item: Any) -> Any:
            self._leaves(item)
            return function(item)

        return call

    def _made_in(self, made: Any, item: Any, holder: Stretch | Probe | None) -> Any:
        """What a function made; an undisturbed stretch drops it at once where it is no result."""
        self._trace.note(f"{self.stage.title} makes {{}} of {{}}", made, item)
        kept = isinstance(holder, Probe | Relay) or self.inlets[0].channel.baton.holder is not holder
        if made is not None or self.outlet.keeps_none or self._operator is not None or kept:
            self._outcomes[self._numbers[asyncio.current_task()]] = made
            self._check_waiting(2 * self.stage.concurrency)
        elif self._sorted:
            self._next_to_leave += 1
        return made

    def watched_source(self, lay: Callable[[Any], None]) -> Callable[[Any], None]:
        """As in ``Work``."""
        lay = super().watched_source(lay)

        def lay_one(item: Any) -> None:
            self._trace.note(f"{self.stage.title} has {{}} to send", item)
            lay(item)
            self._pulled()

        return lay_one

    async def _once(self, call: Call, item: Any) -> Any:
        self._trace.note(f"{self.stage.title} begins {{}}", item)
        self._enter()
        try:
            made = await super()._once(call, item)
        except BaseException as error:
            self._trace.note(f"{self.stage.title} raises {{}} on {{}}", error, item)
            raise
        finally:
            self._calling -= 1
        self._trace.note(f"{self.stage.title} makes {{}} of {{}}", made, item)
        return made

    async def emit(self, made: Any) -> None:
        """As in ``Work``."""
        if self.stage.role != "source":
            self._leaves(made)
        await super().emit(made)

    async def _send(self, item: Any) -> None:
        self._trace.note(f"{self.stage.title} has {{}} to send", item)
        if self.stage.role == "source":
            self._pulled()
        elif isinstance(self.stage.operator, StreamOperator):
            made = item.item if self.tracks else item
            self._stood_for += len(made) if isinstance(self.stage.operator, Batch) else 1
        else:
            self._goes_on()
        try:
            await super()._send(item)
        except ChannelClosed:
            self._trace.note(f"nobody wants more of {self.stage.title}")
            raise

    async def _expand_once(self, call: Call, item: Any, turn: Loop | None) -> tuple[Exception | None, int]:
        self._trace.note(f"{self.stage.title} begins {{}}", item)
        self._enter()
        try:
            error, sent = await super()._expand_once(call, item, turn)
        finally:
            self._calling -= 1
        if error is not None:
            self._trace.note(f"{self.stage.title} raises {{}} on {{}}", error, item)
        return error, sent

    async def _next_of(self, items: AsyncIterator[Any]) -> tuple[Any, Exception | None]:
        made, error = await super()._next_of(items)
        if error is None:
            self._hear(items, made)
        return made, error

    async def _pull(self, items: AsyncIterator[Any]) -> None:
        # Of one that is answered, they come in its session, which hears what became of each.
        if self._injector.meets(self.stage) and not self.is_answered:
            items = UnreliableItems(items, self._injector, self.stage.title)
        await super()._pull(items)

    def _told(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        return Heard(items, self._hear)

    def _hear(self, items: AsyncIterator[Any], made: Any) -> None:
        self._heard += self.stage.role == "source" and made is not NOTHING
        fresh = not isinstance(items, UnreliableItems) or items.fresh
        source = items.items if isinstance(items, UnreliableItems) else items
        if fresh and isinstance(source, LaneIterator):
            self._keeper.heard(source, made, self.stage.title)

    @staticmethod
    def _stopper(items: AsyncIterator[Any]) -> Callable[[], None] | None:
        return Work._stopper(items.items if isinstance(items, UnreliableItems) else items)

    def _number(self) -> None:
        self._numbers[asyncio.current_task()] = self._begun
        self._begun += 1

    def _enter(self) -> None:
        self._calling += 1
        self.busy(self._calling)

    def _check_waiting(self, most: int) -> None:
        if len(self._outcomes) > most:
            self._broken(
                "B13",
                f"{len(self._outcomes)} results of {self.stage.title} wait to leave, "
                f"of {self.stage.concurrency} workers, where at most {most} may",
            )

    def _leaves(self, made: Any) -> None:
        """One result leaves; which, its identity says."""
        made = _bare(made)
        if self._sorted:
            if self._outcomes.pop(self._next_to_leave, self) is not made:
                self._broken(
                    "B13", f"results of {self.stage.title} leave in another order than the items came"
                )
            self._next_to_leave += 1
            return
        for number, outcome in self._outcomes.items():
            if outcome is made:
                del self._outcomes[number]
                return
        self._broken("B14", f"{self.stage.title} sends what it did not make, or sends it twice")

    def _goes_on(self) -> None:
        """One item of what a generator makes leaves."""
        number = self._numbers.get(asyncio.current_task(), 0)
        if self._sorted and number < self._last_sent:
            self._broken("B13", f"what {self.stage.title} makes leaves in another order than the items came")
        self._last_sent = number


def _bare(made: Any) -> Any:
    """What people know of it."""
    return made.item if isinstance(made, Tracked) else made
