"""Chunk: several items on one way through a thread, worked on one after the other.

What does not pass through a queue is shared between loop and thread, by operations of a
deque or list that are one step to the interpreter: the thread takes each item off when it
begins it, so that the loop may take back what is not begun, and puts down each value, so
that the loop may fetch what is ready while a slow item keeps the thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from .bridge import Closed
from .job import Job, Send, Target, carried

__all__ = ("Arguments", "Chunk", "Stop")

Arguments = Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]
"""Of an item, what the target is called with."""

Together = Callable[[Sequence[tuple[tuple[Any, ...], dict[str, Any]]]], Iterator[tuple[bool, Any]]]
"""A target's ``run_chunk``."""

_MORE: Final = object()


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Stop:
    """The item at which a chunk has stopped.

    Attributes:
        item: The item.
        raised: Its call has raised ``value``; else it has returned what only the loop can settle.
        value: What came of it.
    """

    item: Any
    raised: bool
    value: Any


class Chunk(Job):
    """Some items.

    Args:
        items: What is to be worked on, in this order.
        arguments: What the target is called with; ``None`` is the item alone.
        unsettled: Whether a value of a type has to be seen to by the loop before the next item.
        clock: Tells the time, in the thread.
        tell: Called on the loop with this, when there is news.

    Attributes:
        pending: Items not begun.
        length: Items given to it, less those taken back.
        stop: The item at which it has stopped short; those behind it are pending.
        ended: The thread has done with it.
        counted: Items that are counted as begun.
        late: It takes longer than it was to.
        began: When the first was begun.
        seconds: What it took.
    """

    takes_place = False

    def __init__(
        self,
        items: Iterable[Any],
        arguments: Arguments | None,
        unsettled: Callable[[type], bool],
        clock: Callable[[], float],
        tell: Callable[[Chunk], object],
    ) -> None:
        super().__init__()
        self.pending: deque[Any] = deque(items)
        self.length = len(self.pending)
        self.stop: Stop | None = None
        self.ended = self.late = False
        self.counted = 0
        self.began: float | None = None
        self.seconds = 0.0
        self._values: list[Any] = []
        self._fetched = 0
        self._arguments = arguments
        self._unsettled = unsettled
        self._clock = clock
        self._tell = tell
        self._each_at_once = False

    def fetch(self) -> list[Any]:
        """Called on the loop: the values that are ready and were not fetched before."""
        if self.ended:
            fetched, self._values = self._values, []
            self._fetched += len(fetched)
            return fetched
        count = len(self._values)
        fetched = self._values[:count]
        # What the thread puts down meanwhile comes behind these.
        del self._values[:count]
        self._fetched += count
        return fetched

    @property
    def done(self) -> int:
        """Items of it that have a value or an error."""
        return self._fetched + len(self._values) + (self.stop is not None)

    @property
    def each(self) -> float:
        """Seconds that each of them took."""
        return self.seconds / max(self.done, 1)

    def take_back(self) -> deque[Any]:
        """Called on the loop: the items that are not begun; of a chunk that no thread has, all but one.

        Where they were handed on together they stay, and each value is told of from now on.
        """
        self._each_at_once = True
        kept = 0 if self.began is not None else 1
        back: deque[Any] = deque()
        with suppress(IndexError):  # Where the thread was quicker.
            while len(self.pending) > kept:
                back.appendleft(self.pending.pop())
        self.length -= len(back)
        return back

    def let_go(self) -> None:
        """Called on the loop when it has ended, or nobody waits for it any more.

        An error knows it by the frames that it came through; it is to know neither the error
        nor any item.
        """
        self.pending.clear()
        self.stop = None

    def abandon(self) -> None:
        """Called on the loop: nobody waits for it any more, and what is not begun never is."""
        super().abandon()
        self.let_go()

    def deliver(self, flag: bool, value: Any) -> bool:
        """Called on the loop with news, its end, or why no thread can do anything."""
        if value is not _MORE:
            if value is not None and self.pending:
                self.stop = Stop(self.pending.popleft(), True, value)
            self.ended = True
            if self._abandoned:
                self.let_go()
        self._tell(self)
        return self.ended

    def _done(self, target: Target, send: Send) -> tuple[bool, Any]:
        self.began = self._clock()
        together = getattr(target, "run_chunk", None)
        if together is not None:
            self._work_together(together, send)
        elif self._arguments is None:
            self._work_on_items(target)
        else:
            self._work_on_items(_called_with(target, self._arguments))
        self.seconds = self._clock() - self.began
        return True, None

    def _work_on_items(self, target: Target) -> None:
        """The loop of a thread: whatever is added here is paid for by every item."""
        take, keep, unsettled = self.pending.popleft, self._values.append, self._unsettled
        item = value = settled = None
        try:
            while True:
                try:
                    item = take()
                except IndexError:
                    return
                value = target(item)
                if type(value) is not settled:
                    if unsettled(type(value)):
                        self.stop = Stop(item, False, value)
                        return
                    settled = type(value)
                keep(value)
        except Closed:
            raise
        except BaseException as error:  # noqa: BLE001 - carried to the loop whatever it is
            self.stop = Stop(item, True, carried(error))
            value = None  # It keeps this frame, which is not to keep the last value.

    def _work_together(self, run: Together, send: Send) -> None:
        """Hand on all that is there; what came behind a failure is pending again."""
        items: list[Any] = []
        # One by one: the loop may be taking items back.
        with suppress(IndexError):
            while True:
                items.append(self.pending.popleft())
        calls, broken = self._calls(items)
        done = 0
        settled = None
        for succeeded, value in run(calls):
            done += 1
            kind = type(value)
            if not succeeded or (kind is not settled and self._unsettled(kind)):
                self.stop = Stop(items[done - 1], not succeeded, value)
                break
            settled = kind
            self._values.append(value)
            if self._each_at_once:
                send((self, True, _MORE))
        if self.stop is None and broken is not None:
            self.stop = Stop(items[done], True, broken)
            done += 1
        if not self._abandoned:
            self.pending.extend(islice(items, done, None))

    def _calls(
        self, items: list[Any]
    ) -> tuple[list[tuple[tuple[Any, ...], dict[str, Any]]], BaseException | None]:
        """What to call with, up to the first item for which that cannot be said."""
        if self._arguments is None:
            return [((item,), {}) for item in items], None
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        for item in items:
            try:
                calls.append(self._arguments(item))
            except Exception as error:  # noqa: BLE001 - it is this item's error
                return calls, carried(error)
        return calls, None


def _called_with(target: Target, arguments: Arguments) -> Target:
    def call(item: Any) -> Any:
        args, kwargs = arguments(item)
        return target(*args, **kwargs)

    return call
