"""Shapes of how a run ends: ``take until``, sinks, endless sources that are drained or left."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

from asyncdataflow import DataFlow, Source, batch, stage, take, until, zip_
from asyncdataflow.errors import UnevenZipError
from asyncdataflow.testing import CollectSink, Faults

from .shape import FIRM, HARD, SLOW, Built, Shape, Spaced, report, step, thread_step

__all__ = ("SHAPES",)


def the_first_few() -> Built:
    """``take`` of an endless source on the loop: it is closed."""
    closed: list[bool] = []

    async def endless() -> AsyncIterator[int]:
        try:
            for n in itertools.count():
                yield await step(n)
        finally:
            # First: a fault may end the generator, whose clean-up is then no affair of the runtime's.
            closed.append(True)
            await step(None)

    flow = DataFlow((endless, stage(step, concurrency=3, buffer=2), take(4, buffer=1)))

    def claim(results: list[int]) -> None:
        assert results == [0, 1, 2, 3]
        assert closed == [True]

    return flow, claim


def until_it_is_enough() -> Built:
    """``until`` behind a thread that reads ahead, and a generator that is in the middle of an item."""
    closed: list[str] = []

    def endless() -> Iterator[int]:
        try:
            for n in itertools.count():
                yield thread_step(n)
        finally:
            closed.append("source")

    async def twice(n: int) -> AsyncIterator[int]:
        try:
            yield await step(n)
            yield n
        finally:
            closed.append("stage")
            await step(None)

    flow = DataFlow((endless, stage(twice, buffer=2), until(lambda n: n == 3, buffer=1)))

    def claim(results: list[int]) -> None:
        assert results == [0, 0, 1, 1, 2, 2]
        assert closed.count("source") == 1
        assert closed.count("stage") >= 4

    return flow, claim


class _SlowToClose(Source[int]):
    """Its disconnecting is not cut short, whatever ends the run."""

    def __init__(self) -> None:
        self.closed = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[int]]:
        yield Spaced(range(5)).read()
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            report("a clean-up was cancelled")
            raise
        self.closed += 1


def a_source_that_is_slow_to_close() -> Built:
    source = _SlowToClose()
    flow = DataFlow((source, stage(step, concurrency=2, retry=FIRM)))

    def claim(results: list[int]) -> None:
        assert results == [0, 1, 2, 3, 4]
        assert source.closed == 1

    return flow, claim


def a_worker_that_is_stuck() -> Built:
    """Two of three wait for good when nobody wants more: nobody waits for them."""
    ended: list[float] = []

    @asynccontextmanager
    async def watch() -> AsyncIterator[None]:
        yield
        ended.append(asyncio.get_running_loop().time())

    async def stuck(n: int, *, watch: None) -> int:
        if n in (1, 3):
            await asyncio.Event().wait()
        return n

    workers = stage(stuck, concurrency=3, ordered=False, buffer=1)
    flow = DataFlow((itertools.count(), workers, take(4)), resources={"watch": watch})

    def claim(results: list[int]) -> None:
        assert sorted(results) == [0, 2, 4, 5]
        # Less than the grace of those that do not end.
        assert ended[0] < 4.0

    return flow, claim


def an_error_behind_results() -> Built:
    """A run in a stage: its consumer is slow, and gets what was ready before it gets the error."""
    got: list[int] = []

    async def fragile(n: int) -> int:
        if n == 5:
            raise ValueError(n)
        return n

    async def consume(_: int) -> str:
        try:
            async with DataFlow((range(9), stage(fragile, buffer=1))).stream() as run:
                async for result in run:
                    got.append(result)
                    await asyncio.sleep(1.0)
        except ValueError as error:
            return f"{error} after {len(got)}"
        return "no error"

    flow = DataFlow((Spaced([0]), consume))

    def claim(results: list[str]) -> None:
        assert results == ["5 after 5"]
        assert got == [0, 1, 2, 3, 4]

    return flow, claim


def a_zip_of_uneven_branches() -> Built:
    """An error with the counts, and not an early end."""

    async def consume(_: int) -> str:
        try:
            await DataFlow(((Spaced(range(4)), range(3)), zip_)).run()
        except UnevenZipError:
            return "uneven"
        return "no error"

    flow = DataFlow((Spaced([0]), consume))

    def claim(results: list[str]) -> None:
        assert results == ["uneven"]

    return flow, claim


def one_branch_wants_no_more() -> Built:
    """The other gets everything all the same."""
    few = (stage(step, name="few", retry=FIRM, buffer=1), take(2))
    flow = DataFlow((Spaced(range(9)), (few, stage(_marked, retry=FIRM, buffer=2))))

    def claim(results: list[int]) -> None:
        assert [n for n in results if n < 100] == [0, 1]
        assert [n for n in results if n >= 100] == [100 + n for n in range(9)]

    return flow, claim


async def _marked(n: int) -> int:
    return 100 + n


def a_sink_at_the_end() -> Built:
    """Written at least once, where its fault comes behind the write."""
    sink: CollectSink[int] = CollectSink(delay=0.2)
    flow = DataFlow((range(9), stage(step, concurrency=2, retry=FIRM), stage(sink, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert results == []
        assert list(dict.fromkeys(sink.items)) == list(range(9))
        assert sink.items == sorted(sink.items)
        assert (sink.opened, sink.closed) == (1, 1)

    return flow, claim


def a_source_that_gives_items_again() -> Built:
    """It reconnects, redelivers and ends early: what is made of it is all that it gave."""
    flow = DataFlow((Spaced(range(9)), stage(step, concurrency=2, retry=FIRM, buffer=2)))

    def claim(results: list[int]) -> None:
        assert list(dict.fromkeys(results)) == list(range(len(set(results))))

    return flow, claim


def a_service_on_the_loop() -> Built:
    """Endless, until it is drained: everything that was made comes out, partial batches too."""
    made: list[int] = []

    async def endless() -> AsyncIterator[int]:
        for n in itertools.count():
            await step(n)
            made.append(n)
            yield n

    flow = DataFlow((endless, stage(step, concurrency=2, buffer=2), batch(3, buffer=2)))

    def claim(results: list[list[int]]) -> None:
        assert [n for each in results for n in each] == made
        assert all(each for each in results)

    return flow, claim


def a_service_in_threads() -> Built:
    """A thread reads ahead: what it has made when it is drained comes out."""
    made: list[int] = []

    def endless() -> Iterator[int]:
        for n in itertools.count():
            thread_step(n)
            made.append(n)
            yield n

    flow = DataFlow((endless, stage(thread_step, concurrency=2, buffer=4)))

    def claim(results: list[int]) -> None:
        assert results == made

    return flow, claim


SHAPES = (
    Shape(a_source_that_is_slow_to_close),
    # Any would make it another story.
    Shape(a_worker_that_is_stuck, Faults()),
    Shape(an_error_behind_results, SLOW),
    Shape(a_zip_of_uneven_branches, SLOW),
    Shape(the_first_few, SLOW),
    Shape(until_it_is_enough, SLOW),
    Shape(one_branch_wants_no_more),
    Shape(a_sink_at_the_end),
    Shape(a_source_that_gives_items_again, replace(HARD, reconnects=0.05, redelivers=0.05, ends_early=0.02)),
    Shape(a_service_on_the_loop, Faults(slow=0.1, drains=1.0)),
    Shape(a_service_in_threads, Faults(slow=0.1, drains=1.0)),
)
