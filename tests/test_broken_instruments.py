"""Whatever an instrument raises or returns harms no flow."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager

import pytest

from asyncdataflow import DataFlow, stage
from tests import process_functions
from tests.instruments import Book, Step, Told, double, thrice


class Broken(Book):
    """Raises in one of the things that it is asked."""

    def __init__(self, where, error=ValueError):
        super().__init__()
        self.where, self.asked = where, 0
        self.error = error

    def at(self, where):
        if where == self.where:
            self.asked += 1
            raise self.error("broken")

    def begin(self, flow, source, message):
        self.at("begin")
        return super().begin(flow, source, message)

    def call(self, stage, attempt, traces):
        self.at("call")
        if self.where == "no span":
            return object()
        return BrokenStep(self, stage, attempt, traces)

    def settled(self, trace, error):
        self.at("settled")
        super().settled(trace, error)


class BrokenStep(Step):
    def current(self):
        return object() if self.book.where == "no context" else self.entered()

    @contextmanager
    def entered(self):
        self.book.at("current")
        yield
        self.book.at("left")

    def carried(self):
        self.book.at("carried")
        return (lambda: None) if self.book.where == "no pickle" else super().carried()

    def headers(self, place):
        self.book.at("headers")
        wrong = {"no mapping": 3, "no text": {"a": 1}, "no line": {"a": "b\nc"}}
        return wrong.get(self.book.where) or super().headers(place)

    def end(self, error):
        self.book.at("end")


NO_USE = ["no span", "no context", "no pickle", "no mapping", "no text", "no line"]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
@pytest.mark.parametrize(
    "where", ["begin", "call", "settled", "current", "left", "carried", "headers", "end", *NO_USE]
)
def test_one_that_raises_is_told_of_once_and_harms_nothing(where, error, caplog):
    sink, broken, other = Told(1), Broken(where, error), Book()
    # It takes a second to start one.
    executor = "process" if where in {"carried", "no pickle"} else "thread"
    last = stage(process_functions.same, executor=executor)
    flow = DataFlow((range(5), double, thrice, last, sink), instruments=[broken, other])
    flow()
    assert sink.told == {n * 6: {"trace": str(n)} for n in range(5)}
    other.check()
    assert len(other.steps) == 20
    (told,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "Broken" in told.getMessage()
    assert broken.asked <= 1
