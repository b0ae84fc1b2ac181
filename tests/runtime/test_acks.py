"""What a source is told, and when: consumers, sinks, ends of every kind."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import asynccontextmanager, suppress

import pytest

from asyncdataflow import (
    AckableSource,
    DataFlow,
    Message,
    Sink,
    TransactionalSink,
    batch,
    combine_latest,
    dead_letter,
    filter_,
    flatten,
    route,
    stage,
    take,
    until,
    zip_,
)
from asyncdataflow.errors import ItemError, ShutdownTimeoutError, UnsettledError
from asyncdataflow.policy import Buffer, Overflow, Retry
from asyncdataflow.testing import QueueSource, run_virtual


async def same(item):
    return item


async def slowly(item):
    await asyncio.sleep(1)
    return item


async def test_a_result_is_acked_when_the_next_one_is_asked_for():
    queue = QueueSource(range(3))
    async with DataFlow((queue, same)).stream() as run:
        assert await anext(run) == 0
        await asyncio.sleep(0)
        assert queue.acked == []
        assert await anext(run) == 1
        for _ in range(5):
            await asyncio.sleep(0)
        assert queue.acked == [0]


async def test_leaving_without_an_error_acks_the_result_in_hand():
    queue = QueueSource(range(9))
    async with DataFlow((queue, same)).stream() as run:
        await anext(run)
    assert queue.acked == [0]
    assert queue.left == list(range(1, 9))


async def test_an_error_of_the_consumer_nacks_the_result_in_hand():
    queue = QueueSource(range(9))
    error = ValueError("of the consumer")
    with pytest.raises(ValueError, match="of the consumer"):
        async with DataFlow((queue, same)).stream() as run:
            await anext(run)
            raise error
    assert queue.acked == []
    assert queue.nacked[0] == (0, error)


async def test_closing_because_of_an_error_nacks_the_result_in_hand():
    queue = QueueSource(range(9))
    run = DataFlow((queue, same)).stream()
    with pytest.raises(ValueError, match="of the consumer"):
        try:
            await anext(run)
            raise ValueError("of the consumer")
        finally:
            await run.aclose()
    assert queue.acked == []


def test_synchronous_code_acks_and_nacks_alike():
    queue = QueueSource(range(4))
    with DataFlow((queue, same)).iterate() as results:
        assert next(results) == 0
        assert next(results) == 1
    assert queue.acked == [0, 1]
    with pytest.raises(ValueError, match="here"), DataFlow((queue, same)).iterate() as results:
        assert next(results) == 2
        raise ValueError("here")
    assert queue.left == [2, 3]


async def test_what_fails_is_nacked_with_its_error_and_the_rest_with_why():
    queue = QueueSource(range(5))

    async def fails_at_two(item):
        if item == 2:
            raise ValueError("two")

    with pytest.raises(ValueError, match="two") as caught:
        await DataFlow((queue, fails_at_two)).run()
    assert queue.acked == [0, 1]
    told = dict(queue.nacked)
    assert told.pop(2) is caught.value
    assert all(isinstance(error, UnsettledError) for error in told.values())


async def test_what_is_filtered_skipped_or_dropped_by_policy_is_acked():
    queue = QueueSource(range(6))
    rejected = stage(int, executor="inline", on_error="skip")
    await DataFlow((queue, filter_(lambda n: n % 2), lambda n: "x" * n, rejected)).run()
    assert sorted(queue.acked) == list(range(6))


@pytest.mark.parametrize("overflow", [Overflow.DROP_NEWEST, Overflow.DROP_OLDEST])
def test_a_drop_by_policy_is_acked(overflow):
    queue = QueueSource(range(40))

    async def main():
        return await DataFlow((queue, stage(slowly, buffer=2, overflow=overflow))).run()

    results = run_virtual(main())
    assert len(results) < 40
    assert sorted(queue.acked) == list(range(40))


def test_bytes_are_measured_of_the_item_itself():
    queue = QueueSource([b"x" * 10] * 9)
    results = run_virtual(DataFlow((queue, stage(slowly, buffer=Buffer(9, bytes=20)))).run())
    assert len(results) == len(queue.acked) == 9


async def test_a_retry_acks_once_and_the_last_failure_nacks():
    queue = QueueSource(range(3))
    tries = []

    async def at_the_second(item):
        tries.append(item)
        if tries.count(item) < 2:
            raise ConnectionError
        return item

    await DataFlow((queue, stage(at_the_second, retry=Retry(2, backoff=0)))).run()
    assert sorted(queue.acked) == [0, 1, 2]


async def test_a_dead_letter_sink_that_fails_nacks():
    queue = QueueSource(range(3))

    async def bad(item):
        raise ValueError(item)

    async def full(letter):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await DataFlow((queue, stage(bad, on_error=dead_letter(full)))).run()
    assert queue.acked == []
    assert queue.left == [0, 1, 2]


async def test_what_nobody_takes_is_left_for_the_next_run():
    queue = QueueSource(range(30))
    assert await DataFlow((queue, same, take(5))).run() == [0, 1, 2, 3, 4]
    assert queue.acked == [0, 1, 2, 3, 4]
    assert await DataFlow((queue, until(lambda n: n == 8))).run() == [5, 6, 7]
    assert queue.left == list(range(9, 30))


async def test_a_branch_that_wants_no_more_holds_no_ack_back():
    queue = QueueSource(range(50), max_unacked=10)
    results = await DataFlow((queue, (stage(same, name="a"), take(3)))).run()
    assert len(results) == 53
    assert sorted(queue.acked) == list(range(50))


async def test_a_row_acks_what_it_was_made_of_and_the_rest_is_left():
    left, right = QueueSource(range(5)), QueueSource("abc")
    rows = await DataFlow(((left, right), zip_(uneven="shortest"))).run()
    assert rows == [(0, "a"), (1, "b"), (2, "c")]
    assert left.acked == [0, 1, 2]
    assert left.left == [3, 4]


class Rows(Sink):
    """Takes lists, and refuses those with a bad row in them."""

    def __init__(self, chunk, bad=()):
        self.chunk = chunk
        self.bad = bad
        self.rows = []
        self.calls = []

    @asynccontextmanager
    async def open(self):
        async def write(rows):
            self.calls.append(len(rows))
            await asyncio.sleep(0)
            if any(row in self.bad for row in rows):
                raise ItemError("a bad row")
            self.rows += rows

        yield write


async def test_a_sink_gets_what_lies_there_in_one_call():
    queue, sink = QueueSource(range(100)), Rows(40)
    assert await DataFlow((queue, sink)).run() == []
    assert sink.rows == list(range(100))
    assert max(sink.calls) == 40
    assert sorted(queue.acked) == list(range(100))


async def test_lists_are_written_without_acks_too():
    sink = Rows(40)
    assert await DataFlow((range(100), sink)).run() == []
    assert sink.rows == list(range(100))


async def test_one_bad_row_takes_no_other_with_it():
    letters = []
    queue, sink = QueueSource(range(20)), Rows(8, bad={3, 11})
    flow = DataFlow((queue, stage(sink, on_error=dead_letter(letters.append))))
    async with flow.stream() as run:
        assert [each async for each in run] == []
        stats = run.stats().stages["Rows"]
    assert [letter.item for letter in letters] == [3, 11]
    assert sink.rows == [n for n in range(20) if n not in (3, 11)]
    assert sorted(queue.acked) == list(range(20))
    assert (stats.received, stats.dead_lettered, stats.in_flight) == (20, 2, 0)


async def test_a_list_that_fails_stops_the_run_and_nacks_all_of_it():
    queue, sink = QueueSource(range(20)), Rows(8, bad={3})
    with pytest.raises(ItemError, match="a bad row"):
        await DataFlow((queue, sink)).run()
    assert 3 in queue.left
    assert not set(queue.acked) & set(queue.left)


class Table(TransactionalSink):
    """Rows, and where their source stands, in one place."""

    def __init__(self, chunk=7, fails_at=None):
        self.chunk = chunk
        self.fails_at = fails_at
        self.rows = []
        self.stored = {}

    @asynccontextmanager
    async def open(self):
        yield self

    async def positions(self, source):
        return self.stored.get(source, {})

    async def write(self, rows, positions):
        await asyncio.sleep(0)
        if self.fails_at in rows:
            raise ConnectionError("lost")
        self.rows += rows
        for source, own in positions.items():
            self.stored.setdefault(source, {}).update(own)


async def test_positions_are_stored_with_their_rows_and_the_next_run_goes_on_behind_them():
    table = Table(fails_at=23)
    flow = lambda: DataFlow(  # noqa: E731
        (QueueSource(range(40)), stage(same, concurrency=3), table), delivery="exactly_once"
    )
    with pytest.raises(ConnectionError):
        await flow().run()
    assert table.rows == list(range(len(table.rows)))
    assert table.stored == {"QueueSource": {None: len(table.rows) - 1}}
    table.fails_at = None
    await flow().run()
    assert table.rows == list(range(40))


async def test_at_most_once_is_answered_before_it_is_worked_on():
    queue = QueueSource(range(3))
    seen = []

    async def look(item):
        seen.append(item in queue.acked)
        raise ValueError("then")

    with pytest.raises(ValueError, match="then"):
        await DataFlow((queue, look), delivery="at_most_once").run()
    assert seen == [True]


async def test_a_source_that_cannot_take_an_answer_fails_the_run():
    def refuse(answer):
        raise OSError("the log is full")

    queue = QueueSource(range(500), on_answer=refuse)
    with pytest.raises(OSError, match="the log is full") as caught:
        await DataFlow((queue, same)).run()
    assert "QueueSource" in str(caught.value.__notes__)


async def test_a_stop_nacks_what_is_under_way():
    queue = QueueSource(range(9))
    async with DataFlow((queue, stage(slowly, concurrency=3))).stream() as run:
        first = asyncio.ensure_future(anext(run))
        for _ in range(9):
            await asyncio.sleep(0)
        run.stop()
        with pytest.raises(StopAsyncIteration):
            await first
    assert queue.left == list(range(9))
    assert len(queue.nacked) == 9


class Endless(AckableSource):
    """Gives a message a second, for ever."""

    def __init__(self):
        self.told = []

    @asynccontextmanager
    async def open(self, after=None):
        yield self

    async def __aiter__(self):
        number = 0
        while True:
            await asyncio.sleep(1)
            yield Message(number, number)
            number += 1

    async def answer(self, answers):
        self.told += answers


def test_a_drain_waits_for_what_became_of_each_and_then_leaves_the_source():
    source = Endless()
    sizes = []

    async def keep(items):
        sizes.append(len(items))
        await asyncio.sleep(3)

    async def main():
        flow = DataFlow((source, batch(1000, seconds=100), keep))
        async with flow.stream() as run:
            asyncio.get_running_loop().call_later(10.5, run.drain)
            assert [each async for each in run] == []

    run_virtual(main())
    # The message that comes within the second that a source has to yield is taken along.
    assert sizes == [11]
    assert [each.is_ack for each in source.told] == [True] * 11


def test_a_source_that_waits_for_room_drains_too():
    source = Endless()
    source.max_unacked = 2

    async def main():
        async with DataFlow((source, stage(slowly, buffer=1), stage(slowly, name="b"))).stream() as run:
            asyncio.get_running_loop().call_later(7.5, run.drain)
            return [each async for each in run]

    results = run_virtual(main())
    assert results == list(range(len(results)))
    assert len(source.told) == len(results)


ENDS = {
    "stop": lambda run, loop: loop.call_later(0.5, run.stop),
    "a drain that takes too long": lambda run, loop: loop.call_later(0.5, run.drain, 0.1),
    "leaving": lambda run, loop: loop.call_later(0.5, asyncio.current_task().cancel),
}


async def saved_slowly(item):
    await asyncio.sleep(2 if item % 2 else 0.1)


async def in_two(item):
    yield item
    await asyncio.sleep(1)
    yield item


UNDER_WAY = {
    "a filter": (filter_(lambda item: True),),
    "a generator": (stage(in_two, concurrency=3),),
    "a route": (route(lambda item: "a"), {"a": same, "b": same}),
    "a batch taken apart": (batch(2), flatten()),
    "two branches": ((same, stage(saved_slowly, concurrency=4, name="other")),),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", UNDER_WAY)
def test_a_run_that_stops_acks_nothing_that_is_in_a_worker_s_hands(name, end):
    saved = []

    async def save(item):
        await saved_slowly(item)
        saved.append(item)

    queue = QueueSource(range(12))

    async def main():
        flow = DataFlow((queue, *UNDER_WAY[name], stage(save, concurrency=4)))
        with suppress(asyncio.CancelledError, ShutdownTimeoutError):
            async with flow.stream() as run:
                ENDS[end](run, asyncio.get_running_loop())
                async for _ in run:
                    pass

    run_virtual(main())
    assert set(queue.acked) <= set(saved)


async def test_what_a_filter_passes_on_and_nobody_takes_is_left():
    queue = QueueSource(range(12))
    assert await DataFlow((queue, filter_(lambda item: True), take(3))).run() == [0, 1, 2]
    assert queue.acked == [0, 1, 2]


async def test_closing_from_another_task_nacks_the_result_in_hand():
    queue = QueueSource(range(9))
    run = DataFlow((queue, same)).stream()
    await anext(run)
    await asyncio.create_task(run.aclose())
    assert queue.acked == []


def test_closing_from_another_thread_nacks_the_result_in_hand():
    queue = QueueSource(range(9))
    results = DataFlow((queue, same)).iterate()
    next(results)
    other = threading.Thread(target=results.close)
    other.start()
    other.join()
    assert queue.acked == []


async def test_every_item_of_a_row_of_the_latest_has_to_be_written():
    numbers, letters = QueueSource([1, 2]), QueueSource("xy")
    failed = []

    async def second_fails(row):
        failed.append(row)
        if len(failed) == 2:
            raise ValueError(row)

    with pytest.raises(ValueError, match="stage second_fails"):
        await DataFlow(((numbers, letters), combine_latest(), second_fails)).run()
    assert set(failed[1]) & {*numbers.left, *letters.left} == set(failed[1])


async def test_positions_are_stored_one_by_one_too():
    table = Table(chunk=1)
    await DataFlow((QueueSource([(1, 2), (3, 4)]), table)).run()
    assert table.rows == [(1, 2), (3, 4)]
    assert table.stored == {"QueueSource": {None: 1}}


def test_a_rate_is_of_items_in_lists_too():
    async def main():
        began = asyncio.get_running_loop().time()
        await DataFlow((QueueSource(range(11)), stage(Rows(5), rate=10))).run()
        return asyncio.get_running_loop().time() - began

    assert run_virtual(main()) == pytest.approx(1)


async def test_at_most_once_closes_what_it_reads():
    closed = []

    class Log(AckableSource):
        @asynccontextmanager
        async def open(self, after=None):
            yield self

        async def __aiter__(self):
            try:
                for number in range(99):
                    yield Message(number)
            finally:
                closed.append("read")

        async def answer(self, answers):
            pass

    await DataFlow((Log(), take(3)), delivery="at_most_once").run()
    assert closed == ["read"]


def test_a_source_that_is_still_opening_is_not_waited_for():
    class Slow(Endless):
        @asynccontextmanager
        async def open(self, after=None):
            await asyncio.sleep(1000)
            yield self

    async def main():
        async with DataFlow((Slow(), same)).stream() as run:
            asyncio.get_running_loop().call_later(1, run.drain)
            return [each async for each in run]

    assert run_virtual(main()) == []


async def test_what_was_collected_in_the_midst_of_closing_does_not_disturb():
    queue = QueueSource(range(300))

    class Ring:
        def __init__(self, item):
            self.item, self.me = item, self

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        async with DataFlow((queue, Ring, stage(slowly, concurrency=50))).stream() as run:
            waiting = asyncio.ensure_future(anext(run))
            for _ in range(9):
                await asyncio.sleep(0)
            run.stop()
            with suppress(StopAsyncIteration):
                await waiting
    finally:
        gc.set_threshold(*threshold)
    assert queue.left == list(range(300))


def test_a_source_that_is_slow_to_stop_acks_nothing_of_which_half_was_dropped():
    class Slow(Endless):
        async def __aiter__(self):
            try:
                for number in range(4):
                    yield Message(number)
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(2)

    source = Slow()

    async def main():
        flow = DataFlow((source, (same, stage(saved_slowly, concurrency=4, ordered=False))))
        async with flow.stream() as run:
            asyncio.get_running_loop().call_later(0.5, run.stop)
            async for _ in run:
                pass

    run_virtual(main())
    assert {each.message.item: each.is_ack for each in source.told} == {0: True, 1: False, 2: True, 3: False}
