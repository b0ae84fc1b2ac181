"""Which calls go into which message, and what becomes of them when a process is lost."""

from __future__ import annotations

import pickle

import pytest

from asyncdataflow._processes.messages import CALLS, MORE, kind_of, parts
from asyncdataflow._processes.series import Series
from tests.process_functions import Unpicklable


def series_of(*items, one_by_one=False):
    series = Series([((each,), {}) for each in items], one_by_one=one_by_one)
    series.start(0)
    return series


def due(series):
    """The items of each message that is to be sent now."""
    return [[pickle.loads(part)[0][0] for part in parts(message)] for message in series.due()]


def test_two_halves_are_sent_ahead():
    series = series_of(*range(5))
    assert due(series) == [[0, 1, 2], [3, 4]]
    assert due(series) == []


def test_the_second_goes_on_from_the_first():
    assert [kind_of(each) for each in series_of(1, 2).due()] == [CALLS, MORE]


def test_one_by_one_nothing_is_sent_ahead():
    series = series_of(*range(3), one_by_one=True)
    seen = []
    while not series.over:
        seen += due(series)
        assert due(series) == []
        series.answer(1)
    assert seen == [[0], [1], [2]]


def test_a_message_ends_before_it_grows_too_large(monkeypatch):
    monkeypatch.setattr("asyncdataflow._processes.series.MOST_BYTES", 350)
    items = [bytes(each) for each in (100, 101, 102, 1000, 1, 2)]
    series = series_of(*items)
    seen = []
    waiting = []
    while not series.over:
        waiting += due(series)
        seen.append([len(each) for each in waiting[0]])
        series.answer(len(waiting.pop(0)))
    assert seen == [[100, 101], [102], [1000], [1, 2]]


def test_answers_may_come_for_a_part_of_a_message():
    series = series_of(*range(4))
    due(series)
    series.answer(1)
    assert not series.at_rest
    series.answer(1)
    series.answer(2)
    assert series.at_rest
    assert series.over


def test_the_first_that_cannot_be_pickled_is_told_when_all_before_it_are_answered():
    series = series_of(0, 1, Unpicklable(), 3)
    assert due(series) == [[0, 1]]
    series.answer(2)
    assert due(series) == []
    assert series.at_rest
    assert not series.over
    assert "has a lock" in str(series.refused)


@pytest.mark.parametrize(
    ("begun", "then"),
    [(0, [[0], [1, 2, 3]]), (1, [[0], [1, 2, 3]]), (3, [[0, 1], [2]]), (6, [[0, 1, 2], [3, 4]])],
)
def test_what_is_lost_goes_again_and_the_one_that_it_was_at_alone(begun, then):
    series = series_of(*range(6))
    due(series)
    assert series.lose(begun) == begun
    assert not series.suspect(begun)
    series.start(0)
    assert due(series) == then


def test_what_was_answered_does_not_go_again():
    series = series_of(*range(6))
    due(series)
    series.answer(2)
    assert series.lose(4) == 2
    assert not series.suspect(2)
    series.start(0)
    assert due(series) == [[2], [3]]


def test_the_second_loss_at_the_same_call_is_told():
    series = series_of(*range(4))
    due(series)
    assert not series.suspect(series.lose(2))
    series.start(0)
    due(series)
    series.answer(1)
    assert series.suspect(series.lose(2))


def test_what_a_process_had_begun_before_does_not_count():
    series = Series([((1,), {}), ((2,), {})], one_by_one=False)
    series.start(40)
    due(series)
    assert series.lose(41) == 1


def test_nothing_more_begins_behind_the_end():
    series = series_of(*range(9))
    due(series)
    series.skip()
    series.end()
    assert series.over
    assert not series.at_rest
    series.skip()
    assert series.at_rest
