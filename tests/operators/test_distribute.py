"""Fan-out: broadcast, split, route, balance and partition (invariants 15 and 16)."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, balance, dead_letter, merge, partition, route, split, stage, take
from asyncdataflow.errors import DefinitionError, ResultError, UnknownBranchError
from asyncdataflow.operators.distribute import stable_hash
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.source import ROOT

delays = st.lists(st.integers(0, 4), max_size=20)


def numbers_up_to(count):
    async def numbers():
        for n in range(count):
            yield n

    return numbers


def branch(label, seconds=None):
    """A branch that marks what it gets, and takes its time for each."""

    async def mark(item):
        if seconds is not None:
            await asyncio.sleep(seconds[item] if isinstance(seconds, list) else seconds)
        return label, item

    return stage(mark, name=label)


async def collected(run):
    async with run:
        return [result async for result in run]


def results(*definition):
    return run_virtual(collected(DataFlow(definition).stream()))


def of(label, got):
    return [item for by, item in got if by == label]


# Broadcast


@settings(max_examples=40)
@given(delays, st.integers(1, 3), st.integers(1, 3))
def test_every_branch_gets_every_item_once_and_in_order(seconds, left_buffer, right_buffer):
    """Invariant 15."""
    group = (
        stage(branch("left", seconds), buffer=left_buffer),
        stage(branch("right", seconds[::-1]), buffer=right_buffer),
        branch("idle"),
    )
    got = results(numbers_up_to(len(seconds)), group)
    for label in ("left", "right", "idle"):
        assert of(label, got) == list(range(len(seconds)))


def test_the_slowest_branch_holds_the_source_back():
    async def main():
        made = []

        async def endless():
            for n in itertools.count():
                made.append(n)
                yield n

        stuck = asyncio.Event()

        async def slow(n):
            await stuck.wait()

        seen = []

        async def quick(n):
            seen.append(n)

        flow = DataFlow((endless, (stage(slow, buffer=2), stage(quick, buffer=2))))
        async with flow.stream() as run:
            reader = asyncio.create_task(anext(run))
            await asyncio.sleep(1)
            reader.cancel()
            await asyncio.wait([reader])
        return made, seen

    made, seen = run_virtual(main())
    # One with the slow branch, two in its edge, one that the source holds out to it.
    assert made == seen == [0, 1, 2, 3]


def test_a_branch_that_drops_holds_nobody_back():
    async def main():
        stuck = asyncio.Event()

        async def slow(n):
            await stuck.wait()
            return "slow", n

        dropping = stage(slow, buffer=2, overflow="drop_newest")
        async with DataFlow((numbers_up_to(50), (dropping, branch("quick")))).stream() as run:
            got = [await anext(run) for _ in range(50)]
            stuck.set()
            got += [result async for result in run]
            return got, run.stats().stages["slow"].dropped

    got, dropped = run_virtual(main())
    assert of("quick", got) == list(range(50))
    assert of("slow", got)[:2] == [0, 1]
    assert len(of("slow", got)) + dropped == 50
    assert dropped >= 47


def test_a_broadcast_is_by_reference():
    """As documented: who changes an item in place makes a copy first."""
    item = object()

    async def same(it):
        return it

    got = DataFlow((stage([item]), (same, stage(same)))).iterate()
    assert all(each is item for each in got)


def test_a_branch_that_wants_no_more_is_passed_over():
    got = results(numbers_up_to(20), (branch("all"), (take(2), branch("some"))))
    assert of("all", got) == list(range(20))
    assert of("some", got) == [0, 1]


# Split


@pytest.mark.parametrize(
    "made",
    [lambda n: (n, -n), lambda n: [n, -n], lambda n: {"right": -n, "left": n}],
    ids=["tuple", "list", "dict"],
)
def test_split_gives_each_branch_its_value(made):
    got = results(numbers_up_to(3), split(made), {"left": branch("left"), "right": branch("right")})
    assert (of("left", got), of("right", got)) == ([0, 1, 2], [0, -1, -2])


def test_split_before_a_set_needs_names():
    """The branches of a set stand in the order of their names, which nobody wrote."""

    async def a(item):
        return "a", item

    async def b(item):
        return "b", item

    assert sorted(results(numbers_up_to(1), split(lambda n: {"b": 2, "a": 1}), {b, a})) == [
        ("a", 1),
        ("b", 2),
    ]
    with pytest.raises(ResultError, match="a set have no order: split needs a dict with a, b"):
        results(numbers_up_to(1), split(lambda n: (1, 2)), {b, a})


@pytest.mark.parametrize("nested", [dict, set, list], ids=["dict", "set", "sequence"])
def test_a_chosen_branch_gets_the_item_as_a_whole_however_many_heads_it_has(nested):
    """``balance`` picks a branch, not one of the stages that head it."""

    async def p(item):
        return "p", item

    async def q(item):
        return "q", item

    async def other(item):
        return "other", item

    heads = {dict: {"p": p, "q": q}, set: {p, q}, list: [(p, q), merge]}[nested]
    got = results(numbers_up_to(6), balance, (heads, other))
    assert of("p", got) == of("q", got)
    assert sorted(of("p", got) + of("other", got)) == list(range(6))


@pytest.mark.parametrize("choose", [route(lambda n: "x" if n % 2 else "y"), partition(lambda n: n), balance])
def test_a_group_inside_one_chosen_branch_may_be_zipped_by_signature(choose):
    """Both of its branches get the same items."""

    async def both(left, right):
        return left, right

    async def same(item):
        return item

    async def negative(item):
        return -item

    got = results(numbers_up_to(8), choose, {"x": [{"left": same, "right": negative}, both], "y": same})
    assert sorted(each[0] if isinstance(each, tuple) else each for each in got) == list(range(8))
    assert all(each[0] == -each[1] for each in got if isinstance(each, tuple))


def test_a_bare_split_takes_the_item_itself_apart():
    async def pairs():
        yield 1, "a"
        yield 2, None

    got = results(pairs, split, (branch("left"), branch("right")))
    assert (of("left", got), of("right", got)) == ([1, 2], ["a", None])


async def negated(n):
    await asyncio.sleep(0)
    return n, -n


def test_the_function_of_a_split_may_be_a_coroutine_function():
    got = results(numbers_up_to(3), split(negated), (branch("left"), branch("right")))
    assert of("right", got) == [0, -1, -2]


async def test_the_function_runs_in_a_thread_where_it_is_said_so():
    def where(n):
        name = threading.current_thread().name
        return name, name

    flow = DataFlow((range(1), split(where, executor="thread"), (branch("left"), branch("right"))))
    assert dict(await flow.run()) == {"left": "split-0", "right": "split-0"}
    flow = DataFlow((range(1), split(where), (branch("left"), branch("right"))))
    assert dict(await flow.run()) == dict.fromkeys(("left", "right"), threading.main_thread().name)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        ((1,), ResultError),
        ((1, 2, 3), ResultError),
        (5, ResultError),
        ("ab", ResultError),
        (None, ResultError),
        ({"left": 1}, ResultError),
        ({"left": 1, "right": 2, "more": 3}, UnknownBranchError),
    ],
    ids=["short", "long", "number", "text", "None", "name missing", "name too many"],
)
def test_a_wrong_number_of_values_is_that_items_error(made, error):
    cut = split(lambda n: made if n == 1 else (n, n))
    group = (branch("left"), branch("right"))
    with pytest.raises(error, match="split"):
        results(numbers_up_to(3), cut, group)
    assert of("left", results(numbers_up_to(3), stage(cut, on_error="skip"), group)) == [0, 2]


# Route

ROUTES = {
    "even": "even",
    "odd": ["odd"],
    "both": ("odd", "even"),
    "nobody": None,
    "twice": ["odd", "odd"],
    "none": [],
}


@settings(max_examples=40)
@given(st.lists(st.sampled_from(sorted(ROUTES)), max_size=20), st.integers(1, 4))
def test_an_item_goes_to_the_branches_that_are_named_and_to_no_other(kinds, concurrency):
    """Invariant 16; also with several workers, in order."""

    async def choose(n):
        await asyncio.sleep(n % 3)
        return ROUTES[kinds[n]]

    got = results(
        numbers_up_to(len(kinds)),
        route(choose, concurrency=concurrency),
        {"even": branch("a"), "odd": branch("b")},
    )
    for name, label in (("even", "a"), ("odd", "b")):
        wanted = [n for n, kind in enumerate(kinds) if name in (ROUTES[kind] or ())]
        assert of(label, got) == wanted


def test_a_branch_is_named_after_its_key_or_its_last_stage():
    async def good(n):
        return "good", n

    async def bad(n):
        return "bad", n

    chosen = route(lambda n: "bad" if n == 1 else "good")
    for group in ((good, bad), {good, bad}, ((branch("x"), good), bad), {"good": good, "bad": bad}):
        got = results(numbers_up_to(3), chosen, group)
        assert of("bad", got)[-1:] == [1]
        assert len(of("good", got)) == 2


def test_an_unknown_name_is_that_items_error_and_says_the_nearest():
    letters = []

    async def sink(letter):
        letters.append(letter)

    def choose(n):
        return "evn" if n == 1 else "even"

    group = {"even": branch("even"), "odd": branch("odd")}
    with pytest.raises(UnknownBranchError, match="did you mean 'even'"):
        results(numbers_up_to(3), route(choose), group)
    got = results(numbers_up_to(3), route(choose, on_error=dead_letter(sink)), group)
    assert of("even", got) == [0, 2]
    assert [(letter.item, type(letter.error)) for letter in letters] == [(1, UnknownBranchError)]


@pytest.mark.parametrize(
    "operator", [split, route(str), balance, partition(str)], ids=["split", "route", "balance", "partition"]
)
@pytest.mark.parametrize("behind", [(), (str,)], ids=["nothing", "one stage"])
def test_what_chooses_needs_a_group_behind_it(operator, behind):
    with pytest.raises(DefinitionError, match="a group has to follow"):
        DataFlow((range(3), operator, *behind))


def test_a_bare_route_is_refused_and_says_how_it_is_written():
    with pytest.raises(DefinitionError, match=r"route\(…\)"):
        DataFlow((range(3), route, (str, repr)))


# Balance


def test_a_stuck_branch_gets_no_more_than_its_edge_holds():
    async def main():
        stuck = asyncio.Event()

        async def slow(n):
            await stuck.wait()
            return "slow", n

        group = (stage(slow, buffer=1), stage(branch("quick"), buffer=1))
        async with DataFlow((numbers_up_to(50), balance, group)).stream() as run:
            got = [await anext(run) for _ in range(48)]
            stuck.set()
            return got + [result async for result in run]

    got = run_virtual(main())
    assert Counter(item for _, item in got) == Counter(range(50))
    assert len(of("slow", got)) == 2
    for label in ("slow", "quick"):
        assert of(label, got) == sorted(of(label, got))


@settings(max_examples=40)
@given(delays, st.integers(1, 4))
def test_balance_gives_every_item_to_exactly_one_branch(seconds, buffer):
    group = tuple(stage(branch(label, seconds), buffer=buffer) for label in "abc")
    got = results(numbers_up_to(len(seconds)), balance, group)
    assert Counter(item for _, item in got) == Counter(range(len(seconds)))


# Partition


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.text("aü\ud800", max_size=2), st.integers(), st.none(), st.binary(max_size=2)),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_items_of_one_key_go_to_one_branch_in_their_order(drawn):
    """Invariant 16."""
    items = [(key, place, seconds) for place, (key, seconds) in enumerate(drawn)]

    async def source():
        for item in items:
            yield item

    def slow(label):
        async def mark(item):
            await asyncio.sleep(item[2])
            return label, item

        return stage(mark, name=label)

    got = results(source, partition(lambda item: item[0]), tuple(map(slow, "abc")))
    assert Counter(item for _, item in got) == Counter(items)
    for key in {item[0] for item in items}:
        mine = [(label, item) for label, item in got if item[0] == key]
        assert len({label for label, _ in mine}) == 1
        assert [item for _, item in mine] == [item for item in items if item[0] == key]


def test_the_keys_spread_over_all_branches():
    got = results(numbers_up_to(300), partition(lambda n: f"user {n}"), tuple(map(branch, "abc")))
    assert all(len(of(label, got)) > 50 for label in "abc")


def test_a_key_that_cannot_be_hashed_is_that_items_error():
    keyed = partition(lambda n: [n] if n == 1 else n)
    with pytest.raises(TypeError, match="unhashable"):
        results(numbers_up_to(3), keyed, (branch("a"), branch("b")))
    got = results(numbers_up_to(3), stage(keyed, on_error="skip"), (branch("a"), branch("b")))
    assert sorted(item for _, item in got) == [0, 2]


KEYS = ["", "a", "ü", "\ud800", b"", b"a", 0, -1, 10**30, 1.5, None, (), ("a", 1, ("b", None)), True]


def test_the_choice_is_the_same_in_every_process():
    """Unlike ``hash`` of text, which is seeded anew in each."""
    program = (
        "from asyncdataflow.operators.distribute import stable_hash\n"
        f"print([stable_hash(key) for key in {KEYS!r}])"
    )
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
        )
        found.add(done.stdout.strip())
    assert found == {str([stable_hash(key) for key in KEYS])}


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), ((1, "a"), (1.0, "a")), (0, -0.0)])
def test_equal_keys_have_equal_hashes(one, other):
    assert stable_hash(one) == stable_hash(other)
