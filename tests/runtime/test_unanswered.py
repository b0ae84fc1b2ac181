"""What is not answered yet: what operators keep comes again, and no more is read than may be unanswered."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DataFlow, Retry, batch, combine_latest, dead_letter, stage
from asyncdataflow.testing import QueueSource, run_virtual


async def same(item):
    return item


async def test_what_is_kept_as_the_latest_comes_again_when_a_run_has_failed():
    """E57: all rows are written, and yet the state that they leave is not acked."""
    numbers, letters = QueueSource([0, 1, 2]), QueueSource("xy")
    rows = []
    fails = True

    async def after(row, item, when):
        while item == when and row not in rows:
            await asyncio.sleep(0)
        return item

    async def number(item):
        return await after((item - 1, "x"), item, max(item, 1))

    async def letter(item):
        await after((2, "x"), item, "y")
        if item == "y" and fails:
            raise ValueError(item)
        return item

    async def write(row):
        rows.append(row)

    flow = DataFlow((([numbers, number], [letters, letter]), combine_latest(), write))
    with pytest.raises(ValueError, match="y"):
        await flow.run()
    assert rows == [(0, "x"), (1, "x"), (2, "x")]
    assert (numbers.acked, letters.acked) == ([0, 1], [])
    fails = False
    rows.remove((2, "x"))
    await flow.run()
    assert rows[2:] == [(2, "x"), (2, "y")]
    assert (numbers.left, letters.left) == ([], [])


@pytest.mark.parametrize("fails_at", range(10))
async def test_what_lies_in_a_batch_comes_again_when_a_run_has_failed(fails_at):
    """E57: what is acked is in batches that are written; of the rest the next run makes the same."""
    queue, written = QueueSource(range(10)), []

    async def may_fail(item):
        if item == fails_at:
            raise ValueError(item)
        return item

    async def write(items):
        written.append(items)

    with pytest.raises(ValueError, match="may_fail"):
        await DataFlow((queue, may_fail, batch(3), write)).run()
    assert queue.acked == [item for items in written for item in items]
    assert [*queue.acked, *queue.left] == list(range(10))
    await DataFlow((queue, same, batch(3), write)).run()
    assert written == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


@pytest.mark.parametrize("most", [1, 4])
def test_a_source_is_read_no_further_until_something_is_answered(most):
    """E53: one more is read for each that is answered, and none for anything else."""
    read, done = [], asyncio.Queue()

    async def begun(item):
        read.append(item)
        return item

    async def held(item):
        await done.get()

    async def main():
        steps = (QueueSource(range(9), max_unacked=most), begun, stage(held, concurrency=9, buffer=9))
        running = asyncio.create_task(DataFlow(steps).run())
        for answered in range(9):
            await asyncio.sleep(1)
            assert len(read) == min(most + answered, 9)
            done.put_nowait(None)
        await running

    run_virtual(main())


async def bad_on_loop(item):
    raise ValueError(item)


def bad_in_thread(item):
    raise ValueError(item)


@pytest.mark.parametrize("work", [bad_on_loop, bad_in_thread])
async def test_a_letter_that_its_sink_has_is_acked_and_the_one_that_it_has_not_is_nacked(work):
    """D40: a letter has all that is known of its item, and the item is never acked and nowhere."""
    items = [["a"], ["b"], ["c"], ["d"]]
    queue, letters = QueueSource(items), []

    async def keep(letter):
        if letter.item == ["c"]:
            raise OSError("disk full")
        letters.append(letter)

    failing = stage(work, retry=Retry(attempts=2, backoff=0), on_error=dead_letter(keep))
    with pytest.raises(OSError, match="disk full") as caught:
        await DataFlow((queue, failing)).run()
    assert [each.item for each in letters] == queue.acked == [["a"], ["b"]]
    for letter, item in zip(letters, items, strict=False):
        assert letter.item is item
        assert type(letter.error) is ValueError
        assert (letter.stage, letter.path, letter.attempts) == (work.__name__, "definition[1]", 2)
    assert queue.left == [["c"], ["d"]]
    assert (["c"], caught.value) in queue.nacked
