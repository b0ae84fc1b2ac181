"""Invariants 19 and 21: one function means the same wherever it runs, and anything is an item."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections import Counter

import pytest

from asyncdataflow import DataFlow, stage, take

HUGE = 7**20000


# At module level, where a worker process finds them.


def pure(item):
    return item, fingerprint(item)


async def pure_on_loop(item):
    await asyncio.sleep(0)
    return pure(item)


def pure_generator(item):
    yield pure(item)


async def pure_async_generator(item):
    await asyncio.sleep(0)
    yield pure(item)


def pure_list(item):
    return [pure(item)]


def fingerprint(item):
    """What of an item survives a pickle, comparable for every kind of item."""
    if isinstance(item, BaseException):
        return type(item).__name__, str(item.args)
    if isinstance(item, tuple):
        return tuple(map(fingerprint, item))
    return type(item).__name__, item


async def made_of(items, *steps):
    """The results of steps behind a source of these items."""
    return await DataFlow((stage(list(items)), *steps)).run()


async def collect(run, into):
    async with run:
        async for result in run:
            into.append(result)


WORLDS = {
    "coroutine": stage(pure_on_loop),
    "thread": stage(pure),
    "inline": stage(pure, executor="inline"),
    "process": stage(pure, executor="process"),
    "async generator": stage(pure_async_generator),
    "generator in a thread": stage(pure_generator),
    "generator on the loop": stage(pure_generator, executor="inline"),
    "generator in a process": stage(pure_generator, executor="process"),
    "many=True in a thread": stage(pure_list, many=True),
}

ITEMS = [
    *range(40),
    None,
    False,
    True,
    0,
    0.0,
    -0.0,
    "",
    b"",
    (),
    [],
    {},
    HUGE,
    -HUGE,
    float("inf"),
    Ellipsis,
    NotImplemented,
    ValueError("an item"),
    StopIteration("an item"),
    StopAsyncIteration(),
    asyncio.CancelledError(),
    GeneratorExit(),
    KeyboardInterrupt("an item"),
    SystemExit(3),
    ValueError,
    "\ud800",
    *range(40),
]


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
async def test_the_same_function_gives_the_same_results_in_every_world(world, concurrency):
    results = await made_of(ITEMS, stage(world, concurrency=concurrency), lambda made: made)
    assert [fingerprint(item) for item, _ in results] == [fingerprint(item) for item in ITEMS]
    assert [seen for _, seen in results] == [fingerprint(item) for item in ITEMS]


@pytest.mark.parametrize("world", [name for name in WORLDS if "process" not in name], ids=lambda name: name)
@pytest.mark.parametrize("option", [{"ordered": False}, {"key": str}], ids=["unordered", "by key"])
async def test_without_order_they_are_still_the_same_ones(world, option):
    items = list(range(100)) * 2
    results = await made_of(items, stage(WORLDS[world], concurrency=4, **option))
    assert Counter(item for item, _ in results) == Counter(items)


class Hostile:
    """Cannot be compared, asked for its truth, measured, hashed or shown."""

    def __eq__(self, other):
        raise TypeError("no comparing")

    __hash__ = None

    def __bool__(self):
        raise TypeError("no truth")

    def __len__(self):
        raise TypeError("no length")

    def __repr__(self):
        raise TypeError("no text")


def same(item):
    return item


async def same_on_loop(item):
    return item


def same_generator(item):
    yield item


async def same_async_generator(item):
    yield item


SAME = {
    "coroutine": same_on_loop,
    "thread": same,
    "inline": stage(same, executor="inline"),
    "async generator": same_async_generator,
    "generator": same_generator,
}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("world", SAME.values(), ids=SAME.keys())
async def test_items_are_never_looked_into(world, concurrency):
    items = [Hostile() for _ in range(10)]
    results = await made_of(items, stage(world, concurrency=concurrency), same_on_loop, same)
    assert list(map(id, results)) == list(map(id, items))


@pytest.mark.parametrize("world", SAME.values(), ids=SAME.keys())
async def test_only_a_returned_none_is_no_result(world):
    """Elsewhere ``None`` is an item, and a yielded one is a result too."""
    items = [None, 0, "", False, [], None]
    flow = DataFlow((stage(items), world))
    yields = flow.graph.stages[1].call.many
    assert await flow.run() == (items if yields else items[1:-1])
    assert await made_of(items, world, lambda item: (item,)) == [(each,) for each in items]


def whose(item, *, home):
    return item, os.getpid(), home


class Home:
    """Made in a worker; tells in which process and thread."""

    def __init__(self):
        self.made_in = (os.getpid(), threading.current_thread().name)


def make_home():
    return Home().made_in


async def test_per_worker_is_made_once_in_each_process():
    world = stage(whose, executor="process", concurrency=2, per_worker={"home": make_home})
    results = await made_of(range(20), world)
    assert [item for item, _, _ in results] == list(range(20))
    assert all(pid == made_in_pid for _, pid, (made_in_pid, _) in results)
    assert os.getpid() not in {pid for _, pid, _ in results}
    assert len({pid for _, pid, _ in results}) <= 2


def raises(item):
    if item == 2:
        raise LookupError("the item is", item)
    return item


async def raises_on_loop(item):
    return raises(item)


def raises_in_generator(item):
    yield raises(item)


async def raises_in_async_generator(item):
    yield raises(item)


RAISING = {
    "coroutine": stage(raises_on_loop),
    "thread": stage(raises),
    "inline": stage(raises, executor="inline"),
    "process": stage(raises, executor="process"),
    "generator": stage(raises_in_generator),
    "async generator": stage(raises_in_async_generator),
}


@pytest.mark.parametrize("world", RAISING.values(), ids=RAISING.keys())
async def test_an_error_is_the_same_in_every_world(world):
    """That exception itself, or its equal out of a process, and what came before it."""
    results = []
    run = DataFlow((itertools.count(), world)).stream()
    with pytest.raises(LookupError) as caught:
        await collect(run, results)
    assert caught.value.args == ("the item is", 2)
    assert type(caught.value) is LookupError
    assert results == [0, 1]
    notes = "\n".join(caught.value.__notes__)
    assert "in stage raises" in notes
    assert "item: int" in notes


@pytest.mark.parametrize(
    "world", [RAISING[name] for name in ("coroutine", "thread", "process", "async generator")]
)
async def test_skip_is_the_same_in_every_world(world):
    assert await made_of(range(5), stage(world, on_error="skip")) == [0, 1, 3, 4]


def stops(item):
    raise StopIteration("not an end")


async def stops_on_loop(item):
    raise StopIteration("not an end")


def stops_in_generator(item):
    yield stops(item)


async def stops_in_async_generator(item):
    raise StopAsyncIteration("not an end")
    yield


STOPPING = {
    "coroutine": stops_on_loop,
    "thread": stops,
    "inline": stage(stops, executor="inline"),
    "generator": stops_in_generator,
    "async generator": stops_in_async_generator,
}


@pytest.mark.parametrize("world", STOPPING.values(), ids=STOPPING.keys())
async def test_a_stage_that_raises_stop_iteration_fails_and_neither_ends_nor_hangs(world):
    """Python makes a ``RuntimeError`` of it wherever it leaves a coroutine or generator."""
    with pytest.raises(RuntimeError, match=r"Stop(Async)?Iteration"):
        await made_of([1], world)


def endless(item):
    while True:
        yield item


async def endless_on_loop(item):
    while True:
        yield item


ENDLESS = {
    "thread": stage(endless),
    "inline": stage(endless, executor="inline"),
    "process": stage(endless, executor="process"),
    "loop": stage(endless_on_loop),
}


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("world", ENDLESS.values(), ids=ENDLESS.keys())
async def test_an_endless_generator_is_left_in_every_world(world, concurrency):
    """Invariant 20: closed on early exit; the leak check sees what is not."""
    assert await made_of(range(5), stage(world, concurrency=concurrency), take(300)) == [0] * 300
