"""Edge: what lies between senders and receivers, and who waits for it.

The state is a deque and two queues of futures. An item is visible the moment it is
appended. Waking is separate from taking: a woken receiver takes its item itself when it
runs, so that one that is cancelled in between has taken nothing and passes the wake-up
on. (``janus`` 2.0.0 on CPython before 3.13 loses it, through ``asyncio.Condition``,
gh-112202; trio avoids the question by delivering before it wakes, which asyncio cannot,
because a task may be cancelled after its future is done.)

One receiver at a time is woken: when it has taken its item it wakes the next for those that are
left, and by then a worker that never waited may have had them, for no wake-up at all (leader
and followers: Schmidt et al., "Leader/Followers", 2000).

Two counts keep newcomers from overtaking who was woken but has not run: ``_grants``
(items promised to receivers) and the store's ``claims`` (slots promised to senders). At rest no
receiver waits beside an item, and no sender beside a free slot.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from itertools import repeat
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from ..histogram import Recorder
from ..policy import Buffer, Overflow
from .store import Store

__all__ = ("LATER", "UNMARKED", "Edge", "Given", "Lying", "Mark")

T = TypeVar("T")

LATER: Final = object()
"""In the queue of senders: the sender itself appends its item, once it is woken."""


UNMARKED: Final = sys.maxsize
"""Where there is no mark: a position that is never reached."""


Mark: TypeAlias = tuple[float, Recorder]


class Waiter(Protocol):
    """Who waits for an item: a future, or a reserve of workers that have not started."""

    def done(self) -> bool:
        """It need not be told any more."""

    def set_result(self, promised: bool, /) -> None:
        """An item is promised to it, or, with false, it is sent away."""


class Given(Generic[T]):
    """Stands where a deque does, before a function that gives the items.

    Args:
        popleft: The function; raises ``IndexError`` or ``StopIteration`` where there is none.
    """

    __slots__ = ("popleft",)

    def __init__(self, popleft: Callable[[], T]) -> None:
        self.popleft = popleft


Lying = deque[T] | Given[T]
"""What items are taken out of: a deque, as a rule, because its own methods are called fastest."""


class Edge(Generic[T]):
    """What a stretch works on: nothing in here ends one.

    Args:
        buffer: Its bounds.
        overflow: What happens to an item that finds no room.
        name: Whose edge it is.
        tagged: Items are ``(tag, item)``.

    Attributes:
        queue: What lies in it, promised items included; for stretches.
        marked: Behind how many items its mark is, counted from the first that was ever put in.
        mark: When that began its way, at a source, and where it is told how long it took.
        on_mark: Called when it is reached, and from then on whenever it is looked, until it is gone.
    """

    mark: Mark

    def __init__(self, buffer: Buffer, overflow: Overflow, name: str, *, tagged: bool) -> None:
        self.name = name
        self._loop = asyncio.get_running_loop()
        self._store: Store[T] = Store(name, buffer, overflow, tagged=tagged)
        self.queue = self._store.items
        self._getters: deque[Waiter] = deque()
        self._grants = 0
        self._attendant: object | None = None
        self._putters: deque[tuple[asyncio.Future[Any], int, Any]] = deque()
        self._senders = 0
        self._taken = 0
        self._abandoned = False
        self._reserve: Waiter | None = None
        # Here, and not when first they are needed: all edges shall have one shape, which is read faster.
        self.marked = UNMARKED
        self.on_mark: Callable[[], None] | None = None

    @property
    def is_bare(self) -> bool:
        """Nothing but a number of items bounds it, and nothing is ever dropped."""
        return self._store.is_bare

    def lift(self, items: int) -> Iterator[T]:
        """Take out so many in a stretch, each when it is asked for."""
        return map(deque.popleft, repeat(self.queue, items))

    def taking(self, most: int) -> Lying[T]:
        """What to take them out of one by one, in a stretch of no more than so many."""
        return self.queue if len(self.queue) <= most else Given(self.lift(most).__next__)

    def lifting(self) -> Callable[[], T]:
        """What takes one out, in a stretch."""
        return self.queue.popleft

    @property
    def busy(self) -> int:
        """How much lies here, for choosing the freest in a stretch: one who waits counts below nothing."""
        waiting = len(self._getters)
        # Of those who wait one is woken, for the first item.
        return len(self.queue) + self._store.held - (waiting - 1 if waiting and self.queue else waiting)

    @property
    def promised(self) -> int:
        """Items that are for those who were woken."""
        return self._grants

    def laying(self) -> Callable[[T], None]:
        """What puts an item in, in a stretch."""
        return self._store.items.append

    def line_up(self, item: T) -> asyncio.Future[bool]:
        """Queue an item itself, in a stretch that has filled the edge: it is appended when a slot is free.

        Returns:
            Tells that it was appended, or, with false, that nobody wants it.
        """
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._putters.append((waiter, self._store.measure(item), item))
        return waiter

    @property
    def sleepers(self) -> Sequence[Sized]:
        """Who waits for an item, and who for a slot."""
        return self._getters, self._putters

    def lay_all(self, items: Iterable[T]) -> None:
        """Put items in, in a stretch."""
        self.queue.extend(items)

    def on_the_way_to(self, edge: Edge[Any]) -> int:
        """None: what a stretch puts in is in at once."""
        return 0

    def lifted(self, items: int) -> None:
        """So many were taken out: whoever waits has to know."""
        self._taken += items
        if self._taken >= self.marked and self.on_mark is not None:
            self.on_mark()
        if self._putters:
            self.wake_senders()
        if self._getters:
            self._wake_getters()

    def passed(self, items: int) -> None:
        """So many went by it, from the hand of the stage before it into that of the one behind."""
        self._taken += items
        if self._taken >= self.marked and self.on_mark is not None:
            self.on_mark()

    @property
    def taken(self) -> int:
        """Items that were taken out of it, but for a stretch under way."""
        return self._taken

    @property
    def put_in(self) -> int:
        """Items that were ever put in and not dropped, but for a stretch under way."""
        return self._taken + len(self.queue)

    def dismiss(self) -> None:
        """Send away who waits for an item, with nothing promised to them."""
        while self._getters:
            waiter = self._getters.popleft()
            if not waiter.done():
                waiter.set_result(False)

    def laid(self) -> None:
        """Some were put in, in a stretch."""
        if self._getters:
            self._wake_getters()

    def wake_senders(self) -> None:
        """Promise the slots that are free to those who wait for one."""
        while self._putters and self._store.fits(self._putters[0][1]):
            self._promise_slot()

    def wake_next(self) -> None:
        """Whoever was woken has taken its item: wake the next one for those that are left."""
        if self._getters:
            self._wake_getters()

    def station(self, reserve: Waiter, workers: int) -> None:
        """So many workers start when nobody else waits, and the one that does start has looked."""
        self._reserve = self._attendant = reserve
        self._getters.extend(repeat(reserve, workers))

    def call_up(self, workers: int) -> int:
        """Up to so many of the reserve start without being promised an item; how many."""
        for called in range(workers):
            if not self._getters or self._getters[-1] is not self._reserve:
                return called
            self._getters.pop()
        return workers

    def disband(self) -> None:
        """Nobody starts any more."""
        self._reserve = self._attendant = None
        self._getters.clear()

    def accept(self) -> None:
        """Whoever an item was promised to is there, and looks now; it may be another's."""
        self._grants -= 1

    def attend(self, worker: object) -> None:
        """While it is awake a worker will look again, so that nobody else is woken for what lies here."""
        if self._attendant is None or self._attendant is self._reserve:
            self._attendant = worker

    def leave(self, worker: object) -> None:
        """It will not, if it was to: whoever waits has to know what lies here."""
        attendant = self._attendant
        if attendant is not None and (attendant is worker or attendant is self._reserve):
            self._attendant = None
            if self._getters:
                self._wake_getters()

    def _wait_in_line(self, waiter: Waiter) -> None:
        if self._getters and self._getters[-1] is self._reserve:
            self._getters.appendleft(waiter)  # Among workers, who came first is of no interest.
        else:
            self._getters.append(waiter)

    def _append(self, item: T, size: int) -> None:
        self._store.append(item, size)
        if self._getters:
            self._wake_getters()

    def _wake_getters(self) -> None:
        while self._getters and not self._grants and self._attendant is None and self._store.items:
            self._promise_item()
        if not self._senders and not self._store.items:
            self._wake_all_getters()

    def _wake_all_getters(self) -> None:
        while self._getters:
            self._promise_item()

    def _promise_item(self) -> None:
        waiter = self._getters.popleft()
        if not waiter.done():
            waiter.set_result(True)
            self._grants += 1

    def _promise_slot(self) -> None:
        waiter, size, item = self._putters.popleft()
        if waiter.done():
            return
        if item is LATER:
            waiter.set_result(self)
            self._store.claim(size)
        else:
            if not self._abandoned:
                self._append(item, size)
            waiter.set_result(not self._abandoned)
