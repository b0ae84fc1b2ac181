"""An item that fails is the error of its own call, and the others are served."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import (
    DataFlow,
    filter_,
    route,
    scan,
    stage,
    take,
    through,
    until,
)
from asyncdataflow.errors import (
    DeliveryError,
    ItemError,
    RunEndedError,
    StageTimeoutError,
)
from asyncdataflow.operators import map_batches
from tests.push.flows import (
    calls,
    odd_fails,
    on_virtual_time,
    plus,
    same,
    slow,
)

# errors


@pytest.mark.parametrize(
    "failing",
    [
        odd_fails,
        stage(odd_fails, executor="inline"),
        stage(odd_fails, concurrency=3),
        stage(odd_fails, executor="process"),
        stage(odd_fails, retry=2),
        (same, odd_fails, same),
        (lambda n: (yield odd_fails(n)), same),
        filter_(lambda n: odd_fails(n) or True),
        (route(lambda n: ["a"][n % 2]), {"a": same, "b": same}),
    ],
    ids=str,
)
def test_an_item_that_fails_is_the_error_of_its_own_call_and_of_no_other(failing):
    steps = failing if isinstance(failing, tuple) else (failing,)
    got = calls(steps, range(40))
    for n in range(0, 40, 2):
        assert got[n] in (n, [n])
    for n in range(1, 40, 2):
        assert isinstance(got[n], ValueError | IndexError)
        assert any("in stage" in note for note in got[n].__notes__)


BRANCHES = {
    "a thread": odd_fails,
    "several threads": stage(odd_fails, concurrency=3),
    "a process": stage(odd_fails, executor="process"),
    "the loop": stage(odd_fails, executor="inline"),
    "a row": (same, odd_fails, plus, lambda n: n - 1),
    "a batch behind": (odd_fails, map_batches(lambda numbers: numbers, 5, within=0)),
    "a zip inside": (odd_fails, (plus, same), lambda a, b: b),
}


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_what_fails_in_a_branch_never_mixes_up_the_rows_behind(branch):
    got = calls((same, (branch, plus), lambda a, b: (a, b)), range(40))
    for n in range(40):
        assert got[n] == (n, n + 1) if n % 2 == 0 else isinstance(got[n], ValueError)


def test_a_lone_item_that_fails_in_a_branch_is_told_at_once():
    async def play(run):
        with pytest.raises(ValueError, match="1"):
            await run.call(1)
        return asyncio.get_running_loop().time()

    failing = stage(odd_fails, executor="inline")
    assert on_virtual_time((same, (failing, same), lambda a, b: (a, b)), play) == 0


def test_where_a_zip_cannot_do_without_the_item_the_run_ends():
    """A fold in the branch would see the hole."""
    failing = (stage(odd_fails, executor="inline"), scan(lambda a, b: a + b))

    async def main():
        with pytest.raises(ValueError, match="1"):
            async with DataFlow((same, (failing, same), lambda a, b: (a, b))).open() as run:
                assert await run.call(2) == (2, 2)
                with pytest.raises(RunEndedError) as ended:
                    await run.call(1)
                assert isinstance(ended.value.__cause__, ValueError)
                with pytest.raises(RunEndedError):
                    await run.call(2)

    asyncio.run(main())


def test_a_failed_list_is_the_error_of_each_caller():
    def lost(numbers):
        raise ConnectionError

    got = calls((map_batches(lost, 5, within=0.01),), range(5))
    assert [type(each) for each in got] == [ConnectionError] * 5
    got = calls((map_batches(lambda numbers: [1], 5, within=0.01),), range(5))
    assert "1 results for 5 items" in str(got[0])


def test_a_bad_item_does_not_take_the_list_with_it_where_it_says_so():
    def picky(numbers):
        if 3 in numbers:
            raise ItemError("three")
        return numbers

    got = calls((map_batches(picky, 5, within=0.01),), range(5))
    assert isinstance(got.pop(3), ItemError)
    assert got == [0, 1, 2, 4]


def test_of_an_item_that_fails_in_part_the_call_waits_for_the_rest():
    done = []

    async def late(n):
        await asyncio.sleep(5)
        done.append(n)

    async def play(run):
        with pytest.raises(ValueError, match="1"):
            await run.call(1)
        return asyncio.get_running_loop().time()

    assert on_virtual_time((same, (stage(odd_fails, executor="inline"), late)), play) == 5
    assert done == [1]


def test_a_timeout_is_the_calls_own():
    async def play(run):
        with pytest.raises(StageTimeoutError):
            await run.call(1)
        return True

    assert on_virtual_time((stage(slow, timeout=0.5),), play)


@pytest.mark.parametrize("ending", [through, until, scan, take])
def test_what_knows_the_stream_only_ends_the_run_for_everybody(ending):
    def fails(*_):
        raise KeyError("gone")

    if ending is through:
        with pytest.raises(DeliveryError, match="through"):
            DataFlow((same, through(lambda items: items))).open()
        return
    if ending is take:
        got = calls((same, take(2)), range(4))
        assert got[:2] == [[0], [1]]
        assert [type(each) for each in got[2:]] == [RunEndedError] * 2
        return
    with pytest.raises(KeyError):
        calls((same, ending(fails)), range(4))
