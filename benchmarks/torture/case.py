"""One run of one flow: what it is given, drawn from its number, and what its consumer notes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from .items import UNLOADABLE, BoomError, Hostile, UnloadableError

MIXED: Final = "mixed worker kinds"
MIXED_PROCESS: Final = "mixed, with processes"
RAISES: Final = "exception in a stage"
BREAKS: Final = "early break"
INTERRUPTED: Final = "Ctrl-C"
SLOW_SINK: Final = "slow sink"
POISON: Final = "poison item"
POISON_PROCESS: Final = "poison item, to processes"

FLOWS: Final = (MIXED, MIXED_PROCESS, RAISES, BREAKS, INTERRUPTED, SLOW_SINK, POISON, POISON_PROCESS)
WITH_PROCESSES: Final = frozenset({MIXED_PROCESS, POISON_PROCESS})

ENDLESS: Final = {BREAKS: 20_000, INTERRUPTED: 1_000_000, SLOW_SINK: 1_000}
"""Items of the sources that stand for endless ones; a leak that goes on pulling ends all the same."""

STALLS_AFTER: Final = 20
"""Results that the slow sink takes before it stands still."""

Item = Any


class Case:
    """What one run is given and what it notes; the same number gives every package the same."""

    def __init__(self, flow: str, number: int, middle: Callable[[], None]) -> None:
        """Draw the run; ``middle`` is called once, when Ctrl-C may come."""
        draw = random.Random(number)  # noqa: S311 - a case to be drawn again, not a secret
        self.flow = flow
        self.number = number
        self.count = draw.randint(50, 200)
        self.concurrency = draw.choice((1, 2, 4))
        self.special = draw.randrange(self.count)
        self.on_loop_raises = draw.random() < 0.5
        self.leave_after = draw.randint(1, 40)
        self.synchronously = draw.random() < 0.5
        self.raises_unloadable = draw.random() < 0.5
        self.count = ENDLESS.get(flow, self.count)
        self.hostile = Hostile()
        self.taken: list[int] = []
        self.pulled = 0
        self.open_sources = 0
        self.ahead = 0
        self.left: list[str] = []
        self._middle = middle

    @property
    def with_processes(self) -> bool:
        """Whether the flow ends in a stage that runs in processes."""
        return self.flow in WITH_PROCESSES

    def numbers(self) -> Generator[Item]:
        """The source."""
        self.open_sources += 1
        try:
            for number in range(self.count):
                self.pulled += 1
                yield self._item(number)
        finally:
            self.open_sources -= 1

    def _item(self, number: int) -> Item:
        if number != self.special or self.flow not in {POISON, POISON_PROCESS}:
            return number
        if not self.raises_unloadable:
            return self.hostile
        return UNLOADABLE if self.flow == POISON_PROCESS else number

    async def on_loop(self, item: Item) -> Item:
        """The coroutine stage."""
        await asyncio.sleep(0)
        if self.on_loop_raises:
            self._raise_at(item)
        return item

    def in_thread(self, item: Item) -> Item:
        """The stage that runs in threads."""
        if not self.on_loop_raises:
            self._raise_at(item)
        return item

    def _raise_at(self, item: Item) -> None:
        if item is self.hostile or item != self.special:
            return
        if self.flow == RAISES:
            raise BoomError(item)
        if self.flow == POISON and self.raises_unloadable:
            raise UnloadableError("first", "second")

    def take(self, item: Item) -> bool:
        """What a synchronous consumer does with a result; true where it has enough and leaves."""
        self._note(item)
        if self._stalls:
            for _ in self._standstill():
                time.sleep(0.005)
        return self._has_enough

    async def take_async(self, item: Item) -> bool:
        """The same for an asynchronous consumer."""
        self._note(item)
        if self._stalls:
            for _ in self._standstill():
                await asyncio.sleep(0.005)
        return self._has_enough

    def _note(self, item: Item) -> None:
        self.taken.append(self.special if item is self.hostile else item)
        if self.flow == INTERRUPTED and len(self.taken) == self.leave_after:
            self._middle()

    @property
    def _stalls(self) -> bool:
        return self.flow == SLOW_SINK and len(self.taken) == STALLS_AFTER

    @property
    def _has_enough(self) -> bool:
        return self.flow == BREAKS and len(self.taken) >= self.leave_after

    def _standstill(self) -> Iterator[None]:
        """One step for each look at a source that is still pulled: it is over after ten of the same."""
        same, before = 0, -1
        while same < 10 and self.pulled < self.count:
            same = same + 1 if self.pulled == before else 0
            before = self.pulled
            yield
        self.ahead = self.pulled - len(self.taken)
