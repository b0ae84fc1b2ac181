"""What happens to an item that fails: retry, timeout, skip, dead letters (invariants 39 and 40)."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncdataflow import DataFlow, DeadLetter, Retry, Sink, dead_letter, stage
from asyncdataflow.errors import DefinitionError, ShutdownTimeoutError, StageTimeoutError
from asyncdataflow.testing.virtual_clock import run_virtual

tapes = st.lists(st.integers(0, 5), max_size=12)
"""For each item, how many of its first tries fail."""

AT_ONCE = {"backoff": 0.0, "jitter": 0.0}


class Tape:
    """A stage that fails as it is written, and counts its tries."""

    def __init__(self, failures, delays=None):
        self.failures = failures
        self.delays = delays or [0] * len(failures)
        self.tries: Counter[int] = Counter()
        self.times: list[float] = []

    async def work(self, n):
        self.tries[n] += 1
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.delays[n])
        if self.tries[n] <= self.failures[n]:
            raise LookupError(n, self.tries[n])
        return n


class Letters:
    """A dead-letter sink on the loop."""

    def __init__(self):
        self.all: list[DeadLetter] = []

    async def put(self, letter):
        self.all.append(letter)


def numbers_up_to(count):
    async def numbers():
        for n in range(count):
            yield n

    return numbers


async def collected(run):
    async with run:
        return [result async for result in run], run.stats()


def results(*definition):
    return run_virtual(collected(DataFlow(definition).stream()))


# Retry


@settings(max_examples=60)
@given(tapes, st.integers(1, 4), st.integers(1, 3), st.booleans(), st.sampled_from(["skip", "dead_letter"]))
def test_a_scripted_tape_is_counted_exactly(failures, attempts, concurrency, ordered, policy):
    """Invariant 39, and the ledger: in = out + skipped + dead-lettered."""
    tape, letters = Tape(failures), Letters()
    work = stage(
        tape.work,
        concurrency=concurrency,
        ordered=ordered,
        retry=Retry(attempts=attempts, backoff=1, jitter=0),
        on_error="skip" if policy == "skip" else dead_letter(letters.put),
    )
    got, stats = results(numbers_up_to(len(failures)), work)
    kept = [n for n, failed in enumerate(failures) if failed < attempts]
    lost = [n for n in range(len(failures)) if n not in kept]
    assert (got if ordered else sorted(got)) == kept
    assert tape.tries == Counter({n: min(failed + 1, attempts) for n, failed in enumerate(failures)})
    figures = stats.stages["work"]
    assert figures.retried == tape.tries.total() - len(failures)
    assert (figures.received, figures.sent, figures.failed) == (len(failures), len(kept), 0)
    assert (figures.skipped, figures.dead_lettered) == (
        (len(lost), 0) if policy == "skip" else (0, len(lost))
    )
    if policy == "dead_letter":
        assert sorted(letter.item for letter in letters.all) == lost
        assert all(letter.attempts == attempts for letter in letters.all)
        assert all(letter.error.args == (letter.item, attempts) for letter in letters.all)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=15), st.integers(2, 4))
def test_retries_keep_the_order(cases, concurrency):
    tape = Tape([failed for failed, _ in cases], [delay for _, delay in cases])
    work = stage(tape.work, concurrency=concurrency, retry=Retry(attempts=4, backoff=2, jitter=0))
    got, _ = results(numbers_up_to(len(cases)), work)
    assert got == list(range(len(cases)))


def test_the_last_error_is_raised_itself_and_tells_its_attempt():
    tape = Tape([0, 9])
    with pytest.raises(LookupError) as caught:
        results(numbers_up_to(2), stage(tape.work, retry=3))
    assert caught.value.args == (1, 3)
    assert caught.value.__notes__ == ["in stage work (definition[1]), attempt 3 of 3, item: int"]


def test_the_waits_between_tries_are_exact():
    tape = Tape([4])
    work = stage(tape.work, retry=Retry(attempts=5, backoff=1, factor=3, max_backoff=10, jitter=0))
    assert results(numbers_up_to(1), work)[0] == [0]
    assert tape.times == [0, 1, 4, 13, 23]


def test_no_try_begins_after_max_elapsed():
    tape = Tape([99], delays=[2])
    work = stage(tape.work, retry=Retry(attempts=None, backoff=1, factor=1, jitter=0, max_elapsed=10))
    with pytest.raises(LookupError):
        results(numbers_up_to(1), work)
    assert tape.times == [0, 3, 6, 9]


def test_only_what_is_named_is_tried_again():
    tape = Tape([1])
    with pytest.raises(LookupError):
        results(numbers_up_to(1), stage(tape.work, retry=Retry(on=ConnectionError)))
    assert tape.tries.total() == 1
    assert results(numbers_up_to(1), stage(Tape([1]).work, retry=Retry(on=LookupError, **AT_ONCE)))[0] == [0]


@pytest.mark.parametrize("leave", ["break", "stop", "cancel"])
def test_a_backoff_ends_at_once_when_the_run_does(leave):
    async def main():
        tape = Tape([9])
        run = DataFlow(
            (numbers_up_to(1), stage(tape.work, retry=Retry(backoff=1000, max_backoff=1000, jitter=0)))
        ).stream()

        async def consume():
            async with run:
                if leave == "break":
                    await asyncio.sleep(5)
                else:
                    await anext(run, None)

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(5)
        if leave == "stop":
            run.stop()
        elif leave == "cancel":
            consumer.cancel()
        await asyncio.wait([consumer])
        assert tape.tries.total() == 1
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 5


def test_a_drain_past_its_deadline_ends_an_endless_retry():
    async def main():
        tape = Tape([10**9])
        work = stage(tape.work, retry=Retry(attempts=None, backoff=1, factor=1, jitter=0))
        async with DataFlow((numbers_up_to(1), work)).stream() as run:
            await asyncio.sleep(10.5)
            run.drain(timeout=30)
            with pytest.raises(ShutdownTimeoutError, match="1 in work"):
                await anext(run)
        return asyncio.get_running_loop().time(), tape.tries.total()

    assert run_virtual(main()) == (40.5, 41)


def test_other_items_go_on_while_one_waits_for_its_next_try():
    tape = Tape([1, 0, 0, 0])
    work = stage(tape.work, concurrency=2, ordered=False, retry=Retry(backoff=100, max_backoff=100, jitter=0))
    assert results(numbers_up_to(4), work)[0] == [1, 2, 3, 0]


@pytest.mark.parametrize("executor", ["thread", "inline", "process"])
async def test_retries_in_every_world(executor):
    work = stage(fails_twice, executor=executor, retry=Retry(attempts=3, **AT_ONCE))
    fails_twice.tries = 0
    assert await DataFlow((range(1), work)).run() == [("made at", 3)]


def fails_twice(n):
    """Its count lives on the function, which every world has one of."""
    fails_twice.tries += 1
    if fails_twice.tries < 3:
        raise ConnectionError
    return "made at", fails_twice.tries


fails_twice.tries = 0


def test_a_source_that_is_a_function_is_tried_again():
    tries = []

    async def source():
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError
        return "connected"

    assert results(stage(source, retry=Retry(attempts=3, **AT_ONCE)))[0] == ["connected"]


def test_a_generator_is_tried_again_only_before_its_first_item():
    """Later, what it made is on its way and would be sent twice."""
    tries: Counter[int] = Counter()

    async def parts(n):
        tries[n] += 1
        if n == 0 and tries[n] < 3:
            raise ConnectionError
        yield n, "first"
        if n == 1:
            raise ConnectionResetError
        yield n, "last"

    work = stage(parts, retry=Retry(attempts=3, **AT_ONCE), on_error="skip")
    got, stats = results(numbers_up_to(3), work)
    assert got == [(0, "first"), (0, "last"), (1, "first"), (2, "first"), (2, "last")]
    assert tries == {0: 3, 1: 1, 2: 1}
    assert (stats.stages["parts"].retried, stats.stages["parts"].skipped) == (2, 1)


# Timeout


def test_a_timeout_is_of_one_attempt():
    tape = Tape([0], delays=[6])
    with pytest.raises(StageTimeoutError, match=r"timeout=5"):
        results(numbers_up_to(1), stage(tape.work, timeout=5, retry=Retry(attempts=3, backoff=1, jitter=0)))
    assert tape.times == [0, 6, 13]


def test_what_is_in_time_has_no_timeout():
    tape = Tape([1, 1], delays=[4, 4])
    work = stage(tape.work, timeout=5, retry=Retry(attempts=2, **AT_ONCE))
    assert results(numbers_up_to(2), work)[0] == [0, 1]


def test_a_stage_that_is_out_of_time_cleans_up_before_the_next_try():
    events = []

    async def work(n):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            events.append("clean")

    with pytest.raises(StageTimeoutError):
        results(numbers_up_to(1), stage(work, timeout=1, retry=Retry(attempts=2, **AT_ONCE)))
    assert events == ["clean", "clean"]


def test_a_timeout_error_of_the_stages_own_stays_itself():
    own = TimeoutError("mine")

    async def work(n):
        raise own

    with pytest.raises(TimeoutError) as caught:
        results(numbers_up_to(1), stage(work, timeout=5))
    assert caught.value is own


async def test_a_thread_out_of_time_is_left_to_finish_and_holds_its_place():
    finish, begun = threading.Event(), threading.Event()
    seen = []

    def work(n):
        seen.append((n, threading.current_thread().name))
        if n == 0:
            begun.set()
            assert finish.wait(10)
        return n

    letters = []

    def sink(letter):
        letters.append(letter)
        finish.set()

    flow = DataFlow((range(3), stage(work, timeout=0.05, on_error=dead_letter(sink))))
    got = await flow.run()
    # The only place is taken until the thread comes back: what waits for it runs out of time too, or not.
    late = [letter.item for letter in letters]
    assert late[0] == 0
    assert begun.is_set()
    assert sorted(got + late) == [0, 1, 2]
    assert all(isinstance(letter.error, StageTimeoutError) for letter in letters)
    assert [n for n, _ in seen] == sorted(n for n, _ in seen)


async def test_with_a_second_thread_the_others_go_on():
    """The first item's thread waits for what the other one does."""
    finish = threading.Event()

    def work(n):
        if n == 0:
            assert finish.wait(10)
        elif n >= 10:
            finish.set()
        return n

    letters = []
    work = stage(work, timeout=0.05, concurrency=2, ordered=False, on_error=dead_letter(letters.append))
    got = await DataFlow((range(20), work)).run()
    assert sorted(got + [letter.item for letter in letters]) == list(range(20))
    assert len(got) >= 10


def sleeps_for_ever(n):
    if n == 1:
        threading.Event().wait()
    return n


async def test_a_process_out_of_time_is_replaced():
    work = stage(sleeps_for_ever, executor="process", timeout=1.0, on_error="skip")
    assert await DataFlow((range(4), work)).run() == [0, 2, 3]


# Skip and dead letters


def failing(n):
    if n % 2:
        raise ValueError(f"no {n}")
    return n


async def failing_on_loop(n):
    return failing(n)


@pytest.mark.parametrize("work", [failing_on_loop, failing, stage(failing, executor="inline")], ids=str)
async def test_skip_leaves_out_what_fails(work):
    assert await DataFlow((range(6), stage(work, on_error="skip"))).run() == [0, 2, 4]


async def test_a_dead_letter_is_the_item_the_error_the_stage_and_the_tries():
    """Invariant 40."""
    letters = []
    item = [1]
    work = stage(
        lambda it: it[5],
        name="look",
        retry=Retry(attempts=2, **AT_ONCE),
        on_error=dead_letter(letters.append),
    )
    assert await DataFlow((stage([item]), work)).run() == []
    (letter,) = letters
    assert letter.item is item
    assert type(letter.error) is IndexError
    assert (letter.stage, letter.path, letter.attempts) == ("look", "definition[1]", 2)
    assert letter.time > 1.7e9
    assert any("in stage look" in note for note in letter.error.__notes__)


class Rejects(Sink):
    def __init__(self):
        self.events = []

    @asynccontextmanager
    async def open(self):
        self.events.append("open")

        async def write(letter):
            await asyncio.sleep(1)
            self.events.append(letter.item)

        yield write
        self.events.append("closed")


def test_a_sink_connector_takes_dead_letters_and_is_flushed_before_the_run_is_over():
    rejects = Rejects()
    got, stats = results(numbers_up_to(6), stage(failing_on_loop, on_error=dead_letter(rejects)))
    assert got == [0, 2, 4]
    assert rejects.events == ["open", 1, 3, 5, "closed"]
    assert stats.stages["Rejects"].received == 3


@pytest.mark.parametrize(
    "sink", [lambda letter: letter.item, lambda letter: None], ids=["returns", "returns None"]
)
async def test_what_a_dead_letter_sink_returns_is_no_result(sink):
    assert await DataFlow((range(6), stage(failing, on_error=dead_letter(sink)))).run() == [0, 2, 4]


def test_stages_that_are_given_one_sink_share_it():
    letters = Letters()

    async def third(n):
        if n == 4:
            raise KeyError(n)
        return n

    definition = (
        numbers_up_to(6),
        stage(failing_on_loop, on_error=dead_letter(letters.put)),
        stage(third, on_error=dead_letter(letters.put)),
    )
    assert results(*definition)[0] == [0, 2]
    assert Counter((each.stage, each.item) for each in letters.all) == Counter(
        [("failing_on_loop", 1), ("failing_on_loop", 3), ("failing_on_loop", 5), ("third", 4)]
    )
    assert [each.title for each in DataFlow(definition).graph.stages].count("put") == 1


@pytest.mark.parametrize("world", ["loop", "thread"])
async def test_the_failure_of_a_dead_letter_sink_stops_the_run(world):
    def full(letter):
        raise OSError("the disk is full")

    async def full_on_loop(letter):
        full(letter)

    sink = full if world == "thread" else full_on_loop
    with pytest.raises(OSError, match="the disk is full") as caught:
        await DataFlow((range(6), stage(failing, on_error=dead_letter(sink)))).run()
    assert any("in stage full" in note for note in caught.value.__notes__)


def test_a_dead_letter_sink_may_be_tried_again():
    tries = []

    async def flaky(letter):
        tries.append(letter.item)
        if len(tries) < 3:
            raise OSError("not yet")

    sink = stage(flaky, retry=Retry(attempts=3, **AT_ONCE))
    got, _ = results(numbers_up_to(3), stage(failing_on_loop, on_error=dead_letter(sink)))
    assert (got, tries) == ([0, 2], [1, 1, 1])


def test_a_slow_sink_holds_the_stage_back():
    async def main():
        stuck = asyncio.Event()
        made = []

        async def endless():
            n = 0
            while True:
                n += 1
                made.append(n)
                yield n

        async def fails(n):
            raise ValueError(n)

        async def slow(letter):
            await stuck.wait()

        work = stage(fails, buffer=2, on_error=dead_letter(stage(slow, buffer=3)))
        async with DataFlow((endless, work)).stream():
            await asyncio.sleep(1)
        return len(made)

    # With the sink, in its edge, in the stage's hand, in the stage's edge, in the source's hand.
    assert run_virtual(main()) == 1 + 3 + 1 + 2 + 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"on_error": dead_letter(stage(print, on_error=dead_letter(repr)))}, "stops the run"),
        ({"on_error": dead_letter(lambda a, b: None)}, "one DeadLetter"),
        ({"on_error": dead_letter(numbers_up_to(1))}, "no item|not an async generator"),
    ],
)
def test_a_sink_that_cannot_be_one_is_refused(option, message):
    with pytest.raises(DefinitionError, match=message):
        DataFlow((range(3), stage(failing, **option)))


class TestATaskGroupThatFails:
    """CPython before 3.13 leaves ``Task.cancelling()`` at 1 behind it, though nobody cancels the worker."""

    @staticmethod
    async def fails():
        await asyncio.sleep(0.01)
        raise LookupError("in a child, for which the group waits")

    async def in_a_group(self, n):
        async with asyncio.TaskGroup() as group:
            if n % 2:
                group.create_task(self.fails())
        return n

    @pytest.mark.parametrize("options", [{}, {"concurrency": 3}], ids=str)
    def test_its_error_is_for_the_policies_as_any_other(self, options):
        flow = DataFlow((range(6), stage(self.in_a_group, on_error="skip", **options)))
        assert run_virtual(flow.run()) == [0, 2, 4]

    def test_it_is_tried_again(self):
        tries = []

        async def recovers(n):
            tries.append(n)
            async with asyncio.TaskGroup() as group:
                if len(tries) < 3:
                    group.create_task(self.fails())
            return n

        assert run_virtual(DataFlow((range(1), stage(recovers, retry=5))).run()) == [0]
        assert len(tries) == 3

    def test_a_plain_error_behind_it_too(self):
        async def fails_both_ways(n):
            if n == 1:
                await self.in_a_group(n)
            if n == 2:
                raise ValueError
            return n

        assert run_virtual(DataFlow((range(4), stage(fails_both_ways, on_error="skip"))).run()) == [0, 3]

    def test_what_a_generator_raises_too(self):
        async def some(n):
            yield await self.in_a_group(n)

        assert run_virtual(DataFlow((range(4), stage(some, on_error="skip"))).run()) == [0, 2]
