"""Fan-in: merge, zip, combine_latest and concat, explicit and by signature (invariant 17)."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, combine_latest, concat, merge, stage, zip_
from asyncdataflow.errors import DefinitionError, SignatureError, UnevenZipError
from asyncdataflow.testing.virtual_clock import run_virtual

branches = st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=2, max_size=4)
"""For each branch, the seconds before each of its items."""


def timed(delays, label=0, closed=None):
    """A source on the loop that sends ``(label, n)`` after each delay."""

    async def source():
        try:
            for n, delay in enumerate(delays):
                await asyncio.sleep(delay)
                yield label, n
        finally:
            await asyncio.sleep(0)
            if closed is not None:
                closed.append(label)

    return stage(source, name=f"source {label}")


def waiting(items, label, closed):
    """A source that sends its items and then waits for ever."""

    async def source():
        try:
            for n in range(items):
                yield label, n
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.append(label)

    return stage(source, name=f"source {label}")


def timed_group(drawn):
    return tuple(timed(delays, label) for label, delays in enumerate(drawn))


async def collected(run):
    async with run:
        return [result async for result in run]


def results(*definition):
    return run_virtual(collected(DataFlow(definition).stream()))


def moments(drawn):
    """``(time, label, n)`` of every item, in the order of time."""
    made = []
    for label, delays in enumerate(drawn):
        made += [(time, label, n) for n, time in enumerate(itertools.accumulate(delays))]
    return sorted(made)


# Merge


@settings(max_examples=40)
@given(branches, st.booleans())
def test_a_merge_gives_every_item_in_the_order_of_its_branch_and_of_time(drawn, explicit):
    async def one(item):
        return item, asyncio.get_running_loop().time()

    steps = (timed_group(drawn), merge, one) if explicit else (timed_group(drawn), one)
    got = results(*steps)
    assert Counter(item for item, _ in got) == Counter((label, n) for _, label, n in moments(drawn))
    assert [time for _, time in got] == [time for time, _, _ in moments(drawn)]
    for label in range(len(drawn)):
        assert [n for (of, n), _ in got if of == label] == list(range(len(drawn[label])))


def test_a_merge_ends_when_all_of_its_inputs_have():
    async def main():
        got = await collected(DataFlow((timed_group([[1], [1, 1, 1], []]), merge)).stream())
        return got, asyncio.get_running_loop().time()

    got, ended = run_virtual(main())
    assert sorted(got) == [(0, 0), (1, 0), (1, 1), (1, 2)]
    assert ended == 3


def test_merge_is_the_same_as_aiostream_merge():
    aiostream = pytest.importorskip("aiostream")
    drawn = [[1, 2, 3], [0.5, 0.25], [10]]

    async def theirs():
        sources = [group.fn() for group in timed_group(drawn)]
        async with aiostream.stream.merge(*sources).stream() as items:
            return [item async for item in items]

    assert results(timed_group(drawn), merge) == run_virtual(theirs())


# Zip


@settings(max_examples=40)
@given(branches, st.sampled_from(["zip_", "signature"]))
def test_zip_of_even_branches_is_the_builtin_zip(drawn, how):
    even = [(delays + [1] * 8)[:6] for delays in drawn]
    takes = {
        2: lambda a, b: (a, b),
        3: lambda a, b, c: (a, b, c),
        4: lambda a, b, c, d: (a, b, c, d),
    }[len(even)]
    joined = zip_ if how == "zip_" else stage(takes, executor="inline")
    expected = list(zip(*([(label, n) for n in range(6)] for label in range(len(even))), strict=True))
    assert results(timed_group(even), joined) == expected


@settings(max_examples=40)
@given(branches)
def test_zip_of_uneven_branches_is_an_error_or_quietly_the_shortest(drawn):
    lengths = [len(each) for each in drawn]
    labelled = [[(label, n) for n in range(length)] for label, length in enumerate(lengths)]
    assert results(timed_group(drawn), zip_(uneven="shortest")) == list(zip(*labelled, strict=False))
    if len(set(lengths)) == 1:
        assert results(timed_group(drawn), zip_) == list(zip(*labelled, strict=True))
    else:
        with pytest.raises(UnevenZipError, match=f"after {min(lengths)} items"):
            results(timed_group(drawn), zip_)


def test_an_uneven_zip_says_who_ended_who_had_more_and_what_to_write():
    with pytest.raises(UnevenZipError) as caught:
        results({"left": timed([0] * 2, 1), "right": timed([0] * 3, 2)}, zip_)
    text = str(caught.value)
    assert "after 2 items" in text
    assert "left ended while right had one more" in text
    assert 'zip_(uneven="shortest")' in text


def test_an_uneven_zip_by_signature_is_an_error_too():
    async def pair(a, b):
        return a, b

    with pytest.raises(UnevenZipError):
        results((timed([0] * 2, 1), timed([0], 2)), pair)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_shortest_ends_at_once_and_closes_the_pending_pulls_of_the_others(place):
    """Invariant 17: their ``finally`` has finished before the zip is over."""
    closed: list[str] = []
    group = [waiting(1, "one", closed), waiting(1, "other", closed)]
    group.insert(place, timed([0], "short", closed))

    async def main():
        got = await collected(DataFlow((tuple(group), zip_(uneven="shortest"))).stream())
        assert sorted(closed) == ["one", "other", "short"]
        return got, asyncio.get_running_loop().time()

    got, ended = run_virtual(main())
    assert [set(row) for row in got] == [{("one", 0), ("other", 0), ("short", 0)}]
    assert ended == 0


def test_an_uneven_zip_closes_the_others_too():
    closed: list[str] = []
    with pytest.raises(UnevenZipError):
        results((timed([0], "short", closed), timed([0] * 1000, "long", closed)), zip_)
    assert sorted(closed) == ["long", "short"]


def test_a_branch_that_is_ahead_waits_in_its_edge():
    """It is pulled no farther than its edge and the hands around it."""

    async def main():
        made = []

        async def quick():
            for n in itertools.count():
                made.append(n)
                yield n

        closed: list[str] = []
        flow = DataFlow(((quick, waiting(2, "slow", closed)), zip_(buffer=4)))
        async with flow.stream() as run:
            first = [await anext(run), await anext(run)]
            await asyncio.sleep(1)
        return first, len(made)

    first, made = run_virtual(main())
    assert first == [(0, ("slow", 0)), (1, ("slow", 1))]
    assert made <= 2 + 1 + 4 + 1


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_none_and_falsy_items_are_zipped_like_any(drawn):
    values = [None, 0, "", False]
    items = [values[n] for n in drawn]

    async def source():
        for item in items:
            yield item

    other = stage(source, name="other")
    assert results((source, other), zip_) == list(zip(items, items, strict=True))
    with pytest.raises(UnevenZipError):
        results((source, timed([0] * (len(items) + 1))), zip_)


def test_zip_by_the_names_of_the_branches():
    async def left():
        yield "l"

    async def right():
        yield "r"

    async def compare(right, left):
        return left, right

    assert results({"left": left, "right": right}, compare) == [("l", "r")]
    assert results((left, right), compare) == [("l", "r")]
    assert results({left, right}, compare) == [("l", "r")]
    assert results((left, right), stage(lambda a, b: (a, b), executor="inline")) == [("l", "r")]


@pytest.mark.parametrize("operator", [zip_, combine_latest])
def test_after_a_set_or_dict_the_operators_give_dicts(operator):
    async def left():
        yield "l"

    async def right():
        yield "r"

    for group in ({"left": left, "right": right}, {left, right}):
        assert results(group, operator) == [{"left": "l", "right": "r"}]
    assert results((left, right), operator) == [("l", "r")]


async def three(a, b, c):
    return a, b, c


async def half_named(left, b):
    return left, b


@pytest.mark.parametrize(
    ("group", "target", "message"),
    [
        ((range(1), range(2)), three, "needs 3 arguments .* 2 branches"),
        ({"left": range(1), "right": range(2)}, half_named, "only left"),
        ({range(1), range(2)}, lambda a, b: (a, b), "two branches|set have no order|twice|same name"),
    ],
)
def test_a_zip_that_cannot_be_is_refused(group, target, message):
    with pytest.raises((SignatureError, DefinitionError), match=message):
        DataFlow((group, target))


@pytest.mark.parametrize("operator", [zip_, concat, combine_latest])
def test_what_joins_branches_needs_a_group_before_it(operator):
    with pytest.raises(DefinitionError, match="joins branches"):
        DataFlow((range(3), operator))


def test_a_zip_of_branches_of_one_step_keeps_rows_together():
    async def double(n):
        await asyncio.sleep(3 - n % 3)
        return n * 2

    async def square(n):
        await asyncio.sleep(n % 3)
        return n * n

    async def numbers():
        for n in range(50):
            yield n

    async def row(double, square):
        return double, square

    got = results(numbers, (stage(double, concurrency=3), stage(square, concurrency=2)), row)
    assert got == [(n * 2, n * n) for n in range(50)]


# Combine latest


def model_of_latest(drawn):
    """No two items at one time: each makes a row once all have spoken."""
    latest: dict[int, int] = {}
    rows = []
    for _, label, n in moments(drawn):
        latest[label] = n
        if len(latest) == len(drawn):
            rows.append(tuple((of, latest[of]) for of in range(len(drawn))))
    return rows


@settings(max_examples=40)
@given(branches)
def test_combine_latest_against_a_model(drawn):
    # Each branch in its own fraction of a second, so that no two items come at one time.
    shifted = [
        [delay + 1 if place else delay + (label + 1) / 16 for place, delay in enumerate(delays)]
        for label, delays in enumerate(drawn)
    ]
    assert results(timed_group(shifted), combine_latest) == model_of_latest(shifted)


# Concat


@settings(max_examples=40)
@given(branches)
def test_concat_is_chain(drawn):
    expected = list(
        itertools.chain(*([(label, n) for n in range(len(each))] for label, each in enumerate(drawn)))
    )
    assert results(timed_group(drawn), concat) == expected


def test_later_branches_of_a_concat_wait_in_their_edges():
    async def main():
        made = []

        async def endless():
            for n in itertools.count():
                made.append(n)
                yield n

        closed: list[str] = []
        async with DataFlow(((waiting(1, "first", closed), endless), concat(buffer=4))).stream() as run:
            assert await anext(run) == ("first", 0)
            await asyncio.sleep(1)
        return len(made)

    assert run_virtual(main()) <= 4 + 1


def test_a_concat_of_branches_of_one_step_is_refused():
    with pytest.raises(DefinitionError, match="come from one step"):
        DataFlow((range(3), (str, repr), concat))
