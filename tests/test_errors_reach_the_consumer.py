"""What a stage raises reaches the consumer as itself, when all else has ended (invariants 34 to 37, 44)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import traceback
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import (
    DataFlow,
    Retry,
    batch,
    merge,
    stage,
    take,
)
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.failing_flows import SORTS, OwnError, endless, numbers, raiser, same, same_in_thread

pytestmark = pytest.mark.usefixtures("both_ways")

SECRET = "canary-7f3a"


async def turns(count=50):
    for _ in range(count):
        await asyncio.sleep(0)


async def collected(run):
    return [each async for each in run]


@pytest.fixture(params=SORTS)
def failing(request):
    error = OwnError("boom")
    return error, raiser(error)[request.param]


class TestTheExceptionItself:
    """Invariant 34."""

    def test_comes_out_of_a_call(self, failing):
        error, definition = failing
        with pytest.raises(OwnError) as caught:
            DataFlow(definition)()
        assert caught.value is error

    def test_comes_out_of_a_stream(self, failing):
        error, definition = failing

        async def main():
            async with DataFlow(definition).stream() as run:
                with pytest.raises(OwnError) as caught:
                    await collected(run)
                assert caught.value is error
                assert run.failures == [error]

        asyncio.run(main())

    def test_keeps_the_users_frames_in_its_traceback(self, failing):
        error, definition = failing
        with pytest.raises(OwnError):
            DataFlow(definition)()
        assert traceback.extract_tb(error.__traceback__)[-1].name == "deep"

    def test_keeps_its_cause_and_context(self):
        async def wraps(item):
            try:
                raise KeyError(item)
            except KeyError as inner:
                raise OwnError("outer") from inner

        with pytest.raises(OwnError) as caught:
            DataFlow((numbers, wraps))()
        assert isinstance(caught.value.__cause__, KeyError)

    def test_a_group_that_the_user_raised_stays_as_it_is(self):
        group = ExceptionGroup("mine", [ValueError(1), TypeError(2)])
        with pytest.raises(ExceptionGroup) as caught:
            DataFlow(raiser(group)["coroutine"])()
        assert caught.value is group
        assert len(group.exceptions) == 2

    def test_the_same_exception_object_may_be_raised_in_run_after_run(self):
        error = OwnError("a singleton")
        flow = DataFlow(raiser(error)["coroutine"])
        for _ in range(3):
            with pytest.raises(OwnError):
                flow()
        assert len([note for note in error.__notes__ if note.startswith("in stage")]) == 1


class TestTheNote:
    """It names stage, path, attempt and the item's type and size, and tells no contents."""

    def note_of(self, definition):
        with pytest.raises(OwnError) as caught:
            DataFlow(definition)()
        (note,) = [each for each in caught.value.__notes__ if "stage" in each]
        return note

    @pytest.mark.parametrize(
        "options", [{}, {"retry": Retry(attempts=2, backoff=0)}, {"concurrency": 2}], ids=str
    )
    @pytest.mark.parametrize("where", ["loop", "thread"])
    def test_names_all_of_these(self, options, where):
        def sync_fails(item):
            raise OwnError("boom")

        async def fails(item):
            sync_fails(item)

        async def words():
            yield "x" * 17

        chosen = fails if where == "loop" else sync_fails
        note = self.note_of((words, same, stage(chosen, name="parse", **options)))
        assert "parse" in note
        assert "definition[2]" in note
        assert "str of length 17" in note
        assert f"attempt {2 if 'retry' in options else 1}" in note

    @pytest.mark.parametrize(
        "sort", ["async source", "source", "iterable", "its key", "filter", "scan", "branch"]
    )
    def test_names_the_stage_whatever_it_is(self, sort):
        assert "definition[" in self.note_of(raiser(OwnError("boom"))[sort])

    def test_tells_the_place_within_a_spliced_flow_and_a_named_branch(self):
        async def fails(item):
            raise OwnError

        inner = DataFlow((same, fails))
        note = self.note_of((numbers, {"left": same, "right": [same, inner]}))
        assert "fails" in note
        assert "definition[1]" in note

    def test_tells_no_contents(self, caplog):
        """A secret in an item stays there: not in the notes, the log, or what the run says of itself."""

        class Record(dict):
            def __repr__(self):
                return SECRET

        async def fails(item):
            raise OwnError("boom")

        async def records():
            for _ in range(3):
                yield Record({SECRET: SECRET})

        async def main():
            flow = DataFlow((records, same_in_thread, stage(fails, concurrency=3, ordered=False)))
            run = flow.stream()
            with pytest.raises(OwnError) as caught:
                await collected(run)
            return "\n".join([*caught.value.__notes__, repr(run), repr(run.stats()), repr(flow)])

        with caplog.at_level(logging.DEBUG):
            assert SECRET not in asyncio.run(main())
        assert SECRET not in caplog.text


class TestEverythingElseHasEndedBefore:
    """Invariant 35."""

    def test_workers_generators_threads_and_resources(self):
        ledger = []

        @asynccontextmanager
        async def pool():
            try:
                yield
            finally:
                await asyncio.sleep(0)
                ledger.append("pool closed")

        async def source():
            try:
                for number in itertools.count():
                    yield number
            finally:
                await asyncio.sleep(0)
                ledger.append("source closed")

        def in_thread(item):
            try:
                yield item
            finally:
                ledger.append("thread generator closed")

        async def waits(item, *, db):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ledger.append("waiting stage ended")

        async def fails(item):
            await turns()
            raise OwnError

        async def main():
            flow = DataFlow((source, in_thread, (waits, fails)), resources={"db": pool})
            before = threading.active_count()
            run = flow.stream()
            with pytest.raises(OwnError):
                await anext(run)
            seen = list(ledger)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert threading.active_count() == before
            await turns()
            assert ledger == seen
            assert {*seen} == {
                "waiting stage ended",
                "thread generator closed",
                "source closed",
                "pool closed",
            }
            assert seen[-1] == "pool closed"

        asyncio.run(main())


class TestManyFailTogether:
    """Invariant 36."""

    @pytest.mark.parametrize("ordered", [True, False])
    def test_the_first_is_raised_and_the_others_are_told(self, ordered, caplog):
        async def main():
            barrier = asyncio.Event()
            waiting = 0

            async def fails(item):
                nonlocal waiting
                waiting += 1
                if waiting == 4:
                    barrier.set()
                await barrier.wait()
                raise OwnError(f"number {item}")

            run = DataFlow((numbers, stage(fails, concurrency=4, ordered=ordered))).stream()
            with pytest.raises(OwnError) as caught:
                await collected(run)
            return caught.value, run.failures

        with caplog.at_level(logging.ERROR, "asyncdataflow"):
            error, failures = asyncio.run(main())
        assert failures[0] is error
        assert {str(each) for each in failures} == {f"number {n}" for n in range(4)}
        notes = "\n".join(error.__notes__)
        for other in failures[1:]:
            assert str(other) in notes
            assert str(other) in caplog.text

    def test_failures_of_different_branches(self):
        async def main():
            both = asyncio.Barrier(2)

            async def left(item):
                await both.wait()
                raise ValueError("left")

            async def right(item):
                await both.wait()
                raise TypeError("right")

            run = DataFlow((numbers, (left, right))).stream()
            with pytest.raises((ValueError, TypeError)) as caught:
                await collected(run)
            assert {type(each) for each in run.failures} == {ValueError, TypeError}
            assert caught.value is run.failures[0]

        asyncio.run(main())


class TestCleanUpErrors:
    """Invariant 37: never silent, at whatever step the run ends."""

    @pytest.mark.parametrize("buffer", [1, 3])
    @pytest.mark.parametrize("leave", ["break", "raise", "cancel", "stop", "failure"])
    def test_an_error_in_a_finally_is_told_at_every_step(self, leave, buffer, caplog):
        async def at(step):
            opened = []

            async def source():
                opened.append("source")
                try:
                    for number in itertools.count():
                        yield number
                        await asyncio.sleep(0)
                finally:
                    raise KeyError("source")

            async def many(item):
                opened.append("many")
                try:
                    yield item
                    await asyncio.sleep(0)
                finally:
                    if len(opened) > step // 4 + 1:
                        raise KeyError("many")

            async def picky(item):
                if leave == "failure" and item == step // 3:
                    raise OwnError(item)
                return item

            run = DataFlow((source, many, picky)).stream(buffer=buffer)

            async def consume():
                async with run:
                    task = asyncio.current_task()
                    if leave == "failure":
                        return await collected(run)
                    await turns(step)
                    if leave == "raise":
                        raise LookupError("body")
                    if leave == "cancel":
                        task.cancel()
                        await asyncio.sleep(0)
                    if leave == "stop":
                        run.stop()
                        await collected(run)

            outcome = (await asyncio.gather(consume(), return_exceptions=True))[0]
            if not opened:
                assert outcome is None or leave in ("raise", "cancel")
                return
            told = [type(each) for each in run.failures]
            assert KeyError in told, step
            if leave in ("break", "stop"):
                assert isinstance(outcome, KeyError), step
            elif leave != "cancel":
                assert outcome is run.failures[0] or "KeyError" in "".join(outcome.__notes__), step
            assert asyncio.all_tasks() == {asyncio.current_task()}

        for step in range(40):
            run_virtual(at(step))


class TestWhenItComes:
    """Invariant 44: it does not overtake results that lie in the output edge."""

    def test_results_that_are_ready_come_first(self):
        async def fails_late(item):
            if item == 3:
                raise OwnError
            return item

        async def main():
            async with DataFlow((numbers, fails_late)).stream(buffer=16) as run:
                await turns()
                assert run.state == "failed"
                seen = []
                with pytest.raises(OwnError):
                    async for result in run:
                        seen.append(result)
                return seen

        assert asyncio.run(main()) == [0, 1, 2]

    def test_the_consumers_own_await_is_not_disturbed(self):
        """PEP 789: a failure is no cancellation of whatever the consumer awaits."""

        async def fails(item):
            if item == 1:
                raise OwnError
            return item

        async def main():
            async with DataFlow((numbers, fails)).stream() as run:
                first = await anext(run)
                await asyncio.sleep(5)
                assert asyncio.current_task().cancelling() == 0
                with pytest.raises(OwnError):
                    await anext(run)
                return first

        assert run_virtual(main()) == 0

    def test_one_that_is_not_asked_for_comes_on_leaving(self):
        async def fails(item):
            raise OwnError

        async def main():
            async with DataFlow((numbers, fails)).stream():
                await asyncio.sleep(5)

        with pytest.raises(OwnError):
            run_virtual(main())

    def test_an_error_of_the_body_wins_and_gets_it_as_a_note(self):
        async def fails(item):
            raise OwnError("the run's")

        async def main():
            async with DataFlow((numbers, fails)).stream():
                await asyncio.sleep(5)
                raise LookupError("the body's")

        with pytest.raises(LookupError, match="the body's") as caught:
            run_virtual(main())
        assert "the run's" in "".join(caught.value.__notes__)


def test_a_merge_of_a_failing_and_an_endless_source_ends():
    error = OwnError()
    flow = DataFlow(((endless, raiser(error)["async source"][0]), merge, batch(3), take(1000)))
    with pytest.raises(OwnError):
        flow()
