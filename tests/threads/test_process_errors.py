"""What cannot cross from a worker process fails that item alone (invariant 43)."""

from __future__ import annotations

import traceback

import pytest

from asyncdataflow import DataFlow, dead_letter, stage


class TwoArgumentsError(Exception):
    """Pickled by its one argument, it cannot be made again: it broke whole pools on CPython 3.11."""

    def __init__(self, code, reason):
        super().__init__(f"{code}: {reason}")


class HoldsALambdaError(Exception):
    """Cannot be pickled."""

    def __init__(self):
        super().__init__("holds", lambda: None)


class RefusesError(Exception):
    """Raises when it is pickled."""

    def __reduce__(self):
        raise RuntimeError("no")


class BreaksOnArrival:
    """A result that can be pickled and not made again."""

    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise RuntimeError("no")


class PlainError(ValueError):
    """Crosses as itself."""


def work(item):
    match item:
        case "plain error":
            raise PlainError("mine")
        case "two arguments":
            raise TwoArgumentsError(7, "of nine")
        case "a lambda in it":
            raise HoldsALambdaError
        case "refuses":
            raise RefusesError("mine")
        case "local":

            class LocalError(Exception):
                pass

            raise LocalError("mine")
        case "a lambda":
            return lambda: None
        case "breaks on arrival":
            return BreaksOnArrival()
        case "stop":
            raise StopIteration("mine")
        case "exit":
            raise SystemExit(3)
    return item


BAD = {
    "plain error": "mine",
    "two arguments": "7: of nine",
    "a lambda in it": "holds",
    "refuses": "RefusesError",
    "local": "LocalError",
    "a lambda": "lambda",
    "breaks on arrival": "no",
    "stop": "mine",
}


def everything_told(error):
    return "".join(traceback.format_exception(error))


def test_everything_else_arrives_and_each_error_tells_its_type_and_text():
    letters = []
    items = [each for bad in BAD for each in (f"before {bad}", bad)] + ["last"]
    isolated = stage(work, executor="process", on_error=dead_letter(letters.append))
    results = list(DataFlow((isolated,)).iterate(items=items))
    assert results == [each for each in items if each not in BAD]
    assert [each.item for each in letters] == list(BAD)
    told = {each.item: everything_told(each.error) for each in letters}
    for bad, text in BAD.items():
        assert text in told[bad], (bad, told[bad])


def test_one_that_can_cross_is_itself_with_its_remote_traceback():
    flow = DataFlow((stage(work, executor="process"),))
    with pytest.raises(PlainError, match="mine") as caught:
        list(flow.iterate(items=["plain error"]))
    assert "in work" in everything_told(caught.value)


def test_system_exit_in_a_process_is_no_end_of_that_process():
    """Invariant 38: it ends the run, and not the worker behind the run's back."""
    with pytest.raises(SystemExit) as caught:
        list(DataFlow((stage(work, executor="process"),)).iterate(items=["exit"]))
    assert caught.value.code == 3
