"""The worker that walks: what goes through several stages in one go, and what does not."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter

import pytest

from asyncdataflow import Buffer, DataFlow, stage
from asyncdataflow._runtime.baton import Baton
from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.supervise import Counters
from asyncdataflow._runtime.walk import Path, Walk
from asyncdataflow.histogram import Recorder
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.runtime.test_fused import PLACES, Row, later, run


class TestWhatItSaves:
    @pytest.mark.parametrize("plain", [(), tuple(PLACES), (1, 2)], ids=["coroutines", "functions", "mixed"])
    def test_an_item_goes_through_all_stages_before_the_next_begins(self, plain):
        row = Row(plain=plain)
        assert run(row, 20, fuse=True, source=later)[0] == list(range(20))
        assert row.calls == [(place, item) for item in range(20) for place in PLACES]

    def test_with_a_worker_of_its_own_each_stage_takes_what_lies_there(self):
        row = Row()
        run(row, 20, fuse=False, source=later)
        assert row.calls == [(place, item) for place in PLACES for item in range(20)]

    def test_it_takes_few_turns_of_the_loop(self):
        async def main(fuse):
            loop, turns = asyncio.get_running_loop(), Counter()

            async def trickle(n):
                for number in range(n):
                    await asyncio.sleep(1)
                    yield number

            def task_of(item):
                turns[asyncio.current_task()] += 1
                return item

            row = [stage(task_of, executor="inline") for _ in PLACES]
            assert await DataFlow((trickle, *row), fuse=fuse).run({"n": 50}) == list(range(50))
            assert loop.time() == 50
            return len(turns)

        assert run_virtual(main(True)) == 1
        assert run_virtual(main(False)) == 5

    def test_a_long_row_is_walked_in_parts(self):
        """What is written out for one is kept."""
        calls = []

        def call(place, item):
            calls.append((place, item))
            return item

        row = [
            stage(functools.partial(call, place), name=f"s{place}", executor="inline") for place in range(40)
        ]
        flow = DataFlow((later, *row))
        assert run_virtual(flow.run({"n": 3})) == [0, 1, 2]
        parts = (range(16), range(16, 32), range(32, 40))
        assert calls == [(place, item) for part in parts for item in range(3) for place in part]

    def test_a_stage_that_has_suspended_is_walked_into_once_it_has_not(self):
        row = Row(lambda place, item: 1.0 if place == 2 and item < 10 else None)

        async def two_by_two(n):
            for number in range(n):
                if number % 2 == 0:
                    await asyncio.sleep(10)
                yield number

        run(row, 20, fuse=True, source=two_by_two)
        at_once = [(place, item) for item in (18, 19) for place in PLACES]
        assert row.calls[-10:] == at_once
        assert [place for place, _ in row.calls[20:30]] == [0, 1, 0, 1, 2, 3, 4, 2, 3, 4]

    def test_what_waits_behind_a_busy_stage_is_taken_as_far_as_that(self):
        """The third stage has its first item for a second; the rest lies before it meanwhile."""
        row = Row(lambda place, item: 1.0 if (place, item) == (2, 0) else None)
        run(row, 6, fuse=True, source=later)
        assert row.calls[:3] == [(0, 0), (1, 0), (2, 0)]
        assert [each for each in row.calls if each[0] < 2][2:] == [
            (place, item) for item in range(1, 6) for place in (0, 1)
        ]


class TestWhoSleepsWhenItBegins:
    """A walk of three items through two stages, which writes down at each call whether anybody sleeps."""

    async def _walk(self, sleep):
        baton, sleeping = Baton(), []
        first, inner, last = (Channel(Buffer(3), baton=baton) for _ in range(3))
        walk = Walk(baton)

        async def function(item):
            sleeping.append(walk.is_waited_for)
            return item

        path = Path(
            inlets=[first, inner],
            tallies=[Counters(), Counters()],
            outlets=[last],
            functions=[function] * 2,
            awaited=[True] * 2,
            lay=last.laying(),
            none=None,
            tracked=False,
            took=Recorder(),
        )
        sender = first.sender()
        for number in range(3):
            sender.send_nowait(number)
        task = asyncio.create_task(sleep(sender, last))
        await asyncio.sleep(0)
        assert await walk.along(path, 3) is None
        walk.end()
        await task
        return sleeping

    def test_a_sender_is_woken_by_the_first_item_taken(self):
        sleeping = run_virtual(self._walk(lambda sender, last: sender.send(3)))
        assert sleeping == [False] * 6

    def test_a_receiver_is_woken_by_the_first_item_put(self):
        sleeping = run_virtual(self._walk(lambda sender, last: last.wait_for_item()))
        assert sleeping == [True] * 2 + [False] * 4

    def test_nobody_sleeps(self):
        assert run_virtual(self._walk(lambda sender, last: asyncio.sleep(0))) == [False] * 6


class TestWhoGivesWay:
    def test_who_is_walked_past_meanwhile_looks_where_it_serves_then(self):
        """It looks again before anybody has told it of the item that waits inside its stage."""

        async def bursts():
            for number in range(120):
                yield number
            await asyncio.sleep(1)
            await asyncio.sleep(0)  # The second stage's worker gives way for the last time.
            for number in range(120, 240):
                yield number

        async def first(item):
            return item

        async def second(item):
            if item % 120 == 0:
                await asyncio.sleep(1)
            return item if item == 239 else None  # The consumer would look as well.

        async def main():
            results = await DataFlow((bursts, first, second)).run()
            return results, asyncio.get_running_loop().time()

        assert run_virtual(main()) == ([239], 2)
