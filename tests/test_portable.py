"""What can be handed to another process."""

from __future__ import annotations

import functools
import pickle
import sys
import types

import pytest

from asyncdataflow.portable import explain_unportable, portable
from asyncdataflow.stage import stage


def at_module_level(item):
    return item


@stage(concurrency=2)
def decorated(item):
    return item, "decorated"


class Holder:
    def method(self, item):
        return item

    @staticmethod
    def of_nobody(item):
        return item


def nested():
    def inner(item):
        return item

    return inner


class Locked:
    def __reduce__(self):
        raise TypeError("holds a lock")

    def __call__(self, item): ...


@pytest.mark.parametrize(
    "fn",
    [
        at_module_level,
        Holder().method,
        Holder.of_nobody,
        len,
        int,
        functools.partial(at_module_level),
        decorated.fn,
    ],
)
def test_portable(fn):
    assert explain_unportable(fn) == ""
    there = pickle.loads(pickle.dumps(portable(fn)))
    assert there("12") == fn("12")


def test_a_decorated_function_is_found_again():
    assert pickle.loads(pickle.dumps(portable(decorated.fn))) is decorated.fn
    bound = pickle.loads(pickle.dumps(portable(functools.partial(decorated.fn, 1))))
    assert (bound.func, bound.args, bound()) == (decorated.fn, (1,), (1, "decorated"))


@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (lambda item: item, "this is a lambda"),
        (functools.partial(lambda item: item), "this is a lambda"),
        (nested(), "inner is defined inside another function"),
        (Locked(), r"Locked cannot be pickled \(TypeError: holds a lock\)"),
        (functools.partial(at_module_level, lambda: 1), "cannot be pickled"),
    ],
)
def test_unportable(fn, why):
    import re

    assert re.search(why, explain_unportable(fn))


def test_an_interactive_session_cannot_be_imported(monkeypatch):
    main = types.ModuleType("__main__")
    main.typed = types.FunctionType(at_module_level.__code__, main.__dict__, "typed")
    main.typed.__module__ = "__main__"
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert explain_unportable(main.typed) == "typed lives in an interactive session"
