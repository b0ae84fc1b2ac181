"""A run that is given items one by one: what a call returns, raises and leaves behind."""

from __future__ import annotations

import asyncio
import collections
import gc
import threading
import time
import weakref

import pytest

from asyncdataflow import (
    DataFlow,
    Sink,
    balance,
    batch,
    combine_latest,
    dead_letter,
    filter_,
    flatten,
    merge,
    route,
    scan,
    split,
    stage,
    take,
    through,
    until,
    zip_,
)
from asyncdataflow.connectors.durable import Durable
from asyncdataflow.engine import Engine
from asyncdataflow.errors import (
    DefinitionError,
    DeliveryError,
    ItemError,
    ParameterError,
    RunEndedError,
    ShutdownTimeoutError,
    StageTimeoutError,
)
from asyncdataflow.local import LocalEngine
from asyncdataflow.operators import map_batches
from asyncdataflow.testing.virtual_clock import run_virtual


def plus(n):
    """Of the module, so that a process finds it."""
    return n + 1


def all_plus(numbers):
    return [n + 1 for n in numbers]


def odd_fails(n):
    if n % 2:
        raise ValueError(n)
    return n


def below(n):
    yield from range(n)


async def same(n):
    await asyncio.sleep(0)
    return n


async def slow(n):
    await asyncio.sleep(1)
    return n


async def below_on_the_loop(n):
    for each in range(n):
        await asyncio.sleep(0)
        yield each


def calls(definition, items, *, params=None, **options):
    """What each call returns or raises, all made at once."""

    async def main():
        async with DataFlow(definition).open(params, **options) as run:
            return await asyncio.gather(*(run.call(item) for item in items), return_exceptions=True)

    return asyncio.run(main())


def on_virtual_time(definition, play, **options):
    """What ``play(run)`` returns, in virtual time."""

    async def main():
        async with DataFlow(definition).open(**options) as run:
            return await play(run)

    return run_virtual(main())


WORLDS = {
    "loop": same,
    "several on the loop": stage(same, concurrency=4),
    "unordered": stage(same, concurrency=4, ordered=False),
    "by key": stage(same, concurrency=4, key=lambda n: n % 3),
    "thread": lambda n: n,
    "threads": stage(lambda n: n, concurrency=3),
    "threads unordered": stage(lambda n: n, concurrency=3, ordered=False),
    "inline": stage(lambda n: n, executor="inline"),
    "batches": map_batches(lambda numbers: numbers, 7, within=0.001),
    "batches side by side": map_batches(lambda numbers: numbers, 7, within=0, concurrency=3),
    "short edges": (stage(same, buffer=1), stage(lambda n: n, buffer=1)),
    "a timeout": stage(same, timeout=30),
    "tried again": stage(same, retry=3),
}


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_each_call_gets_what_came_of_its_own_item(world, limit):
    steps = world if isinstance(world, tuple) else (world,)
    assert calls((*steps, plus), range(60), limit=limit) == list(range(1, 61))


def test_through_processes():
    flow = (
        stage(plus, executor="process", concurrency=2),
        map_batches(all_plus, 8, within=0.01, executor="process"),
    )
    assert calls(flow, range(50)) == list(range(2, 52))


# what a call returns


@pytest.mark.parametrize(
    ("definition", "of_three"),
    [
        ((same,), 3),
        ((same, (plus, str)), (4, "3")),
        ((same, {plus, str}), {"plus": 4, "str": "3"}),
        ((same, {"a": plus, "b": (str, len)}), {"a": 4, "b": (1)}),
        ((same, (plus, (str, (len, repr)))), (4, (1, "'3'"))),
        ((same, (plus, str), lambda a, b: (a, b)), (4, "3")),
        ((same, (plus, same), zip_()), (4, 3)),
        ((split(lambda n: (n, -n)), (plus, same)), (4, -3)),
        ((lambda n: None,), None),
        ((same, (lambda n: None, plus)), (None, 4)),
        ((below,), [0, 1, 2]),
        ((below_on_the_loop,), [0, 1, 2]),
        ((below, stage(below, concurrency=2)), [0, 0, 1]),
        ((lambda n: [n] * n, flatten), [3, 3, 3]),
        ((filter_(lambda n: n > 5),), []),
        ((filter_(lambda n: n < 5),), [3]),
        ((route(lambda n: None), (plus, same)), []),
        ((route(lambda n: ["a", "b"]), {"a": same, "b": same}), [3, 3]),
        ((balance, (same, same)), [3]),
        ((batch(1),), [[3]]),
        ((batch(5, 0.01),), [[3]]),
        ((batch(5, 0.01), flatten, plus), [4]),
        ((scan(lambda a, b: a + b),), 3),
        ((stage(odd_fails, on_error="skip"),), []),
        ((stage(odd_fails, on_error=dead_letter(lambda letter: None)),), []),
        ((lambda n: n, map_batches(all_plus, 9, within=0)), 4),
    ],
    ids=str,
)
def test_a_call_returns_the_one_value_or_a_list(definition, of_three):
    assert calls(definition, [3]) == [of_three]


def test_a_merge_gives_all_of_the_items_results():
    (got,) = calls((same, (plus, same), merge), [3])
    assert sorted(got) == [3, 4]
    results = calls((same, (plus, same), merge, stage(same, concurrency=3)), range(30))
    assert [sorted(each) for each in results] == [[n, n + 1] for n in range(30)]


def test_what_was_made_of_several_items_goes_to_each_caller():
    assert calls((batch(3, 0.05),), "abc") == [[["a", "b", "c"]]] * 3
    got = calls((batch(3, 0.05), flatten), "abcd")
    assert got[:3] == [["a", "b", "c"]] * 3
    assert got[3] == ["d"]


def test_a_sink_that_takes_lists_has_written_before_the_call_returns():
    class Written(Sink):
        chunk = 10

        def __init__(self):
            self.items = []

        def open(self):
            return self

        async def __aenter__(self):
            return self.write

        async def __aexit__(self, *_):
            pass

        async def write(self, items):
            await asyncio.sleep(0)
            if "c" in items:
                raise ItemError("c")
            self.items += items

    written = Written()
    got = calls((same, written), "abcd")
    assert got[:2] == [None, None]
    assert got[3] is None
    assert isinstance(got[2], ItemError)
    assert sorted(written.items) == ["a", "b", "d"]


def test_parameters_and_resources_are_the_runs_own():
    opened = []

    def open_scale():
        opened.append(1)
        return 10

    async def scaled(n, *, scale, offset=0):
        return n * scale + offset

    async def main():
        flow = DataFlow((scaled,), resources={"scale": open_scale})
        async with flow.open({"offset": 1}) as run:
            return [await run.call(n) for n in range(3)]

    assert asyncio.run(main()) == [1, 11, 21]
    assert opened == [1]


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


def test_drain_past_its_time_stops_while_some_have_had_no_turn():
    async def main():
        async with DataFlow((slow,)).open(limit=1) as run:
            waiting = [asyncio.create_task(run.call(n)) for n in range(6)]
            await asyncio.sleep(0)
            run.drain(2.5)
            got = await asyncio.gather(*waiting, return_exceptions=True)
            assert got[:2] == [0, 1]
            assert [type(each) for each in got[2:]] == [RunEndedError] * 4

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


# definitions


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        ((same, batch(3)), r"batch.*seconds="),
        ((same, map_batches(all_plus, 3)), r"map_batches.*within="),
        ((same, (plus, same), combine_latest), r"combine_latest"),
        ((range(3), same), r"open\(\) gives it items"),
        ((lambda: 3, same), r"open\(\) gives it items"),
    ],
    ids=str,
)
def test_where_a_lone_caller_would_wait_for_others_it_is_refused(definition, told):
    with pytest.raises(DefinitionError, match=told):
        DataFlow(definition).open()


def test_a_durable_buffer_is_refused(tmp_path):
    flow = DataFlow((same, stage(same, buffer=Durable(tmp_path / "buffer"))))
    with pytest.raises(DefinitionError, match="durable buffer"):
        flow.open()


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_a_limit_is_a_whole_number(limit):
    with pytest.raises(ValueError, match="limit"):
        DataFlow((same,)).open(limit=limit)


def test_parameters_are_checked_before_anything_starts():
    with pytest.raises(ParameterError, match="colour"):
        DataFlow((same,)).open({"colour": 1})


def test_an_engine_has_to_tell_what_was_made_of_what():
    class Wrapped(Engine):
        def begin(self, plan):
            return LocalEngine().begin(plan)

    class Mute(Engine):
        def begin(self, plan):
            return object()

    assert calls((same,), [1], engine=Wrapped()) == [1]
    with pytest.raises(ParameterError, match="which result was made of which item"):
        DataFlow((same,)).open(engine=Mute())


def test_one_flow_has_any_number_of_open_runs_and_others_beside_them():
    flow = DataFlow((same, plus))

    async def main():
        async with flow.open() as one, flow.open() as other:
            assert await asyncio.gather(one.call(1), other.call(2)) == [2, 3]
            assert await flow.run(items=[5]) == [6]

    asyncio.run(main())


def test_figures_count_calls():
    async def main():
        async with DataFlow((stage(odd_fails, name="odd"),)).open() as run:
            await asyncio.gather(*(run.call(n) for n in range(10)), return_exceptions=True)
            figures = run.stats()
            assert figures.stages["items"].sent == 10
            assert (figures.stages["odd"].sent, figures.stages["odd"].failed) == (5, 5)
            assert figures.stages["odd"].in_flight == 0

    asyncio.run(main())


def test_calls_do_not_hold_each_other_up_in_a_batch():
    """As many as come together are called together."""
    sizes = collections.Counter()

    def note(numbers):
        sizes[len(numbers)] += 1
        time.sleep(0.01)
        return numbers

    got = calls((map_batches(note, 100, within=0),), range(200))
    assert got == list(range(200))
    assert sum(sizes.values()) <= 5
