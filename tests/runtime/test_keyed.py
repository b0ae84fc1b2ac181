"""Invariant 16, inside one stage: order per key, different keys side by side."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdataflow import DataFlow, dead_letter, stage
from asyncdataflow._runtime.keyed import Keyed
from asyncdataflow.testing.virtual_clock import run_virtual

cases = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10)), max_size=25)
workers = st.integers(1, 5)


def first(item):
    return item[0]


def stream(items, *steps):
    """Steps behind items that come from the loop, since a virtual loop waits for no thread."""

    async def source():
        for item in items:
            yield item

    return DataFlow((source, *steps)).stream()


async def collected(run):
    async with run:
        return [result async for result in run]


def keyed_items(drawn):
    """``(key, place, delay)`` for each case."""
    return [(key, place, delay) for place, (key, delay) in enumerate(drawn)]


def by_key(items):
    found = defaultdict(list)
    for item in items:
        found[item[0]].append(item)
    return found


@given(cases, workers)
def test_items_of_one_key_keep_their_order_and_never_overlap(drawn, concurrency):
    working: Counter[int] = Counter()
    overlapped = []
    most = 0

    async def work(item):
        nonlocal most
        key, _, delay = item
        working[key] += 1
        most = max(most, working.total())
        if working[key] > 1:
            overlapped.append(item)
        await asyncio.sleep(delay)
        working[key] -= 1
        return item

    items = keyed_items(drawn)
    got = run_virtual(collected(stream(items, stage(work, key=first, concurrency=concurrency))))
    assert by_key(got) == by_key(items)
    assert not overlapped
    assert most <= concurrency


@given(cases, workers)
def test_a_generator_makes_all_of_an_item_before_the_next_of_its_key(drawn, concurrency):
    async def work(item):
        for part in range(item[1] % 3):
            await asyncio.sleep(item[2])
            yield *item, part

    items = keyed_items(drawn)
    got = run_virtual(collected(stream(items, stage(work, key=first, concurrency=concurrency))))
    expected = [(*item, part) for item in items for part in range(item[1] % 3)]
    assert by_key(got) == by_key(expected)


@given(cases, workers, st.sets(st.integers(0, 24)))
def test_retries_and_skips_keep_the_order_of_their_key(drawn, concurrency, failing):
    tried: Counter[int] = Counter()

    async def work(item):
        await asyncio.sleep(item[2])
        tried[item[1]] += 1
        if item[1] in failing and (item[1] % 2 or tried[item[1]] < 3):
            raise ValueError(item)
        return item

    items = keyed_items(drawn)
    kept = [item for item in items if item[1] not in failing or not item[1] % 2]
    run = stream(items, stage(work, key=first, concurrency=concurrency, retry=3, on_error="skip"))
    assert by_key(run_virtual(collected(run))) == by_key(kept)


def test_a_stuck_key_does_not_hold_the_others():
    """As long as there is a place left to park the next item that comes."""

    async def main():
        stuck = asyncio.Event()
        seen = []

        async def work(item):
            if item == ("stuck", 0):
                await stuck.wait()
            seen.append(item)
            return item

        items = [("stuck", 0), ("stuck", 1), *(("free", n) for n in range(20))]
        async with stream(items, stage(work, key=first, concurrency=2)) as run:
            reader = asyncio.create_task(collected(run))
            await asyncio.sleep(1)
            before = list(seen)
            stuck.set()
            await reader
        return before, seen

    before, seen = run_virtual(main())
    assert before == [("free", n) for n in range(20)]
    assert seen[-2:] == [("stuck", 0), ("stuck", 1)]


@pytest.mark.parametrize("concurrency", [2, 4])
def test_behind_a_stuck_key_no_more_is_taken_than_can_be_parked(concurrency):
    async def main():
        stuck = asyncio.Event()

        async def work(n):
            await stuck.wait()
            return n

        run = stream(range(100), stage(work, key=lambda n: "one", concurrency=concurrency, buffer=1))
        async with run:
            reader = asyncio.create_task(collected(run))
            await asyncio.sleep(1)
            taken = run.stats().stages["source"].received
            stuck.set()
            assert await reader == list(range(100))
        return taken

    # One is worked on, as many as workers are parked, one lies in the edge, one is in the source's hand.
    assert run_virtual(main()) <= 1 + concurrency + 1 + 1


@pytest.mark.parametrize(
    "key", [lambda n: 1 // n, lambda n: [n] if n == 0 else n], ids=["raises", "not hashable"]
)
@pytest.mark.parametrize("concurrency", [2, 4])
def test_an_item_without_a_usable_key_has_failed_in_the_stage(key, concurrency):
    async def work(n):
        return n

    letters = []
    keyed = stage(work, key=key, concurrency=concurrency)
    skipping, sending = (
        stage(keyed, on_error="skip"),
        stage(keyed, on_error=dead_letter(letters_into(letters))),
    )
    with pytest.raises((ZeroDivisionError, TypeError)) as caught:
        run_virtual(collected(stream([1, 0, 2], keyed)))
    assert any("in stage work" in note for note in caught.value.__notes__)
    assert sorted(run_virtual(collected(stream([1, 0, 2], skipping)))) == [1, 2]
    assert sorted(run_virtual(collected(stream([1, 0, 2], sending)))) == [1, 2]
    assert [letter.item for letter in letters] == [0]


def letters_into(letters):
    async def sink(letter):
        letters.append(letter)

    return sink


@pytest.mark.parametrize("keys", [[None, 0, "", False, ()], [1, 1.0, True]], ids=["falsy", "equal"])
def test_any_hashable_is_a_key(keys):
    async def work(item):
        return item

    items = [(keys[n % len(keys)], n) for n in range(30)]
    got = run_virtual(collected(stream(items, stage(work, key=first, concurrency=3))))
    for key in keys:
        assert [n for k, n in got if k == key] == [n for k, n in items if k == key]


async def test_in_threads_too():
    def work(item):
        return item

    items = [(n % 3, n) for n in range(200)]
    flow = DataFlow((stage(items), stage(work, key=first, concurrency=4)))
    assert by_key(await flow.run()) == by_key(items)


# The class itself


def test_a_key_belongs_to_one_worker_until_nothing_is_parked_behind_it():
    keyed = Keyed(2)
    assert keyed.begin("a", 1)
    assert not keyed.begin("a", 2)
    assert not keyed.begin("a", None)
    assert keyed.begin("b", 4)
    assert keyed.finish("a") == (True, 2)
    assert keyed.finish("a") == (True, None)
    assert keyed.finish("a") == (False, None)
    assert keyed.begin("a", 5)


def test_reserve_waits_for_a_place_and_gets_the_one_that_is_given_back():
    async def main():
        keyed = Keyed(1)
        await keyed.reserve()
        waiting = asyncio.create_task(keyed.reserve())
        await asyncio.sleep(1)
        assert not waiting.done()
        keyed.unreserve()
        await waiting

    run_virtual(main())


def test_a_cancelled_reserve_passes_the_place_on():
    async def main():
        keyed = Keyed(1)
        await keyed.reserve()
        cancelled = asyncio.create_task(keyed.reserve())
        patient = asyncio.create_task(keyed.reserve())
        await asyncio.sleep(1)
        keyed.unreserve()
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await patient

    run_virtual(main())
