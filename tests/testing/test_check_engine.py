"""The engine kit passes the local engine, and names the rule that a broken one breaks."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from contextlib import suppress
from types import MappingProxyType

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.engine import Engine
from asyncdataflow.errors import BrokenRuleError, BusyRunError, ParameterError
from asyncdataflow.local import LocalEngine
from asyncdataflow.stage import stage
from asyncdataflow.testing import check_engine, run_flow

ALL = [
    *("RS 1.1", "RS 1.3", "RS 1.4", "RS 1.5", "RS 1.7", "RS 1.8", "RS 1.9"),
    *("RS 3.5", "RS 3.7", "RS 3.12", "RS 3.13"),
    *("A8", "B13", "B15", "B17", "B21", "C22", "C24", "C29", "D34", "D35", "D36", "D44", "F58", "G69", "H71"),
]


def test_the_local_engine_keeps_all_rules():
    assert [rule.number for rule in check_engine(LocalEngine())] == ALL


class Altered:
    """A local run, with one thing wrong with it."""

    def __init__(self, plan):
        self.plan = plan
        self.run = LocalEngine().begin(plan)

    def __getattr__(self, name):
        return getattr(self.run, name)

    async def __aenter__(self):
        await self.run.__aenter__()
        return self

    async def __aexit__(self, *error):
        return await self.run.__aexit__(*error)

    def __aiter__(self):
        return self

    async def __anext__(self):
        return (await self.next_placed())[1]

    async def next_placed(self):
        return await self.run.next_placed()


class Eager(Altered):
    """Takes results that nobody asked for."""

    async def __aenter__(self):
        await super().__aenter__()
        self.ready = asyncio.Queue()
        self.taking = asyncio.create_task(self.take())
        return self

    async def take(self):
        try:
            while True:
                await self.ready.put((await self.run.next_placed(), None))
        except Exception as error:  # noqa: BLE001 - handed on
            await self.ready.put((None, error))

    async def __aexit__(self, *error):
        self.taking.cancel()
        return await super().__aexit__(*error)

    async def next_placed(self):
        placed, error = await self.ready.get()
        if error is not None:
            raise error
        return placed


class Shared(Altered):
    """Whoever comes second waits."""

    def __init__(self, plan):
        super().__init__(plan)
        self.lock = asyncio.Lock()

    async def next_placed(self):
        async with self.lock:
            return await self.run.next_placed()


class Disturbed(Altered):
    """Whoever comes second is refused, and the first is given something else."""

    refused = False

    async def next_placed(self):
        try:
            place, result = await self.run.next_placed()
        except BusyRunError:
            self.refused = True
            raise
        return place, "disturbed" if self.refused else result


class Wraps(Altered):
    async def next_placed(self):
        try:
            return await self.run.next_placed()
        except LookupError as error:
            raise RuntimeError("somewhere, something failed") from error


class SwallowsFailures(Altered):
    async def next_placed(self):
        try:
            return await self.run.next_placed()
        except LookupError:
            raise StopAsyncIteration from None


class LosesTheLast(Altered):
    async def next_placed(self):
        place, result = await self.run.next_placed()
        if result == 9:
            raise StopAsyncIteration
        return place, result


class RaisesAgain(Altered):
    failure = None

    async def next_placed(self):
        if self.failure is not None:
            raise self.failure
        try:
            return await self.run.next_placed()
        except LookupError as error:
            self.failure = error
            raise


class GivesWhenClosed(Altered):
    late = False

    async def aclose(self):
        await self.run.aclose()
        self.late = True

    async def next_placed(self):
        if self.late:
            self.late = False
            return 0, "late"
        return await self.run.next_placed()


class Begun(Altered):
    """Runs from the moment that it is made."""

    def __init__(self, plan):
        super().__init__(plan)
        self.begun = asyncio.create_task(self.run.__aenter__())


class LeavesWaiting(Altered):
    """What is closed from elsewhere lets who waits wait on."""

    async def next_placed(self):
        try:
            return await self.run.next_placed()
        except StopAsyncIteration:
            if self.run.stats().results == 0:
                await asyncio.sleep(3600)
            raise


class ClosesOnce(Altered):
    closed = False

    async def aclose(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True
        await self.run.aclose()


class GoesOnWhenStopped(Altered):
    def stop(self, timeout=5.0):
        pass


class ClosesLater(Altered):
    async def aclose(self):
        self.run.stop()


class Holds(Altered):
    """The run itself lets go; what began it does not."""


class LetsGo(Altered):
    """The rest, whose rule is about something else than what they hold."""

    async def __aexit__(self, *error):
        self.plan = None
        return await super().__aexit__(*error)


class Reorders(LetsGo):
    """The first two change places."""

    async def next_placed(self):
        if not hasattr(self, "held"):
            self.held = await self.run.next_placed()
            with suppress(StopAsyncIteration):
                return await self.run.next_placed()
        if self.held is not None:
            held, self.held = self.held, None
            return held
        return await self.run.next_placed()


class OneBranch(LetsGo):
    async def next_placed(self):
        while True:
            place, result = await self.run.next_placed()
            if place == 0:
                return place, result


class EndsWithTheFirst(LetsGo):
    """A merge is over when one that it merges is."""

    async def next_placed(self):
        place, result = await self.run.next_placed()
        if result == 103:
            raise StopAsyncIteration
        return place, result


class EndsAtNone(LetsGo):
    async def next_placed(self):
        place, result = await self.run.next_placed()
        if result == "NoneType":
            raise StopAsyncIteration
        return place, result


class LeavesATask(LetsGo):
    async def __aenter__(self):
        self.task = asyncio.create_task(asyncio.sleep(3600))
        return await super().__aenter__()


class SwallowsCancellations(LetsGo):
    async def next_placed(self):
        try:
            return await self.run.next_placed()
        except asyncio.CancelledError:
            raise StopAsyncIteration from None


class Unnamed(LetsGo):
    async def next_placed(self):
        try:
            return await self.run.next_placed()
        except LookupError as error:
            raise LookupError(*error.args) from None


class FailsBeforeTheEnd(LetsGo):
    """The error overtakes everything else."""

    async def next_placed(self):
        if self.run.stats().results == 3:
            raise LookupError("three")
        return await self.run.next_placed()


class SwallowsErrorsOfTheBlock(LetsGo):
    async def __aexit__(self, *error):
        await super().__aexit__(*error)
        return True


class ReplacesErrorsOfTheBlock(LetsGo):
    async def __aexit__(self, kind, error, trace):
        await super().__aexit__(None, None, None)
        if error is not None:
            raise RuntimeError("the block failed")


class Overtakes(LetsGo):
    """Fails first, and forgets what lay ready."""

    async def next_placed(self):
        placed = await self.run.next_placed()
        for _ in range(50):
            await asyncio.sleep(0)
        if self.run.failures:
            raise self.run.failures[0]
        return placed


class StopsForDrain(LetsGo):
    def drain(self, timeout=30.0):
        self.run.stop()


class Unplaced(LetsGo):
    async def next_placed(self):
        _, result = await self.run.next_placed()
        return 0, result


class Miscounts(LetsGo):
    def stats(self):
        seen = self.run.stats()
        return dataclasses.replace(seen, results=seen.results + 1)


class CountsNoStages(LetsGo):
    def stats(self):
        return dataclasses.replace(self.run.stats(), stages=MappingProxyType({}))


class OneForAll(LetsGo):
    """Runs of one flow read from the first one's items."""

    first = None

    def __init__(self, plan):
        kind = type(self)
        if isinstance(plan.items, range) and plan.items != range(50):
            kind.first = kind.first or iter(plan.items)
            plan = dataclasses.replace(plan, items=kind.first)
        super().__init__(plan)


class Unordered(LetsGo):
    """Several workers make no difference, but for the order."""

    def __init__(self, plan):
        stages = tuple(
            dataclasses.replace(each, ordered=False) if each.concurrency > 1 else each
            for each in plan.graph.stages
        )
        super().__init__(dataclasses.replace(plan, graph=dataclasses.replace(plan.graph, stages=stages)))


BROKEN = [
    ("RS 1.1", Eager),
    ("RS 1.3", Shared),
    ("RS 1.3", Disturbed),
    ("RS 1.4", Wraps),
    ("RS 1.4", SwallowsFailures),
    ("RS 1.5", LosesTheLast),
    ("RS 1.7", RaisesAgain),
    ("RS 1.8", GivesWhenClosed),
    ("RS 1.9", Begun),
    ("RS 3.5", LeavesWaiting),
    ("RS 3.7", ClosesOnce),
    ("RS 3.12", ClosesLater),
    ("RS 3.12", GoesOnWhenStopped),
    ("RS 3.13", Holds),
    ("A8", Reorders),
    ("B13", Unordered),
    ("B15", OneBranch),
    ("B17", EndsWithTheFirst),
    ("B21", EndsAtNone),
    ("C22", LeavesATask),
    ("C24", SwallowsCancellations),
    ("C29", OneForAll),
    ("D34", Unnamed),
    ("D35", FailsBeforeTheEnd),
    ("D36", SwallowsErrorsOfTheBlock),
    ("D36", ReplacesErrorsOfTheBlock),
    ("D44", Overtakes),
    ("F58", StopsForDrain),
    ("G69", Unplaced),
    ("H71", Miscounts),
    ("H71", CountsNoStages),
]


class Altering(Engine):
    def __init__(self, kind):
        self.kind = kind

    def begin(self, plan):
        return self.kind(plan)


@pytest.mark.parametrize(
    ("rule", "kind"), [pytest.param(*each, id=f"{each[0]} {each[1].__name__}") for each in BROKEN]
)
def test_a_broken_engine_is_found_and_the_rule_named(rule, kind):
    with pytest.raises(BrokenRuleError) as caught:
        check_engine(Altering(kind), settle=0.005, deadline=1.0)
    assert rule in re.findall(r"^  (\S+|RS \S+): ", str(caught.value), re.M)


def test_every_rule_can_be_broken():
    assert {rule for rule, _ in BROKEN} == set(ALL)


class Recording(Engine):
    def __init__(self):
        self.plans = []

    def begin(self, plan):
        self.plans.append(plan)
        return LocalEngine().begin(plan)


async def test_a_kit_called_in_a_running_loop_says_where_to_call_it():
    with pytest.raises(RuntimeError, match=r"the engine .* call the kit from a plain function"):
        check_engine(LocalEngine())


async def times(number, *, by):
    return number * by


async def test_an_engine_is_given_the_whole_plan():
    engine = Recording()
    flow = DataFlow(stage(times), name="multiples", resources={"by": 3}, fuse=False)
    async with flow.stream(items=[1, 2], engine=engine, buffer=5) as run:
        assert [result async for result in run] == [3, 6]
    (plan,) = engine.plans
    assert (plan.name, plan.items, plan.buffer, plan.fuse) == ("multiples", [1, 2], 5, False)
    assert (dict(plan.params), dict(plan.resources)) == ({}, {"by": 3})
    assert plan.graph is run.graph


async def test_every_way_to_run_on_an_engine_asks_it():
    engine = Recording()
    flow = DataFlow(times)
    assert await flow.run({"by": 2}, items=[1], engine=engine) == [2]
    assert await run_flow(flow, [1, 2], params={"by": 2}, engine=engine) == [2, 4]
    assert len(engine.plans) == 2


def test_what_is_wrong_is_refused_before_the_engine_is_asked():
    engine = Recording()
    with pytest.raises(ParameterError, match="by"):
        DataFlow(times).stream(items=[1], engine=engine)
    assert not engine.plans


@pytest.mark.parametrize("engine", ["local", LocalEngine], ids=["a name", "a class"])
def test_what_is_no_engine_is_refused(engine):
    with pytest.raises(ParameterError, match=r"engine= is an instance .* leave it out"):
        DataFlow(times).stream({"by": 1}, items=[1], engine=engine)
