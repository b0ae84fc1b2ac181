"""How a callable is judged by its signature."""

from __future__ import annotations

import functools
import operator
import time
from contextlib import asynccontextmanager

import pytest

from asyncdataflow.abc import Sink, Source
from asyncdataflow.errors import DefinitionError
from asyncdataflow.signature import is_foreign, needs_by_place, read, takes_by_place, underlying
from asyncdataflow.stage import Call, Parameter


def function(item, more=1, /, extra=None, *rest, db, table="t", **others): ...
async def coroutine(item): ...
def generator(item):
    yield item


async def async_generator(item):
    yield item


class Methods:
    def function(self, item): ...
    async def coroutine(self, item): ...
    def generator(self, item):
        yield item

    async def async_generator(self, item):
        yield item

    @classmethod
    async def of_class(cls, item): ...

    @staticmethod
    async def of_nobody(item): ...


def callable_object(method):
    return type("Object", (), {"__call__": method})()


def wrapped(f):
    @functools.wraps(f)
    def call(*args, **kwargs):
        return f(*args, **kwargs)

    return call


class Parsed:
    def __init__(self, row, *, strict=False): ...


class Reading(Source):
    @asynccontextmanager
    async def open(self):
        yield range(0)


class Writing(Sink):
    @asynccontextmanager
    async def open(self):
        yield coroutine


class Counting:
    def __aiter__(self):
        return async_generator(0)


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async_generator"])
@pytest.mark.parametrize(
    "form",
    [
        lambda kind: globals()[kind],
        lambda kind: getattr(Methods(), kind),
        lambda kind: functools.partial(globals()[kind]),
        lambda kind: functools.partial(getattr(Methods(), kind)),
        lambda kind: callable_object(getattr(Methods, kind)),
        lambda kind: functools.partial(callable_object(getattr(Methods, kind))),
        lambda kind: callable_object(getattr(Methods, kind)).__call__,
    ],
)
def test_kind_through_every_form(kind, form):
    call = read(form(kind), "here")
    assert call.kind == kind
    assert call.many is kind.endswith("generator")
    assert takes_by_place(call) >= 1


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (Methods.of_class, "coroutine"),
        (Methods().of_nobody, "coroutine"),
        (lambda item: item, "function"),
        (Parsed, "function"),
        (int, "function"),
        (len, "function"),
        ([].append, "function"),
        (operator.itemgetter(1), "function"),
        (functools.lru_cache(lambda item: item), "function"),
        (wrapped(coroutine), "function"),
        (range(3), "iterable"),
        (iter("abc"), "iterable"),
        ((n for n in "abc"), "iterable"),
        (Counting(), "async_iterable"),
        (Reading(), "source"),
        (Writing(), "sink"),
    ],
)
def test_kind(thing, kind):
    assert read(thing, "here").kind == kind


def test_parameters():
    assert read(function, "here") == Call(
        "function",
        arguments="params",
        parameters=(
            Parameter("item", True, "positional_only"),
            Parameter("more", False, "positional_only"),
            Parameter("extra", False, "positional"),
            Parameter("db", True, "keyword_only"),
            Parameter("table", False, "keyword_only"),
        ),
        open_ended=True,
    )


@pytest.mark.parametrize(
    ("thing", "names"),
    [
        (Parsed, ["row", "strict"]),
        (functools.partial(function, 1), ["more", "extra", "db", "table"]),
        (functools.partial(function, db=1), ["item", "more", "extra", "table"]),
        (functools.partial(functools.partial(function, db=1), table=2), ["item", "more", "extra"]),
        (functools.partial(Methods().function), ["item"]),
        (functools.lru_cache(coroutine), ["item"]),
        (wrapped(coroutine), ["item"]),
        # Nobody's run parameters: what is optional or keyword-only in C.
        (print, []),
        (sorted, ["iterable"]),
        ([].append, ["object"]),
        (time.time, []),
    ],
)
def test_names_of_parameters(thing, names):
    assert [each.name for each in read(thing, "here").parameters] == names


@pytest.mark.parametrize("thing", [int, str, dict, operator.itemgetter(0)])
def test_an_item_can_be_given_where_little_is_known(thing):
    call = read(thing, "here")
    assert not call.known or call.open_ended or takes_by_place(call)
    assert len(needs_by_place(call)) <= 1


@pytest.mark.parametrize(
    ("thing", "foreign"),
    [
        (len, True),
        ([].append, True),
        (int, True),
        (functools.partial(len), True),
        (function, False),
        (Parsed, False),
        (Methods().coroutine, False),
        (functools.lru_cache(coroutine), False),
        (callable_object(Methods.coroutine), False),
    ],
)
def test_what_is_written_in_c(thing, foreign):
    assert is_foreign(underlying(thing)) is foreign


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (3, "neither callable nor iterable"),
        (None, "neither callable nor iterable"),
        ("text", "text is a whole definition"),
        (b"bytes", "text is a whole definition"),
        (Reading, r"write Reading\(…\)"),
        (Writing, r"write Writing\(…\)"),
    ],
)
def test_refused(thing, says):
    with pytest.raises(DefinitionError, match=says) as caught:
        read(thing, "here")
    assert str(caught.value).startswith("here: ")
