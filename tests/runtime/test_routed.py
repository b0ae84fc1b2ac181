"""What chooses for each item where it goes, in stretches: what may happen in the middle of one."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from asyncdataflow import DataFlow, Retry, balance, dead_letter, partition, route, split, stage, take
from asyncdataflow._runtime.routed import RoutedLoop
from asyncdataflow.testing import QueueSource, run_virtual, sweep

MOST_OF_A_TURN = 1024 + 128
"""As in ``test_stretches``."""


async def numbers(count):
    for number in range(count):
        yield number


async def endless():
    for number in itertools.count():
        yield number


def parity(number):
    return "odd" if number % 2 else "even"


def kept(*names, buffer=200):
    """Sinks that keep what they get, by name, and that."""
    taken = {name: [] for name in names}

    def sink(name):
        async def keep(item):
            taken[name].append(item)

        return stage(keep, name=name, buffer=buffer)

    return {name: sink(name) for name in names}, taken


@pytest.fixture
def stretches(monkeypatch):
    """How long each stretch was that anything chose in."""
    seen = []
    choose = RoutedLoop._choose_for_each

    async def choose_for_each(self, items):
        seen.append(items)
        return await choose(self, items)

    monkeypatch.setattr(RoutedLoop, "_choose_for_each", choose_for_each)
    return seen


async def on_the_loop(number):
    return parity(number)


def awaitable(number):
    return on_the_loop(number)


@pytest.mark.parametrize(
    ("choose", "in_stretches"),
    [
        (route(parity), True),
        (route(on_the_loop), True),
        (route(awaitable), True),
        (route(parity, executor="thread"), False),
        (route(on_the_loop, concurrency=3), False),
        (route(lambda number: [parity(number)]), True),
        (split(lambda number: (number, number)), True),
        (partition(lambda number: number), True),
        (balance(), True),
    ],
    ids=["plain", "async", "awaitable", "thread", "several", "list", "split", "partition", "balance"],
)
async def test_items_are_chosen_for_in_stretches_where_nothing_speaks_against_it(
    choose, in_stretches, stretches
):
    """Invariant 16: in order, whichever way it goes."""
    branches, taken = kept("even", "odd")
    await DataFlow((numbers, choose, branches)).run({"count": 500})
    assert all(each == sorted(each) for each in taken.values())
    assert {*taken["even"], *taken["odd"]} == {*range(500)}
    assert bool(stretches) is in_stretches
    # Who returns an awaitable may suspend any time.
    assert not in_stretches or choose.fn is awaitable or max(stretches) > 50


@pytest.mark.parametrize("before", range(1, 24))
def test_nothing_that_was_chosen_for_is_held_back_while_the_function_suspends(before):
    """Whoever waits in one branch hears of it, while the worker of another is at something else."""

    async def main():
        stuck, asked = asyncio.Event(), asyncio.Event()
        seen = []

        async def choose(number):
            if number > before:
                asked.set()
                await stuck.wait()
            return "other" if number == before else "busy"

        async def busy(number):
            await stuck.wait()

        async def other(number):
            seen.append(number)

        branches = {"busy": stage(busy, buffer=100), "other": other}
        async with DataFlow((numbers, route(choose), branches)).stream({"count": before + 2}) as run:
            waiting = asyncio.create_task(run.wait())
            await asyncio.wait_for(asked.wait(), 1)
            await asyncio.sleep(1)
            held_back = not seen
            stuck.set()
            await waiting
        return held_back, seen

    assert run_virtual(main()) == (False, [before])


def test_a_full_branch_keeps_back_what_comes_behind_an_item_for_it_and_nothing_before():
    async def main():
        stuck = asyncio.Event()
        branches, taken = kept("quick")

        async def slow(number):
            await stuck.wait()

        choose = route(lambda number: "slow" if number % 10 == 9 else "quick")
        branches["slow"] = stage(slow, buffer=2)
        async with DataFlow((numbers, choose, branches)).stream({"count": 100}) as run:
            waiting = asyncio.create_task(run.wait())
            await asyncio.sleep(1)
            # One with the slow branch, two in its edge, one that is held out to it.
            before = list(taken["quick"])
            figures = run.stats().stages["route"]
            stuck.set()
            await waiting
        return before, (figures.received, figures.sent, figures.in_flight), taken["quick"]

    wanted = [number for number in range(100) if number % 10 != 9]
    before, figures, after = run_virtual(main())
    assert before == [number for number in wanted if number < 39]
    assert figures == (40, 39, 1)
    assert after == wanted


@pytest.mark.parametrize("awaits", [False, True])
async def test_what_fails_in_the_middle_is_that_items_own_affair(awaits):
    letters, attempts = [], []

    async def put(letter):
        letters.append((letter.item, type(letter.error).__name__, letter.attempts))

    def choose(number):
        if number % 50 == 7:
            attempts.append(number)
            raise OSError
        return {0: None, 1: "nowhere", 2: ["even", "odd"], 3: [], 4: 5}.get(number % 50, parity(number))

    async def choose_on_the_loop(number):
        return choose(number)

    options = {"on_error": dead_letter(put), "retry": Retry(attempts=2, backoff=0, on=(OSError,))}
    branches, taken = kept("even", "odd")
    flow = DataFlow((numbers, route(choose_on_the_loop if awaits else choose, **options), branches))
    async with flow.stream({"count": 200}) as run:
        await run.wait()
        figures = run.stats().stages["route"]
    ordinary = [number for number in range(200) if number % 50 > 4 and number % 50 != 7]
    for name in taken:
        also = [number for number in range(200) if number % 50 == 2]
        assert taken[name] == sorted(also + [number for number in ordinary if parity(number) == name])
    assert letters == [
        (base + number, error, tries)
        for base in range(0, 200, 50)
        for number, error, tries in (
            (1, "UnknownBranchError", 1),
            (4, "UnknownBranchError", 1),
            (7, "OSError", 2),
        )
    ]
    assert attempts == [number for base in range(0, 200, 50) for number in (base + 7, base + 7)]
    assert (figures.received, figures.sent, figures.filtered) == (200, len(ordinary) + 4, 8)
    assert (figures.dead_lettered, figures.in_flight) == (12, 0)


async def test_the_first_failure_ends_the_run_behind_what_was_chosen_for():
    error = ValueError("of the function")

    def choose(number):
        if number == 90:
            raise error
        return parity(number)

    with pytest.raises(ValueError, match="of the function") as caught:
        await DataFlow((numbers, route(choose), kept("even", "odd")[0])).run({"count": 200})
    assert caught.value is error
    assert "in stage route (definition[1]), attempt 1 of 1, item: int" in error.__notes__[0]


@pytest.mark.parametrize("at", [1, 40, 77])
async def test_the_function_may_ask_the_run_something(at):
    """The figures are exact in the midst of a stretch, and nothing is sent twice behind that."""
    seen = []

    def choose(number):
        if number == at:
            figures = runs[0].stats().stages["route"]
            seen.append((figures.received, figures.sent, figures.filtered, figures.in_flight))
        return None if number == 0 else parity(number)

    branches, taken = kept("even", "odd")
    async with DataFlow((numbers, route(choose), branches)).stream({"count": 200}) as run:
        runs = [run]
        await run.wait()
    assert seen == [(at + 1, at - 1, 1, 1)]
    assert taken == {"even": [*range(2, 200, 2)], "odd": [*range(1, 200, 2)]}


@pytest.mark.parametrize("ending", ["drain", "stop"])
def test_a_run_ends_while_the_function_waits_in_the_middle(ending):
    async def main():
        asked, goes_on = asyncio.Event(), asyncio.Event()

        async def choose(number):
            if number == 50:
                asked.set()
                await goes_on.wait()
            return parity(number)

        branches, taken = kept("even", "odd")
        async with DataFlow((endless, route(choose), branches)).stream() as run:
            waiting = asyncio.create_task(run.wait())
            await asked.wait()
            getattr(run, ending)()
            goes_on.set()
            await waiting
            figures = run.stats().stages["route"]
        return taken, figures

    taken, figures = run_virtual(main())
    everything = sorted(taken["even"] + taken["odd"])
    assert everything == list(range(len(everything)))
    if ending == "drain":
        assert len(everything) > 50
        assert figures.received == figures.sent == len(everything)
    else:
        assert len(everything) <= 50


def test_the_loop_is_given_back():
    async def main():
        loop = asyncio.get_running_loop()
        most = since = 0
        beating = loop.call_soon(lambda: None)

        def beat():
            nonlocal since, beating
            since, beating = 0, loop.call_soon(beat)

        def choose(number):
            nonlocal since, most
            since += 1
            most = max(most, since)
            return parity(number)

        branches, _ = kept("even", "odd", buffer=5000)
        async with DataFlow((numbers, route(choose, buffer=5000), branches)).stream({"count": 5000}) as run:
            beat()
            await run.wait()
            beating.cancel()
        return most

    assert 50 < run_virtual(main()) <= MOST_OF_A_TURN


@pytest.mark.parametrize("choose", [route(parity), route(lambda number: [parity(number)])])
def test_a_branch_that_wants_no_more_is_passed_over_and_with_the_last_it_ends(choose):
    async def told(flow):
        async with asyncio.timeout(60), flow.stream() as run:
            return sorted([each async for each in run])

    flow = DataFlow((endless, choose, {"even": take(3), "odd": take(60)}))
    assert run_virtual(told(flow)) == sorted([0, 2, 4, *range(1, 120, 2)])


@pytest.mark.parametrize("awaits", [False, True])
async def test_every_item_that_is_tracked_is_answered_once(awaits):
    def choose(number):
        return {0: None, 1: ["even", "odd"], 2: []}.get(number % 10, parity(number))

    async def choose_on_the_loop(number):
        return choose(number)

    queue = QueueSource(range(300))
    branches, taken = kept("even", "odd")
    await DataFlow((queue, route(choose_on_the_loop if awaits else choose), branches)).run()
    assert sorted(queue.acked) == list(range(300))
    assert queue.nacked == []
    assert len(taken["even"]) + len(taken["odd"]) == 270


def test_cancelled_and_failing_at_every_step_it_leaves_nothing_behind():
    """Invariants 2 and 22, with stretches of more than an item."""

    async def choose(number):
        if number % 7 == 5:
            await asyncio.sleep(0)
        return parity(number)

    def make():
        return DataFlow((range(30), route(choose, buffer=9), kept("even", "odd", buffer=6)[0]))

    sweep(make, seed=3).raise_for_failures()
