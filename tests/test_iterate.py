"""Iterating from synchronous code: when it starts, and what wins where the way out fails too (section 8)."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading

import pytest

from asyncdataflow import DataFlow

DEADLINE = 20.0
"""Seconds until a handshake with a thread counts as failed; never waited for in full."""


async def numbers(limit=5):
    for number in range(limit):
        yield number


@pytest.fixture
def ctrl_c():
    """Presses Ctrl-C on the main thread; a test run in the background may have it ignored.

    CPython misses a signal that comes between its last look for one and the wait for a
    lock, until something wakes that wait: here another signal, which does nothing else.
    """

    def interrupt(number, frame):
        heard.set()
        signal.default_int_handler(number, frame)

    def press():
        main = threading.main_thread().ident
        signal.pthread_kill(main, signal.SIGINT)
        while not heard.wait(0.01):
            signal.pthread_kill(main, signal.SIGUSR1)

    heard = threading.Event()
    handlers = {signal.SIGINT: interrupt, signal.SIGUSR1: lambda *_: None}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield press
    for number, handler in before.items():
        signal.signal(number, handler)


class Hanging:
    """A stage that works until it is cancelled, and whose clean-up fails."""

    def __init__(self, error, let_pass=0):
        self.error = error
        self.let_pass = let_pass
        self.begun = threading.Event()

    async def __call__(self, item):
        if item < self.let_pass:
            return item
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            raise self.error


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to a thread")
@pytest.mark.parametrize("managed", [True, False], ids=["with", "for"])
@pytest.mark.parametrize("error", [LookupError("cleaning"), SystemExit("cleaning")], ids=["error", "exit"])
def test_ctrl_c_comes_out_unchanged_where_clean_up_fails(ctrl_c, error, managed):
    def press():
        if stage.begun.wait(DEADLINE) and entered.wait(DEADLINE):
            ctrl_c()

    entered = threading.Event()
    stage = Hanging(error)
    pressing = threading.Thread(target=press)
    pressing.start()
    results = DataFlow((numbers, stage)).iterate()
    with pytest.raises(KeyboardInterrupt) as told:
        if managed:
            with results:
                entered.set()
                list(results)
        else:
            entered.set()
            list(results)
    pressing.join(DEADLINE)
    assert told.value.args == ()
    assert list(results) == []


@pytest.mark.parametrize("ask", [lambda results: results.__enter__(), next], ids=["enter", "next"])
def test_ctrl_c_in_the_step_in_which_the_loop_was_asked_ends_the_thread(ask, monkeypatch):
    """A signal comes between any two lines; that nothing is left running is what the leak check sees."""

    def interrupted(coroutine, loop):
        monkeypatch.undo()
        asyncio.run_coroutine_threadsafe(coroutine, loop)
        raise KeyboardInterrupt

    results = DataFlow((numbers, Hanging(LookupError("cleaning")))).iterate()
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(results)
    assert list(results) == []


@pytest.mark.parametrize(
    "error", [LookupError("cleaning"), SystemExit("cleaning"), KeyboardInterrupt("cleaning")], ids=repr
)
def test_an_error_of_the_block_wins_whatever_clean_up_raises(error):
    stage = Hanging(error, let_pass=1)
    with pytest.raises(ZeroDivisionError) as told:  # noqa: SIM117 - the inner one is what is tested
        with DataFlow((numbers, stage)).iterate() as results:
            assert next(results) == 0
            assert stage.begun.wait(DEADLINE)
            raise ZeroDivisionError
    assert any("cleaning" in note for note in told.value.__notes__)


def test_entering_the_block_starts_it():
    begun = threading.Event()

    async def tells(item):
        begun.set()
        return item

    with DataFlow((numbers, tells)).iterate() as results:
        assert begun.wait(DEADLINE)
        assert list(results) == [0, 1, 2, 3, 4]


def test_a_failure_before_the_first_result_was_asked_for_is_raised_by_leaving():
    ended = threading.Event()

    async def fails(_):
        ended.set()
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"), DataFlow((numbers, fails)).iterate():
        assert ended.wait(DEADLINE)
