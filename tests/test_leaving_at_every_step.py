"""A stream left at every step, in every way: nothing goes on, everything is closed (invariant 22).

Each flow runs once to count the steps of its tasks, and then once for every step, at which
the consumer is cancelled, timed out or closed from another task; break and an exception in
the body leave behind every result, at once or some turns later. The order of steps is drawn
from a seed. A ledger knows of each generator of the user's whether it was begun and how
often its ``finally`` ran to its end, and in which thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from asyncdataflow import DataFlow, batch, stage
from asyncdataflow.testing.seeded_loop import SeededLoop, SeededRealLoop

pytestmark = pytest.mark.usefixtures("both_ways")

SEEDS = (0, 1)
ITEMS = 3


class Ledger:
    """Generators and resources by name: begun, and closed to the end of their ``finally``."""

    def __init__(self):
        self.begun = Counter()
        self.closed = Counter()
        self.wrong_thread = []
        self.interrupted = []
        self._numbers = Counter()

    def enter(self, name):
        self._numbers[name] += 1
        who = f"{name} {self._numbers[name]}"
        self.begun[who] += 1
        return who, threading.get_ident()

    def leave(self, entered):
        who, thread = entered
        self.closed[who] += 1
        if threading.get_ident() != thread:
            self.wrong_thread.append(who)

    async def leave_slowly(self, entered):
        """A clean-up that awaits: a worker that was cancelled already is not cancelled again in it."""
        before = asyncio.current_task().cancelling()
        try:
            for _ in range(2):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            if before:
                self.interrupted.append(entered[0])
            raise
        finally:
            self.leave(entered)

    def check(self, case):
        assert self.closed == self.begun, f"{case}: begun {self.begun}, closed {self.closed}"
        assert not self.interrupted, f"{case}: cancelled again in their clean-up: {self.interrupted}"
        assert not self.wrong_thread, f"{case}: closed in another thread: {self.wrong_thread}"


class Parts:
    """What the flows are made of; everything that has to be closed is in the ledger."""

    def __init__(self, ledger):
        self.ledger = ledger

    async def source(self):
        entered = self.ledger.enter("source")
        try:
            for number in range(ITEMS):
                await asyncio.sleep(0)
                yield number
        finally:
            await self.ledger.leave_slowly(entered)

    def blocking_source(self):
        entered = self.ledger.enter("blocking source")
        try:
            yield from range(ITEMS)
        finally:
            self.ledger.leave(entered)

    async def work(self, item):
        entered = self.ledger.enter("work")
        try:
            await asyncio.sleep(0)
            return item
        finally:
            await self.ledger.leave_slowly(entered)

    def blocking_work(self, item):
        entered = self.ledger.enter("blocking work")
        try:
            return item
        finally:
            self.ledger.leave(entered)

    async def expand(self, item):
        entered = self.ledger.enter("expand")
        try:
            for part in range(2):
                yield item, part
                await asyncio.sleep(0)
        finally:
            await self.ledger.leave_slowly(entered)

    def blocking_expand(self, item):
        entered = self.ledger.enter("blocking expand")
        try:
            for part in range(2):
                yield item, part
        finally:
            self.ledger.leave(entered)


def over_async_functions(parts):
    return parts.source, stage(parts.work, concurrency=2, buffer=1), stage(parts.work, name="again", buffer=1)


def over_async_generators(parts):
    return parts.source, stage(parts.expand, buffer=1), batch(2, buffer=1)


def over_a_diamond(parts):
    branches = stage(parts.work, buffer=1), stage(parts.expand, buffer=1, concurrency=2)
    return (
        (parts.source, stage(parts.source, name="other")),
        branches,
        stage(parts.work, name="last", buffer=1),
    )


def over_threads(parts):
    return parts.blocking_source, stage(parts.blocking_work, concurrency=2, buffer=1)


def over_generators_in_threads(parts):
    return parts.blocking_source, stage(parts.blocking_expand, buffer=1)


def over_both(parts):
    return (
        (parts.source, parts.blocking_source),
        stage(parts.blocking_expand, buffer=1, concurrency=2),
        stage(parts.work, buffer=1),
    )


ON_THE_LOOP = [over_async_functions, over_async_generators, over_a_diamond]
IN_THREADS = [over_threads, over_generators_in_threads, over_both]


class LeftError(Exception):
    """Raised in the body of the consumer."""


async def cancelled(run, at):
    at(asyncio.current_task().cancel)
    try:
        async with run:
            async for _ in run:
                pass
    except asyncio.CancelledError:
        assert asyncio.current_task().uncancel() == 0
    else:
        # The cancellation came in the very last step, and is still to be delivered.
        if asyncio.current_task().cancelling():
            asyncio.current_task().uncancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.sleep(0)


async def timed_out(run, at):
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as scope:
            at(lambda: scope.reschedule(loop.time()))
            async with run:
                async for _ in run:
                    pass
            # Left in time: what fires from here on hits nobody.
            scope.reschedule(None)
    except TimeoutError:
        assert scope.expired()
    assert asyncio.current_task().cancelling() == 0


async def closed_from_another_task(run, at):
    closing = []
    at(lambda: closing.append(asyncio.ensure_future(run.aclose())))
    async for _ in run:
        pass
    await run.aclose()
    for task in closing:
        await task
    assert [each async for each in run] == []


async def stopped(run, at):
    at(run.stop)
    async with run:
        async for _ in run:
            pass
    assert run.failures == []


WAYS = [cancelled, timed_out, closed_from_another_task, stopped]


async def iterated(run, results, turns):
    """Take so many results, and let so many turns of the loop pass."""
    for _ in range(results):
        await anext(run, None)
    for _ in range(turns):
        await asyncio.sleep(0)


async def broken_out_of(run, results, turns):
    async with run:
        await iterated(run, results, turns)


async def raised_out_of(run, results, turns):
    error = LeftError("mine")
    with pytest.raises(LeftError) as caught:
        async with run:
            await iterated(run, results, turns)
            raise error
    assert caught.value is error
    assert not getattr(error, "__notes__", ())


async def closed_without_a_block(run, results, turns):
    if results:
        count = 0
        async for _ in run:
            count += 1
            if count == results:
                break
    await iterated(run, 0, turns)
    await run.aclose()
    await run.aclose()


def behind(way, results, turns):
    return lambda run: way(run, results, turns)


def played(loop_class, seed, shape, leave, case):
    """Steps of a run that ``leave(run, at)`` leaves; nothing may be left of it when it returns."""
    ledger = Ledger()
    threads = set(threading.enumerate())
    with asyncio.Runner(loop_factory=lambda: loop_class(seed)) as runner:
        loop = runner.get_loop()

        async def main():
            run = DataFlow(shape(Parts(ledger))).stream(buffer=1)
            await leave(run)
            steps = loop.steps
            loop.hooks.clear()
            assert asyncio.all_tasks() == {asyncio.current_task()}, case
            assert set(threading.enumerate()) <= threads, case
            assert run.state in ("ended", "failed"), case
            assert run.failures == [], case
            ledger.check(case)
            return steps

        return runner.run(main())


def swept(loop_class, shape, way, seed):
    """Leave at every step; how many steps there were."""

    def at_step(step):
        def leave(run):
            hooks = asyncio.get_running_loop().hooks
            return way(run, lambda call: hooks.__setitem__(step, call))

        return leave

    steps = played(loop_class, seed, shape, at_step(-1), "unharmed")
    for step in range(1, steps + 1):
        played(loop_class, seed, shape, at_step(step), f"{way.__name__} after step {step} of seed {seed}")
    return steps


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", ON_THE_LOOP)
def test_a_run_on_the_loop_may_be_left_at_any_step(shape, way, seed):
    assert swept(SeededLoop, shape, way, seed) > 30


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", IN_THREADS)
def test_a_run_with_threads_may_be_left_at_any_step(shape, way):
    """How far the threads have come at a step differs from run to run: all of it has to hold."""
    assert swept(SeededRealLoop, shape, way, 0) > 10


@pytest.mark.parametrize("way", [broken_out_of, raised_out_of, closed_without_a_block])
@pytest.mark.parametrize("shape", [*ON_THE_LOOP, *IN_THREADS])
def test_a_body_may_be_left_behind_any_result(shape, way):
    loop_class = SeededLoop if shape in ON_THE_LOOP else SeededRealLoop
    for results in range(ITEMS + 1):
        for turns in (0, 1, 2, 3, 5, 8, 13):
            case = f"{way.__name__} behind {results} results and {turns} turns"
            played(loop_class, turns, shape, behind(way, results, turns), case)


def negative(item):
    return -item


@pytest.mark.parametrize("results", [0, 1, 2])
def test_a_run_with_processes_may_be_left(results):
    """Its children are gone: the check behind every test counts them."""

    def flow(_):
        return range(ITEMS), stage(negative, executor="process", concurrency=2, buffer=1)

    played(SeededRealLoop, 0, flow, behind(broken_out_of, results, 1), f"behind {results}")
