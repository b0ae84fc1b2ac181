"""A session's thread: calls in order, errors as themselves, nothing left behind."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asyncdataflow.connectors import own_thread as module
from asyncdataflow.connectors.own_thread import own_thread


async def test_calls_are_made_in_order_in_one_thread():
    seen = []
    async with own_thread("a") as thread:
        futures = [thread.begin(lambda n=n: seen.append((n, threading.get_ident()))) for n in range(5)]
        await asyncio.gather(*futures)
    assert [n for n, _ in seen] == list(range(5))
    assert {ident for _, ident in seen} != {threading.get_ident()}
    assert len({ident for _, ident in seen}) == 1


@pytest.mark.parametrize("error", [LookupError("x"), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_an_error_comes_out_as_itself(error):
    def fail():
        raise error

    async with own_thread("a") as thread:
        with pytest.raises(type(error)) as caught:
            await thread.call(fail)
    assert caught.value is error or isinstance(error, asyncio.CancelledError)


async def test_an_end_of_an_iterator_is_no_end_of_anything_here():
    async with own_thread("a") as thread:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await thread.call(next, iter(()))


async def test_what_a_call_has_opened_is_closed_in_the_thread_also_when_it_is_cancelled():
    begun, go_on, closed = threading.Event(), threading.Event(), []

    async with own_thread("a") as thread:

        def opens():
            begun.set()
            go_on.wait()
            thread.closing.callback(lambda: closed.append(threading.current_thread().name))

        task = asyncio.create_task(thread.call(opens))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
    assert closed == ["a"]


async def test_a_call_that_was_cancelled_before_its_turn_is_not_made():
    go_on, made = threading.Event(), []
    async with own_thread("a") as thread:
        thread.begin(go_on.wait)
        second = thread.begin(made.append, 2)
        third = thread.begin(made.append, 3)
        second.cancel()
        go_on.set()
        await third
    assert made == [3]


async def test_an_error_of_closing_is_raised_or_told_with_the_one_before_it():
    def fail():
        raise OSError("closing")

    async def session(error):
        async with own_thread("a") as thread:
            await thread.call(thread.closing.callback, fail)
            if error:
                raise error

    with pytest.raises(OSError, match="closing"):
        await session(None)
    with pytest.raises(LookupError) as caught:
        await session(LookupError())
    assert "closing" in caught.value.__notes__[0]


async def test_whoever_is_cancelled_waits_for_a_stuck_call_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    stuck = threading.Event()

    async def session():
        async with own_thread("a") as thread:
            thread.begin(stuck.wait)

    task = asyncio.create_task(session())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stuck.set()


async def test_an_error_that_nobody_waits_for_is_no_complaint():
    def fail():
        raise LookupError

    async with own_thread("a") as thread:
        thread.begin(fail)
