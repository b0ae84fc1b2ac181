"""A source that fails is opened anew: nothing lost, nothing doubled where that can be, and not for ever."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import DataFlow, Source, TransactionalSink, batch, stage, take
from asyncdataflow.errors import (
    ConnectionLostError,
    ConnectorSetupError,
    DefinitionError,
    MissingExtraError,
    SourceChangedError,
    StorageBusyError,
    StorageError,
)
from asyncdataflow.policy import Restart
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.serving.flaky import Flaky

STEADY = Restart(jitter=0)
RARE = Restart(first=60, most=60, attempts=3, jitter=0)


async def slowly(item):
    await asyncio.sleep(0.35)
    return item


def served(flow, **options):
    """Serve it on virtual time; how it ended, and its results."""
    results = []
    return run_virtual(flow.serve(on_result=results.append, **options)), results


class TestASourceThatIsAnswered:
    def test_is_opened_anew_where_a_pull_fails_and_nothing_comes_twice(self):
        source = Flaky(pulls=[3, 7])
        ended, results = served(DataFlow((source, stage(slowly, concurrency=4))))
        assert ended.reason == "ended"
        assert results == list(range(10))
        assert (source.left, source.nacked, source.sessions) == ([], [], 3)
        assert ended.stats.stages["Flaky"].retried == 2

    def test_is_opened_anew_where_its_messages_cannot_even_be_closed(self):
        """What it has given is settled first all the same, and the next session is told."""
        source = Flaky(pulls=[3], hang_ups=[1], most=2)
        _, results = served(DataFlow((source, slowly)))
        assert results == source.acked == list(range(10))
        assert (source.nacked, source.sessions) == ([], 2)

    def test_is_opened_anew_where_it_cannot_be_opened(self):
        source = Flaky(opens=[1, 2])
        assert served(DataFlow((source, slowly)))[1] == list(range(10))
        assert source.sessions == 3

    def test_is_opened_anew_where_it_cannot_be_told_and_what_it_did_not_hear_comes_again(self):
        source = Flaky(answers=[2, 6], most=3)
        _, results = served(DataFlow((source, stage(slowly, concurrency=3))))
        assert set(results) == set(source.acked) == set(range(10))
        assert (source.left, sorted(source.acked)) == ([], list(range(10)))
        assert source.sessions == 3

    def test_is_opened_anew_where_it_waits_for_its_next_message_and_cannot_be_told_of_the_last(self):
        source = Flaky(1, answers=[0], silent=True)

        async def main():
            started = []
            serving = asyncio.create_task(DataFlow((source, slowly)).serve(on_start=started.append))
            await asyncio.sleep(5)
            started[0].drain()
            return await serving

        assert run_virtual(main()).reason == "ended"
        assert (source.sessions, source.acked) == (2, [0])

    def test_all_kinds_of_failure_at_once_lose_nothing(self):
        source = Flaky(20, opens=[2, 5], pulls=[4, 9, 15], answers=[3, 12], closes=[3], most=5)
        assert set(served(DataFlow((source, stage(slowly, concurrency=3))))[1]) == set(range(20))
        assert (source.left, sorted(source.acked)) == ([], list(range(20)))

    def test_what_lies_in_a_batch_is_not_waited_for_for_ever(self):
        source = Flaky(5, pulls=[3])
        _, results = served(DataFlow((source, batch(100))), restart=Restart(settle=2, first=0, jitter=0))
        # At least once: they lie there already when they come again.
        assert results == [[0, 1, 2, 0, 1, 2, 3, 4]]
        assert (source.nacked, sorted(source.acked)) == ([0, 1, 2], [0, 1, 2, 3, 4])
        assert source.opened_at[1] - source.opened_at[0] == pytest.approx(2.3)

    def test_is_not_opened_anew_without_a_policy(self):
        source = Flaky(pulls=[3])
        with pytest.raises(ConnectionError, match="no 3"):
            served(DataFlow((source, slowly)), restart=None)
        with pytest.raises(ConnectionError):
            run_virtual(DataFlow((Flaky(pulls=[3]), slowly)).run())

    def test_its_own_policy_goes_before_that_of_the_service(self):
        source = Flaky(pulls=[3])
        with pytest.raises(ConnectionError) as caught:
            served(DataFlow((stage(source, restart=Restart(on=LookupError)), slowly)))
        assert source.sessions == 1
        assert any("in stage" in note for note in caught.value.__notes__)

    def test_what_fails_behind_it_ends_the_service(self):
        def fails(item):
            raise ZeroDivisionError(item)

        source = Flaky()
        with pytest.raises(ZeroDivisionError):
            served(DataFlow((source, stage(fails, executor="inline"))))
        assert source.sessions == 1
        assert source.left == list(range(10))


class TestThatIsStoredWithItsPosition:
    def test_goes_on_behind_what_the_sink_has(self):
        source, store = Flaky(pulls=[3, 7]), Store()
        served(DataFlow((source, stage(slowly, concurrency=2), store)))
        assert store.items == list(range(10))
        assert source.seen_after == [{}, {None: 2}, {None: 6}]

    def test_and_of_which_it_cannot_be_told(self):
        source, store = Flaky(answers=[1, 5], most=4), Store()
        served(DataFlow((source, stage(slowly, concurrency=2), store)))
        assert store.items == list(range(10))

    def test_is_not_opened_anew_while_something_may_still_be_stored(self):
        source, store = Flaky(pulls=[3]), Store()
        with pytest.raises(ConnectionError, match="no 3"):
            served(DataFlow((source, batch(7), store)), restart=Restart(settle=1))
        assert store.items == []


class Store(TransactionalSink):
    chunk = 1

    def __init__(self):
        self.items, self.stored = [], {}

    @asynccontextmanager
    async def open(self):
        yield self

    async def positions(self, source):
        return self.stored.get(source, {})

    async def write(self, items, positions):
        await asyncio.sleep(0.01)
        self.items += items
        self.stored |= positions


class TestABudget:
    def test_the_waits_double_up_to_the_longest(self):
        source = Flaky(opens=range(1, 7))
        served(DataFlow((source, slowly)), restart=Restart(first=1, most=5, jitter=0))
        waits = [later - before for before, later in itertools.pairwise(source.opened_at)]
        assert waits == [1, 2, 4, 5, 5, 5]

    def test_one_failure_more_than_that_stands(self):
        source = Flaky(opens=range(1, 99))
        with pytest.raises(ConnectionError, match="session 4") as caught:
            served(DataFlow((source, slowly)), restart=Restart(attempts=3, jitter=0))
        assert source.sessions == 4
        assert "it was opened anew 3 times within 300.0 s" in caught.value.__notes__

    def test_failures_of_long_ago_do_not_count(self):
        source = Flaky(100, pulls=range(10, 100, 10))
        served(DataFlow((source, slowly)), restart=Restart(attempts=2, within=3, first=0.1, jitter=0))
        assert source.left == []
        assert source.sessions == 10

    def test_jitter_takes_off_a_part(self):
        assert Restart(first=2, jitter=0.5).wait(1, 0.5) == 1.5
        assert Restart(first=2, most=9).wait(2_000, 0.0) == 9

    @pytest.mark.parametrize(
        "wrong",
        [
            {"attempts": 0},
            {"within": 0},
            {"first": -1},
            {"most": -1},
            {"jitter": 2},
            {"settle": -1},
            {"on": "ConnectionError"},
            {"attempts": 1000},
        ],
        ids=str,
    )
    def test_what_makes_no_sense_is_refused(self, wrong):
        with pytest.raises(ValueError, match=r"Restart\("):
            Restart(**wrong)

    def test_without_end_has_to_be_written(self):
        source = Flaky(opens=range(1, 50))
        served(DataFlow((source, slowly)), restart=Restart(attempts=None, within=1))
        assert source.sessions == 50


class Unopened(Flaky):
    """Cannot be opened, so many times, for a reason of its own."""

    def __init__(self, *reasons):
        super().__init__(3)
        self.reasons = list(reasons)

    @asynccontextmanager
    async def open(self, after=None):
        if self.reasons:
            self.sessions += 1
            raise self.reasons.pop(0)
        async with super().open(after) as session:
            yield session


class Replaced:
    """A session that gives other messages."""

    def __init__(self, session, messages):
        self.answer = session.answer
        self.messages = messages

    def __aiter__(self):
        return self.messages


class TestThatCouldNeverBeOpened:
    @pytest.mark.parametrize(
        "reason",
        [
            FileNotFoundError("lost.jsonl"),
            NotADirectoryError("lost"),
            PermissionError("not yours"),
            StorageError("lost.jsonl: opening failed: No such file or directory"),
            ConnectorSetupError("there is no table"),
            MissingExtraError("pip install it"),
            ValueError("a wrong option"),
        ],
        ids=lambda reason: type(reason).__name__,
    )
    def test_is_not_waited_for_where_no_wait_mends_it(self, reason):
        source = Unopened(reason)
        with pytest.raises(type(reason)) as caught:
            served(DataFlow((source, slowly)))
        assert caught.value is reason
        assert source.sessions == 1
        assert any("never be opened" in note for note in reason.__notes__)

    @pytest.mark.parametrize(
        "reason",
        [
            ConnectionRefusedError(),
            ConnectionLostError("gone"),
            TimeoutError(),
            StorageBusyError("held"),
            OSError(),
        ],
        ids=lambda reason: type(reason).__name__,
    )
    def test_is_waited_for_where_that_may_pass(self, reason):
        source = Unopened(reason)
        assert served(DataFlow((source, slowly)))[1] == [0, 1, 2]
        assert source.sessions == 2

    def test_is_waited_for_where_it_is_said(self):
        flow = DataFlow((stage(Unopened(FileNotFoundError()), restart=Restart(on=OSError)), slowly))
        assert served(flow)[1] == [0, 1, 2]

    def test_once_it_was_open_every_failure_is_worth_it(self):
        source = Flaky(3, pulls=[1])
        reasons, opening = [FileNotFoundError(), PermissionError()], source.open

        @asynccontextmanager
        async def open_(after=None):
            if source.sessions and reasons:
                raise reasons.pop()
            async with opening(after) as session:
                yield session

        source.open = open_
        assert served(DataFlow((source, slowly)))[1] == [0, 1, 2]
        assert reasons == []

    def test_is_not_waited_for_where_it_is_another_now(self):
        source = Unopened(SourceChangedError("rotated"))
        with pytest.raises(SourceChangedError, match="rotated"):
            served(DataFlow((source, slowly)))
        assert source.sessions == 1

    @pytest.mark.parametrize("on", [None, RuntimeError], ids=["as it is", "where it is said"])
    def test_once_it_was_open_none_is_waited_for_that_is_another_now(self, on):
        """What it was read up to is not there any more: to go on elsewhere would skip what lies between."""
        source = Flaky(3)
        opening = source.open

        async def messages(session):
            async for message in session:
                yield message
                if source.sessions == 1:
                    raise SourceChangedError("rotated")

        @asynccontextmanager
        async def open_(after=None):
            async with opening(after) as session:
                yield Replaced(session, messages(session))

        source.open = open_
        if on is not None:
            flow = DataFlow((stage(source, restart=Restart(on=on)), slowly))
            assert served(flow)[1] == [0, 1, 2]
            return
        with pytest.raises(SourceChangedError, match="rotated"):
            served(DataFlow((source, slowly)))
        assert source.sessions == 1


class TestAPlainSource:
    def test_gives_its_items_from_its_beginning(self):
        tries = []

        async def numbers():
            tries.append(1)
            for number in range(3):
                yield number
                if len(tries) < 3 and number == len(tries):
                    raise ConnectionError

        assert run_virtual(DataFlow((stage(numbers, restart=STEADY), slowly)).run()) == [
            0,
            1,
            0,
            1,
            2,
            0,
            1,
            2,
        ]

    def test_is_not_opened_anew_by_default(self):
        async def numbers():
            yield 0
            raise ConnectionError

        with pytest.raises(ConnectionError):
            served(DataFlow((numbers, slowly)))

    def test_may_be_a_generator_in_a_thread(self):
        tries = []

        def numbers():
            tries.append(1)
            yield len(tries)
            if len(tries) < 3:
                raise ConnectionError

        flow = DataFlow((stage(numbers, restart=Restart(first=0)), str))
        assert flow() == ["1", "2", "3"]

    def test_may_be_a_source_that_cannot_be_opened(self):
        class Late(Source):
            opened = 0

            @asynccontextmanager
            async def open(self):
                Late.opened += 1
                if Late.opened < 3:
                    raise ConnectionError

                async def read():
                    yield "at last"

                yield read()

        assert run_virtual(DataFlow((stage(Late(), restart=STEADY), str)).run()) == ["at last"]

    def test_a_full_edge_is_not_its_own_failure(self):
        tries = []

        async def numbers():
            tries.append(1)
            for number in range(9):
                yield number

        flow = DataFlow((stage(numbers, restart=STEADY), stage(slowly, buffer=2, overflow="fail")))
        with pytest.raises(OverflowError):
            run_virtual(flow.run())
        assert len(tries) == 1

    @pytest.mark.parametrize(
        ("definition", "why"),
        [
            ((stage(iter([1]), restart=STEADY), str), "cannot be begun anew"),
            ((stage(slowly, restart=STEADY), str), r"retry="),
            ((range(1), stage(str, restart=STEADY)), "only a source"),
        ],
    )
    def test_is_refused_where_there_is_nothing_to_open_anew(self, definition, why):
        with pytest.raises(DefinitionError, match=why):
            DataFlow(definition)

    def test_is_nothing_but_a_policy(self):
        with pytest.raises(ValueError, match="restart="):
            stage(slowly, restart=3)


class TestWhileTheRunEnds:
    def drained(self, source, *, after, flow=None, restart=RARE):
        async def main():
            started = []
            flow_ = flow or DataFlow((source, slowly))
            serving = asyncio.create_task(flow_.serve(restart=restart, on_start=started.append))
            await asyncio.sleep(after)
            started[0].drain(timeout=1000)
            await serving
            return asyncio.get_running_loop().time()

        return run_virtual(main())

    def test_a_drain_does_not_wait_until_it_would_be_opened(self):
        source = Flaky(opens=[1])
        assert self.drained(source, after=5) == pytest.approx(5)
        assert source.sessions == 1

    def test_a_drain_while_what_it_gave_settles_flushes_what_lies_in_a_batch(self, caplog):
        source = Flaky(5, pulls=[3])
        ended = self.drained(
            source,
            after=5,
            flow=DataFlow((source, batch(100))),
            restart=Restart(settle=1000),
        )
        assert ended == pytest.approx(5)
        assert (source.sessions, source.acked) == (1, [0, 1, 2])
        assert "was to end" in caplog.text

    def test_a_failure_while_it_drains_stands(self):
        source = Flaky(5, answers=[4])
        with pytest.raises(ConnectionError, match="not told of 4"):
            self.drained(source, after=0.45)

    def test_a_stop_ends_the_wait(self):
        source = Flaky(opens=[1])

        async def main():
            async with DataFlow(
                (stage(source, restart=Restart(first=60, most=60, attempts=3)), slowly)
            ).stream():
                await asyncio.sleep(5)
            return asyncio.get_running_loop().time()

        assert run_virtual(main()) == pytest.approx(5)

    def test_what_is_enough_for_those_behind_ends_it(self):
        source = Flaky(9, opens=[1])
        flow = DataFlow((source, take(2)))
        assert served(flow)[1] == [0, 1]


def test_each_time_it_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        served(DataFlow((Flaky(pulls=[3]), slowly)), restart=STEADY)
    (record,) = caplog.records
    assert "Flaky: the source has failed and is opened anew in 0.1 s (1 of 10" in record.message
    assert "no 3" in record.message


def test_the_same_seed_gives_the_same_waits():
    def opened():
        random.seed(7)
        source = Flaky(opens=[1, 2, 3])
        served(DataFlow((source, slowly)))
        return source.opened_at

    assert opened() == opened()
