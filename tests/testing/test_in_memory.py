"""FeedSource, CollectSink and run_flow: a test says what comes in, and sees what comes out."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DataFlow, Retry, stage
from asyncdataflow.errors import ParameterError
from asyncdataflow.testing import CollectSink, FeedSource, run_flow, run_virtual
from asyncdataflow.testing.seeded_loop import quiet


async def double(number):
    return number * 2


class TestFeedSource:
    def test_items_given_up_front_come_in_order_and_then_the_end(self):
        feed = FeedSource([1, None, 3])
        assert DataFlow((feed, str))() == ["1", "None", "3"]
        assert (feed.taken, feed.opened, feed.closed) == ([1, None, 3], 1, 1)

    async def test_each_run_gets_every_item_also_at_once(self):
        feed = FeedSource(iter([1, 2]))
        flow = DataFlow((feed, double))
        assert await asyncio.gather(flow.run(), flow.run()) == [[2, 4], [2, 4]]
        assert await flow.run() == [2, 4]
        assert (sorted(feed.taken), feed.opened, feed.closed) == ([1, 1, 1, 2, 2, 2], 3, 3)

    def test_a_sender_waits_until_a_run_has_taken_its_item(self):
        async def main():
            feed = FeedSource()
            sending = asyncio.create_task(feed.send(1))
            await quiet()
            assert not sending.done()
            async with DataFlow((feed, double)).stream() as run:
                await sending
                assert feed.taken == [1]
                assert await anext(run) == 2
                feed.end()
                assert [result async for result in run] == []

        run_virtual(main())

    def test_what_holds_the_flow_back_holds_the_sender_back(self):
        async def main():
            feed = FeedSource()
            flow = DataFlow((feed, stage(double, buffer=1)), fuse=False)
            async with flow.stream(buffer=1) as run:
                for number in range(flow.bound(buffer=1)):
                    await feed.send(number)
                sending = asyncio.create_task(feed.send(99))
                await quiet()
                assert not sending.done()
                await anext(run)
                await anext(run)
                await sending

        run_virtual(main())

    def test_a_cancelled_sender_takes_its_item_back(self):
        async def main():
            feed = FeedSource()
            sending = [asyncio.create_task(feed.send(number)) for number in range(3)]
            await quiet()
            sending[1].cancel()
            await quiet()
            feed.end()
            results = await DataFlow((feed, double)).run()
            await asyncio.gather(*sending, return_exceptions=True)
            assert results == [0, 4]

        run_virtual(main())

    def test_a_failure_comes_behind_what_was_fed_to_each_run(self):
        async def main():
            feed = FeedSource()
            error = LookupError("lost")
            sending = asyncio.create_task(feed.send(1))
            await quiet()
            feed.fail(error)
            for _ in range(2):
                results = []
                with pytest.raises(LookupError) as caught:
                    async with DataFlow((feed, double)).stream() as run:
                        async for result in run:
                            results.append(result)
                assert caught.value is error
                assert results == [2]
            await sending

        run_virtual(main())

    async def test_an_end_may_be_said_twice_and_ends_who_waits(self):
        feed = FeedSource()
        running = asyncio.ensure_future(DataFlow((feed, double)).run())
        await asyncio.sleep(0)
        feed.end()
        feed.end()
        assert await running == []

    @pytest.mark.parametrize("items", [[1], None], ids=["given", "fed"])
    async def test_after_the_end_nothing_is_taken(self, items):
        feed = FeedSource(items)
        feed.end()
        with pytest.raises(RuntimeError, match="it has ended"):
            await feed.send(2)
        with pytest.raises(RuntimeError, match="it has ended"):
            feed.fail(LookupError())

    async def test_what_has_failed_cannot_end(self):
        feed = FeedSource()
        feed.fail(LookupError())
        with pytest.raises(RuntimeError, match="cannot end"):
            feed.end()

    def test_it_serves_loops_one_after_the_other(self):
        feed = FeedSource()

        async def main():
            async with DataFlow((feed, double)).stream() as run:
                await feed.send(len(feed.taken))
                return await anext(run)

        assert [run_virtual(main()), run_virtual(main())] == [0, 0]
        assert feed.taken == [0, 0, 1]


class TestCollectSink:
    async def test_it_keeps_what_is_written_in_order(self):
        sink = CollectSink()
        assert await DataFlow(sink).run(items=[1, None, 3]) == []
        assert (sink.items, sink.opened, sink.closed) == ([1, None, 3], 1, 1)

    def test_it_is_slow_in_the_loop_s_time(self):
        sink = CollectSink(delay=2.5)

        async def main():
            await run_flow(DataFlow(sink), [1, 2])
            return asyncio.get_running_loop().time()

        assert run_virtual(main()) == 5.0

    def test_what_it_refuses_is_that_item_s_error(self):
        error = ValueError("never")
        sink = CollectSink(refuse=lambda item: error if item == 2 else None)
        with pytest.raises(ValueError, match="never") as caught:
            run_virtual(run_flow(DataFlow(sink), [1, 2, 3]))
        assert caught.value is error
        assert (sink.items, sink.closed) == ([1], 1)

    def test_it_may_refuse_at_first(self):
        tries = []

        def busy(item):
            tries.append(item)
            return ConnectionError("busy") if tries.count(item) < 3 else None

        sink = CollectSink(refuse=busy)
        run_virtual(run_flow(DataFlow(stage(sink, retry=Retry(5))), [1, 2]))
        assert sink.items == [1, 2]
        assert tries == [1, 1, 1, 2, 2, 2]

    async def test_a_write_after_its_context_was_left_is_refused(self):
        sink = CollectSink()
        async with sink.open() as write:
            await write(1)
        with pytest.raises(RuntimeError, match="after its context was left"):
            await write(2)
        async with sink.open() as write:
            await write(3)
        assert (sink.items, sink.opened, sink.closed) == ([1, 3], 2, 2)

    def test_a_write_that_is_cancelled_has_not_happened(self):
        async def main():
            sink = CollectSink(delay=1.0)
            async with sink.open() as write:
                writing = asyncio.create_task(write(1))
                await quiet()
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
            return sink.items

        assert run_virtual(main()) == []


class TestRunFlow:
    @pytest.mark.parametrize(
        ("definition", "inputs", "results"),
        [
            (double, [1, 2], [2, 4]),
            (double, range(2), [0, 2]),
            ((range(3, 4), double), None, [6]),
            (double, [], []),
        ],
        ids=["items", "a range", "sources of its own", "nothing"],
    )
    async def test_it_returns_a_list_of_all_results(self, definition, inputs, results):
        assert await run_flow(DataFlow(definition), inputs) == results

    async def test_also_where_a_call_gives_one_value(self):
        async def answer():
            return 21

        flow = DataFlow((answer, double))
        assert await flow.run() == 42
        assert await run_flow(flow) == [42]
        assert sorted(await run_flow(DataFlow((answer, (double, double))))) == [42, 42]

    async def test_inputs_may_come_asynchronously(self):
        async def numbers():
            yield 1
            yield 2

        assert await run_flow(DataFlow(double), numbers()) == [2, 4]

    async def test_text_is_no_inputs(self):
        with pytest.raises(ParameterError, match="items="):
            await run_flow(DataFlow(double), "12")

    async def test_run_parameters_are_passed_on(self):
        async def times(number, *, by):
            return number * by

        assert await run_flow(DataFlow(times), [1, 2], params={"by": 3}) == [3, 6]
        with pytest.raises(ParameterError, match="by"):
            await run_flow(DataFlow(times), [1, 2])

    async def test_what_fails_comes_out_as_itself(self):
        async def fail(number):
            raise LookupError(number)

        with pytest.raises(LookupError):
            await run_flow(DataFlow(fail), [1])

    def test_from_a_plain_test_time_may_be_virtual(self):
        async def slowly(number):
            await asyncio.sleep(3600)
            return number

        assert run_virtual(run_flow(DataFlow(slowly), [1, 2])) == [1, 2]
