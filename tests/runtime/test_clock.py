"""The limiter and the turn, on clocks that the test moves."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow._runtime.baton import Baton
from asyncdataflow._runtime.clock import Limiter, Turn
from asyncdataflow._runtime.meter import Waits
from asyncdataflow.policy import Rate
from asyncdataflow.testing.virtual_clock import run_virtual


class Hands:
    """A clock that is moved by hand; all that a turn asks of a loop."""

    governs_time = True

    def __init__(self):
        self.now = 100.0

    def time(self):
        return self.now


def begun(rate, count, *, workers=1, pause=None):
    """When each of ``count`` items may begin, in virtual seconds from the start."""

    async def main():
        loop = asyncio.get_running_loop()
        limiter = Limiter(rate, loop)
        times = []

        async def worker():
            while len(times) + waiting[0] < count:
                waiting[0] += 1
                await limiter.wait()
                waiting[0] -= 1
                times.append(loop.time())
                if pause is not None and len(times) == pause[0]:
                    await asyncio.sleep(pause[1])

        waiting = [0]
        await asyncio.gather(*(worker() for _ in range(workers)))
        return times

    return run_virtual(main())


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize(
    ("rate", "times"),
    [
        (Rate(2), [0.0, 0.5, 1.0, 1.5, 2.0]),
        (Rate(0.5), [0.0, 2.0, 4.0, 6.0, 8.0]),
        (Rate(3, seconds=30), [0.0, 10.0, 20.0, 30.0, 40.0]),
        (Rate(2, burst=3), [0.0, 0.0, 0.0, 0.5, 1.0]),
    ],
    ids=repr,
)
def test_items_begin_evenly_spaced_after_a_burst_however_many_workers_ask(rate, times, workers):
    assert begun(rate, 5, workers=workers) == pytest.approx(times)


@pytest.mark.parametrize("burst", [1, 3])
def test_a_pause_saves_up_no_more_than_a_burst(burst):
    times = begun(Rate(1, burst=burst), 2 * burst + 2, pause=(burst, 1000.0))
    assert times[:burst] == [0.0] * burst
    assert times[burst:] == pytest.approx([1000.0] * burst + [1001.0, 1002.0])


def test_who_waits_is_served_in_the_order_in_which_it_came():
    async def main():
        limiter = Limiter(Rate(1), asyncio.get_running_loop())
        served = []

        async def ask(number):
            await limiter.wait()
            served.append(number)

        await asyncio.gather(*(ask(number) for number in range(5)))
        return served

    assert run_virtual(main()) == [0, 1, 2, 3, 4]


def test_a_turn_of_quick_items_lasts_about_a_millisecond():
    clock = Hands()
    turn = Turn(clock)
    spent = []
    for _ in range(20):
        since = clock.now
        while not turn.due():
            clock.now += 2e-6
        spent.append(clock.now - since)
    assert all(0.5e-3 < each < 2e-3 for each in spent), spent


def test_a_turn_of_slow_items_is_over_after_each_of_them():
    clock = Hands()
    turn = Turn(clock)
    dues = []
    for _ in range(50):
        clock.now += 0.01
        dues.append(turn.due())
    assert all(dues[1:])


def test_items_that_become_slow_are_noticed_and_then_told_one_by_one():
    """The clock is read at every 128th quick item at the least."""
    clock = Hands()
    turn = Turn(clock)
    for _ in range(5000):
        clock.now += 1e-8
        turn.due()
    until_due = []
    for _ in range(10):
        count = 1
        clock.now += 0.01
        while not turn.due():
            clock.now += 0.01
            count += 1
        until_due.append(count)
    assert max(until_due) <= 128
    assert until_due[-1] == 1


def test_a_turn_ends_where_no_time_ever_passes():
    """Under virtual time nothing else would ever run."""
    clock = Hands()
    turn = Turn(clock)
    dues = sum(turn.due() for _ in range(20_000))
    assert dues >= 10


def test_who_has_done_many_items_lets_the_others_have_two_turns_before_it_waits():
    async def main():
        turn = Turn(asyncio.get_running_loop())
        others = []
        asyncio.get_running_loop().call_soon(others.append, 1)
        assert not turn.patience
        turn.due(100)
        while turn.patience:
            await turn.give_way()
        return others

    assert run_virtual(main()) == [1]


@pytest.mark.parametrize("last", [lambda turn: turn.due(1), lambda turn: turn.begin()])
def test_who_has_done_few_items_or_has_waited_is_not_patient(last):
    turn = Turn(Hands())
    turn.due(100)
    last(turn)
    assert not turn.patience


def test_to_give_way_begins_a_turn():
    hands = Hands()
    turn = Turn(hands)
    turn.due(100)
    hands.now += 10.0
    waiting = turn.give_way()
    next(waiting)
    assert next(waiting, "over") == "over"
    assert not turn.due(turn.left)
    assert turn.patience <= 1


class Counted(Baton):
    """Knows how often somebody has looked."""

    looks = 0

    def drop(self):
        self.looks += 1


def giving_way(baton):
    """A worker that does."""
    waiting = Turn(Hands()).give_way(Waits(lambda: 0.0), baton)
    next(waiting)
    return waiting


def test_where_a_worker_gives_way_the_loop_is_not_asked_to_look():
    baton = Counted()
    waiting = giving_way(baton)
    baton.watch()  # There is no loop that it could ask.
    assert next(waiting, "over") == "over"
    assert (baton.awake, baton.looks) == (0, 1)
    with pytest.raises(RuntimeError, match="no running event loop"):
        baton.watch()


def test_a_worker_that_is_cancelled_while_it_gives_way_looks_all_the_same():
    baton = Counted()
    with pytest.raises(asyncio.CancelledError):
        giving_way(baton).throw(asyncio.CancelledError)
    assert (baton.awake, baton.looks) == (0, 1)


def test_a_worker_that_is_let_go_while_it_gives_way_looks_at_nothing():
    """Its loop may be closed."""
    baton = Counted()
    giving_way(baton).close()
    assert (baton.awake, baton.looks) == (0, 0)


def test_what_others_do_while_it_rests_is_not_of_its_turn():
    """Else who shares the loop with those that are busy would soon do one item a turn."""
    hands = Hands()
    turn = Turn(hands)
    done = []
    for _ in range(20):
        count = 1
        while not turn.due():
            hands.now += 1e-5
            count += 1
        done.append(count)
        resting = turn.rest()
        next(resting)
        hands.now += 0.01
        assert next(resting, "over") == "over"
    assert min(done[5:]) > 30, done


def test_to_wake_many_is_no_reason_to_rest():
    """Else a thousand that sleep would be woken with each item, and never find two."""
    hands = Hands()
    turn = Turn(hands, wakes=1000)
    hands.now += 0.005
    assert not turn.due()
    hands.now += 0.01
    assert turn.due(turn.left)
