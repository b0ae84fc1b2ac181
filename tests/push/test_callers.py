"""Who calls a run that ends, over its limit, and leaves before it is served."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from asyncdataflow import (
    DataFlow,
    stage,
)
from asyncdataflow.errors import (
    RunEndedError,
    ShutdownTimeoutError,
)
from asyncdataflow.operators import map_batches
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.push.flows import (
    all_plus,
    on_virtual_time,
    plus,
    same,
    slow,
)

# the end of the run


def test_a_run_that_ends_under_its_callers_tells_each():
    async def main():
        async with DataFlow((slow,)).open(limit=2) as run:
            waiting = [asyncio.create_task(run.call(n)) for n in range(4)]
            await asyncio.sleep(0.5)
            assert (run.under_way, run.waiting) == (2, 2)
        got = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in got] == [RunEndedError] * 4
        with pytest.raises(RunEndedError, match="has ended"):
            await run.call(1)
        assert run.state == "ended"

    run_virtual(main())


def test_a_resource_that_cannot_be_opened_is_told_to_callers_and_raised_from_the_block():
    def refuse():
        raise ConnectionRefusedError("no")

    async def use(n, *, db):
        return n

    async def main():
        with pytest.raises(ConnectionRefusedError):
            async with DataFlow((use,), resources={"db": refuse}).open() as run:
                with pytest.raises(RunEndedError, match="no") as ended:
                    await run.call(1)
                assert isinstance(ended.value.__cause__, ConnectionRefusedError)
                assert run.failures

    asyncio.run(main())


def test_an_error_of_the_block_wins_and_has_the_runs_failure_as_a_note():
    def refuse():
        raise ConnectionRefusedError("no")

    async def use(n, *, db):
        return n

    async def main():
        with pytest.raises(LookupError) as raised:
            async with DataFlow((use,), resources={"db": refuse}).open() as run:
                with pytest.raises(RunEndedError):
                    await run.call(1)
                raise LookupError
        assert "ConnectionRefusedError" in str(raised.value.__notes__)

    asyncio.run(main())


def test_before_the_block_no_call_is_taken():
    async def main():
        run = DataFlow((same,)).open()
        assert run.state == "new"
        with pytest.raises(RunEndedError, match="async with"):
            await run.call(1)
        async with run:
            assert await run.call(1) == 1
        assert "ended" in repr(run)

    asyncio.run(main())


def test_drain_serves_those_who_called_and_takes_no_more():
    async def main():
        async with DataFlow((stage(slow, concurrency=2),)).open(limit=2) as run:
            waiting = [asyncio.create_task(run.call(n)) for n in range(6)]
            await asyncio.sleep(0)
            run.drain()
            with pytest.raises(RunEndedError, match="takes no more"):
                await run.call(9)
            assert await asyncio.gather(*waiting) == list(range(6))
            await run.wait()
            assert run.state == "ended"

    run_virtual(main())


def test_drain_flushes_what_a_list_waits_for():
    async def main():
        async with DataFlow((map_batches(all_plus, 10, within=1000),)).open() as run:
            waiting = [asyncio.create_task(run.call(n)) for n in range(3)]
            await asyncio.sleep(0.01)
            run.drain()
            assert await asyncio.gather(*waiting) == [1, 2, 3]

    asyncio.run(main())


def test_drain_past_its_time_stops():
    async def main():
        with pytest.raises(ShutdownTimeoutError):
            async with DataFlow((slow,)).open() as run:
                waiting = [asyncio.create_task(run.call(n)) for n in range(6)]
                await asyncio.sleep(0)
                run.drain(2.5)
                got = await asyncio.gather(*waiting, return_exceptions=True)
                assert got[:2] == [0, 1]
                assert [type(each) for each in got[2:]] == [RunEndedError] * 4

    run_virtual(main())


LATE = r"drain took over 2\.5 s; unsettled: 1 in or before slow, 3 calls that wait for their turn"


async def drained_too_late(run):
    waiting = [asyncio.create_task(run.call(n)) for n in range(6)]
    await asyncio.sleep(0)
    run.drain(2.5)
    got = await asyncio.gather(*waiting, return_exceptions=True)
    assert got[:2] == [0, 1]
    assert [type(each) for each in got[2:]] == [RunEndedError] * 4
    assert {type(each.__cause__) for each in got[2:]} == {ShutdownTimeoutError}
    assert [type(each) for each in run.failures] == [ShutdownTimeoutError]


class TestADrainPastItsTimeWhileSomeHaveHadNoTurn:
    def test_stops_and_is_raised_by_leaving(self):
        async def main():
            with pytest.raises(ShutdownTimeoutError, match=LATE):
                async with DataFlow((slow,)).open(limit=1) as run:
                    await drained_too_late(run)
            assert run.state == "failed"

        run_virtual(main())

    def test_is_raised_once(self):
        async def main():
            async with DataFlow((slow,)).open(limit=1) as run:
                await drained_too_late(run)
                with pytest.raises(ShutdownTimeoutError, match=LATE):
                    await run.wait()

        run_virtual(main())

    def test_gives_what_is_cancelled_its_grace(self):
        async def stubborn(n):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(1000)

        async def main():
            async with DataFlow((stubborn,)).open(limit=1) as run:
                waiting = [asyncio.create_task(run.call(n)) for n in range(3)]
                await asyncio.sleep(0)
                run.drain(2, grace=0.5)
                with pytest.raises(ShutdownTimeoutError):
                    await run.wait()
                await asyncio.gather(*waiting, return_exceptions=True)
                assert 2 < asyncio.get_running_loop().time() <= 2.6

        run_virtual(main())

    def test_leaving_before_that_is_none(self):
        async def main():
            async with DataFlow((slow,)).open(limit=1) as run:
                waiting = [asyncio.create_task(run.call(n)) for n in range(6)]
                await asyncio.sleep(0)
                run.drain(2.5)
            await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.sleep(5)
            assert (run.state, run.failures) == ("ended", [])

        run_virtual(main())


def test_a_second_drain_changes_nothing():
    async def main():
        async with DataFlow((slow,)).open() as run:
            waiting = asyncio.create_task(run.call(1))
            await asyncio.sleep(0)
            run.drain(30)
            run.drain(0.1)
            assert await waiting == 1
            await run.wait()

    run_virtual(main())


def test_stop_tells_every_caller():
    async def main():
        async with DataFlow((slow,)).open() as run:
            waiting = [asyncio.create_task(run.call(n)) for n in range(3)]
            await asyncio.sleep(0.5)
            run.stop()
            got = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(each) for each in got] == [RunEndedError] * 3
            await run.wait()

    run_virtual(main())


# the limit, and callers who leave


def test_no_more_than_the_limit_is_under_way_and_callers_are_served_in_order():
    most = begun = 0
    order = []

    async def count(n):
        nonlocal most, begun
        begun += 1
        most = max(most, begun)
        order.append(n)
        await asyncio.sleep(1)
        begun -= 1
        return n

    async def play(run):
        return await asyncio.gather(*(run.call(n) for n in range(20)))

    flow = (stage(count, concurrency=50),)
    assert on_virtual_time(flow, play, limit=4) == list(range(20))
    assert most == 4
    assert order == list(range(20))


def test_an_item_that_nobody_has_begun_is_taken_back():
    begun = []

    async def note(n):
        begun.append(n)
        await asyncio.sleep(1)
        return n

    async def play(run):
        waiting = [asyncio.create_task(run.call(n)) for n in range(5)]
        await asyncio.sleep(0.5)
        assert run.under_way == 5
        waiting[0].cancel()  # In the stage's hands.
        waiting[2].cancel()  # In the edge.
        got = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(got[0], asyncio.CancelledError)
        assert isinstance(got[2], asyncio.CancelledError)
        assert [got[1], *got[3:]] == [1, 3, 4]
        assert run.under_way == run.waiting == 0
        figures = run.stats().stages
        assert figures["items"].sent == figures["note"].received + figures["note"].dropped == 5

    on_virtual_time((note,), play)
    assert begun == [0, 1, 3, 4]


def test_who_leaves_the_queue_before_its_turn_leaves_nothing():
    begun = []

    async def note(n):
        begun.append(n)
        await asyncio.sleep(1)

    async def play(run):
        waiting = [asyncio.create_task(run.call(n)) for n in range(5)]
        await asyncio.sleep(0.5)
        assert (run.under_way, run.waiting) == (1, 4)
        waiting[3].cancel()
        await asyncio.wait(waiting)
        assert run.under_way == run.waiting == 0

    on_virtual_time((note,), play, limit=1)
    assert begun == [0, 1, 2, 4]


def test_callers_who_time_out_do_not_pile_up():
    async def play(run):
        stuck = asyncio.create_task(run.call(0))
        await asyncio.sleep(0)
        for _ in range(50):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await run.call(1)
        assert (run.under_way, run.waiting) == (1, 0)
        return await stuck

    assert on_virtual_time((slow,), play, limit=1) == 0


def test_an_error_that_nobody_waits_for_any_more_is_not_told_to_the_loop():
    told = []

    async def fails_late(n):
        await asyncio.sleep(1)
        raise ValueError(n)

    async def play(run):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        call = asyncio.create_task(run.call(1))
        await asyncio.sleep(0.5)
        call.cancel()
        await asyncio.wait([call])
        with pytest.raises(ValueError, match="2"):
            await run.call(2)
        gc.collect()

    on_virtual_time((fails_late,), play)
    assert not told


@pytest.mark.slow
def test_ten_thousand_callers_over_a_limit():
    count = 10_000

    async def main():
        async with DataFlow((same, stage(plus, concurrency=2), stage(same, concurrency=8))).open(
            limit=100
        ) as run:
            got = await asyncio.gather(*(run.call(n) for n in range(count)))
            assert run.under_way == run.waiting == 0
        return got

    assert asyncio.run(main()) == list(range(1, count + 1))


def test_calls_from_other_threads_go_through_the_loop():
    async def main():
        loop = asyncio.get_running_loop()
        async with DataFlow((same, plus)).open() as run:
            got = []

            def caller(n):
                got.append(asyncio.run_coroutine_threadsafe(run.call(n), loop).result())

            threads = [threading.Thread(target=caller, args=(n,)) for n in range(20)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                await asyncio.sleep(0.001)
            return sorted(got)

    assert asyncio.run(main()) == list(range(1, 21))


# memory


class Item:
    pass


def test_an_item_dies_with_its_call():
    alive = weakref.WeakSet()

    async def passed(item):
        await asyncio.sleep(0)
        return item

    async def called(run):
        item = Item()
        alive.add(item)
        assert await run.call(item) is item

    async def main():
        flow = DataFlow((passed, lambda item: item, map_batches(list, 3, within=0), passed))
        async with flow.open() as run:
            for _ in range(50):
                await called(run)
            await asyncio.gather(*(called(run) for _ in range(50)))
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert not alive

    asyncio.run(main())


def test_an_error_is_in_no_cycle_with_its_call():
    errors = []

    class WatchedError(Exception):
        pass

    async def fails(n):
        raise WatchedError

    async def called(run):
        try:
            await run.call(1)
        except WatchedError as error:
            errors.append(weakref.ref(error))

    async def main():
        async with DataFlow((fails,)).open() as run:
            await called(run)
            await asyncio.sleep(0)
            await called(run)

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
        assert [each() for each in errors] == [None, None]
    finally:
        gc.enable()
