"""The supervisor itself: again, given up, skipped, sent to a sink; and what it writes on the exception."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DeadLetter, Retry, Stage, dead_letter
from asyncdataflow._runtime.channel import Channel
from asyncdataflow._runtime.supervise import Counters, Supervisor, own_cancel
from asyncdataflow.errors import StageCancelledError
from asyncdataflow.policy import Buffer
from asyncdataflow.testing.virtual_clock import run_virtual

SECRET = "a secret"


def supervisor(retry=None, on_error="fail", dead_letters=None):
    counters = Counters()
    parse = Stage(None, name="parse", path="definition[1]", role="transform", retry=retry, on_error=on_error)
    return Supervisor(parse, counters, dead_letters), counters


def notes(error):
    return getattr(error, "__notes__", [])


async def tries(supervisor, error, item, attempts):
    """What ``again`` said of each attempt and when, until it says no more."""
    loop = asyncio.get_running_loop()
    said = []
    for attempt in range(1, attempts + 1):
        answer = await supervisor.again(error, item, attempt, 0.0)
        said.append((answer, loop.time()))
        if not answer:
            break
    return said


def test_without_policies_the_first_failure_is_raised_as_itself_with_a_note():
    """Invariant 34: stage, path, attempt, item type and size; never the item's contents."""
    made, counters = supervisor()
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught:
        run_virtual(made.again(error, SECRET, 1, 0.0))
    assert caught.value is error
    assert notes(error) == ["in stage parse (definition[1]), attempt 1 of 1, item: str of length 8"]
    assert (counters.failed, counters.skipped, counters.dead_lettered, counters.retried) == (1, 0, 0, 0)


def test_the_waits_are_exact_without_jitter():
    """Invariant 39."""
    made, counters = supervisor(Retry(attempts=6, backoff=1, factor=2, max_backoff=5, jitter=0), "skip")
    said = run_virtual(tries(made, ValueError(), 1, 10))
    assert said == [(True, 1), (True, 3), (True, 7), (True, 12), (True, 17), (False, 17)]
    assert (counters.retried, counters.skipped) == (5, 1)


def test_jitter_takes_at_most_its_part_off():
    made, _ = supervisor(Retry(attempts=None, backoff=8, factor=1, jitter=0.25))
    said = run_virtual(tries(made, ValueError(), 1, 200))
    waits = [later - before for (_, before), (_, later) in zip([(True, 0.0), *said], said, strict=False)]
    assert all(6 <= wait <= 8 for wait in waits)
    assert len(set(waits)) > 100


def test_an_endless_retry_with_a_large_exponent_does_not_overflow():
    retry = Retry(attempts=None, backoff=1, max_backoff=60, jitter=0)
    assert retry.wait(5000, 0.5) == 60


def test_no_further_try_once_max_elapsed_would_have_passed():
    made, counters = supervisor(Retry(attempts=None, backoff=1, factor=1, jitter=0, max_elapsed=3), "skip")
    assert run_virtual(tries(made, ValueError(), 1, 10)) == [(True, 1), (True, 2), (True, 3), (False, 3)]
    assert counters.retried == 3


def test_only_the_named_exceptions_are_worth_another_try():
    made, counters = supervisor(Retry(attempts=3, on=(ConnectionError, TimeoutError)))
    with pytest.raises(ValueError, match="not it"):
        run_virtual(made.again(ValueError("not it"), 1, 1, 0.0))
    assert counters.retried == 0
    assert run_virtual(made.again(ConnectionResetError(), 1, 1, 0.0)) is True


def test_the_note_tells_the_attempt():
    made, _ = supervisor(Retry(attempts=2))
    error = LookupError()
    with pytest.raises(LookupError):
        run_virtual(made.again(error, b"123", 2, 0.0))
    assert notes(error) == ["in stage parse (definition[1]), attempt 2 of 2, item: bytes of length 3"]


def test_the_note_is_written_once():
    made, _ = supervisor()
    error = LookupError()
    for _ in range(2):
        with pytest.raises(LookupError):
            run_virtual(made.again(error, 1, 1, 0.0))
    assert len(notes(error)) == 1


def test_a_backoff_can_be_cancelled():
    made, counters = supervisor(Retry(attempts=2, backoff=1000, jitter=0, max_backoff=1000))

    async def main():
        waiting = asyncio.create_task(made.again(ValueError(), 1, 1, 0.0))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1
    assert counters.retried == 0


def test_what_is_given_up_goes_to_the_sink_with_all_that_is_known():
    """Invariant 40."""

    async def main():
        channel: Channel[DeadLetter] = Channel(Buffer(1))
        made, counters = supervisor(Retry(attempts=2), dead_letter(print), channel.sender())
        error = ValueError("no")
        item = object()
        assert await made.again(error, item, 2, 0.0) is False
        letter = channel.receiver().receive_nowait()
        assert letter.item is item
        assert letter.error is error
        assert (letter.stage, letter.path, letter.attempts) == ("parse", "definition[1]", 2)
        assert counters.dead_lettered == 1

    run_virtual(main())


def test_a_full_sink_is_waited_for():
    async def main():
        channel: Channel[DeadLetter] = Channel(Buffer(1))
        receiver = channel.receiver()
        made, counters = supervisor(None, dead_letter(print), channel.sender())
        await made.give_up(ValueError(), 1, 1)
        second = asyncio.create_task(made.give_up(ValueError(), 2, 1))
        await asyncio.sleep(1)
        assert not second.done()
        assert counters.dead_lettered == 1
        assert receiver.receive_nowait().item == 1
        await second
        assert counters.dead_lettered == 2

    run_virtual(main())


async def test_a_cancellation_that_nobody_asked_for_becomes_an_error_of_the_stage():
    made = own_cancel(asyncio.CancelledError("mine"))
    assert isinstance(made, StageCancelledError)
    assert isinstance(made.__cause__, asyncio.CancelledError)
