"""Shape: a small flow of one kind, what has to come out of it, and which faults it withstands."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from asyncdataflow import Answer, DataFlow, Retry, Source
from asyncdataflow.errors import StageCancelledError
from asyncdataflow.testing import Faults, Report, simulate, sweep

from .acked import acked, is_followed, unsettled

__all__ = (
    "FIRM",
    "HARD",
    "MODES",
    "ROUGH",
    "SLOW",
    "Built",
    "Mode",
    "Shape",
    "Spaced",
    "in_order",
    "quick_step",
    "report",
    "seeds_of",
    "step",
    "thread_step",
)

Built = tuple[DataFlow[Any, Any], Callable[[Any], object]]
"""A flow, built anew, and the claim about what comes out of this very flow."""

Mode = Literal["calm", "withstood", "rough"]

MODES: tuple[Mode, ...] = ("calm", "withstood", "rough")
"""Without faults; with those that change nothing of the results; with any that may end the run."""

FIRM = Retry(attempts=None, backoff=0.5, on=(ConnectionError, StageCancelledError))
"""Withstands every fault that a stage can meet."""

SLOW = Faults(slow=0.2, late=0.2)
"""For shapes with functions that nothing retries."""

HARD = Faults(slow=0.1, raises=0.05, cancelled=0.01, refuses=0.05, late=0.1, error=ConnectionError)
"""For shapes in which every function is retried."""

ROUGH = Faults(
    slow=0.05, raises=0.01, cancelled=0.005, dies=0.01, refuses=0.01, late=0.05, stops=0.15, leaves=0.15
)


@dataclass(frozen=True)
class Shape:
    """A shape of graphs.

    Attributes:
        build: Makes the flow and the claim that holds of its results.
        withstands: Faults under which the same is claimed.
        certain: Under these every run comes to its end.
    """

    build: Callable[[], Built]
    withstands: Faults = HARD
    certain: bool = True

    @property
    def name(self) -> str:
        """As its function is called."""
        return self.build.__name__

    def faults(self, mode: Mode) -> Faults | None:
        """What goes wrong in a mode."""
        if self.withstands.drains:
            # It has no end of its own.
            return self.withstands
        return {"calm": None, "withstood": self.withstands, "rough": ROUGH}[mode]

    @property
    def is_followed(self) -> bool:
        """Its sources can be told what became of each item."""
        return is_followed(self.build()[0])

    def simulate(self, mode: Mode, seeds: Iterable[int], *, acks: bool = False) -> Report:
        """Run it under seeds; with ``acks`` its sources want to know what became of each item."""
        make, claim = self._story(mode, acks=acks)
        return simulate(make, check=claim, seeds=seeds, faults=self.faults(mode))

    def sweep(self, seed: int, *, acks: bool = False) -> Report:
        """Cancel and raise at every step of one seed."""
        make, claim = self._story("rough", acks=acks)
        return sweep(make, check=claim, seed=seed)

    def _story(
        self, mode: Mode, *, acks: bool
    ) -> tuple[Callable[[], DataFlow[Any, Any]], Callable[[Any], object]]:
        claims: list[Callable[[Any], object]] = []

        def make() -> DataFlow[Any, Any]:
            flow, claim = self.build()
            # Drawn from the seed: half of them with a worker for each stage.
            flow.fuse = random.random() < 0.5
            claims[:] = [claim]
            if acks:
                told = acked(flow)
                if mode == "calm":
                    claims.append(lambda _: _nothing(unsettled(flow, told)))
            return flow

        def claim(results: Any) -> object:
            for each in claims:
                each(results)
            return None

        make.__qualname__ = self.name
        claim.__qualname__ = f"what {self.name} claims"
        return make, claim


def _nothing(nacked: Sequence[Answer]) -> None:
    assert not nacked, [(each.message, each.error) for each in nacked]


def seeds_of(count: int) -> dict[Mode, range]:
    """So many seeds, shared out among the modes."""
    bounds = [count * place // len(MODES) for place in range(len(MODES) + 1)]
    return {mode: range(bounds[place], bounds[place + 1]) for place, mode in enumerate(MODES)}


class Spaced(Source[Any]):
    """Items on the loop with pauses between them, all drawn from the seed.

    Args:
        items: The items.
        share: Of those behind a pause.
    """

    def __init__(self, items: Iterable[Any], share: float = 0.7) -> None:
        self._items = items
        self._share = share

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Any]]:
        yield self.read()

    async def read(self) -> AsyncGenerator[Any, None]:
        """The items themselves."""
        for item in self._items:
            if random.random() < self._share:
                await asyncio.sleep(random.random())
            yield item


def report(message: str) -> None:
    """Say that something is wrong where nobody is told of what is raised: the ledger hears this."""
    asyncio.get_running_loop().call_exception_handler({"message": message})


async def step(item: Any) -> Any:
    """Takes its time on the loop; so do its namesakes elsewhere."""
    if random.random() < 0.7:
        await asyncio.sleep(random.random())
    return item


async def quick_step(item: Any) -> Any:
    """Takes its time now and then."""
    if random.random() < 0.03:
        await asyncio.sleep(random.random())
    return item


def thread_step(item: Any) -> Any:
    """In a thread."""
    if random.random() < 0.7:
        time.sleep(random.random())
    return item


def in_order(results: Iterable[Any], first: int, last: int) -> None:
    """Of all results those of one source, as they came."""
    assert [each for each in results if first <= each < last] == list(range(first, last))
