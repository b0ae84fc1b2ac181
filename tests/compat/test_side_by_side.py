"""The layer and the published 0.0.1, asked the same questions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncdataflow import compat
from tests.compat.conftest import Published
from tests.compat.described_functions import answer

_OURS = SimpleNamespace(
    DataFlow=compat.DataFlow, amapper=compat.amapper, fdispatch=compat.fdispatch, exceptions=compat.exceptions
)
_FIELDS = ("a", "b", "c", "d")
_generated = settings(
    derandomize=True,
    database=None,
    deadline=None,  # the first question waits for the environment
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all examples of a test; a loop for each would take most of its time."""
    with asyncio.Runner() as runner:
        yield runner


def _same(
    published: Published, question: dict[str, Any], runner: asyncio.Runner | None = None
) -> dict[str, Any]:
    """What both say."""
    ours = answer(_OURS, question, runner.run if runner else asyncio.run)
    theirs = published.ask(question)
    if any(isinstance(each, list) for each in question.get("definition", [])):
        if "error" in theirs:  # when a group fails, 0.0.1 leaves the rest of it to itself
            ours["journal"] = theirs["journal"] = []
        ours["journal"].sort()
        theirs["journal"].sort()
    assert ours == theirs
    return theirs


def _function(kind: str, takes: str, does: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "foo", "kind": kind, "takes": [{"name": each} for each in takes], "does": does, **more}


# Few names and few values, so that functions find their arguments and results conflict.
_names = st.sampled_from(_FIELDS)
_scalars = st.sampled_from([1, 2, "text", None, False])
_all_kept = {"fields": [[name, name] for name in _FIELDS]}
_made = st.lists(st.tuples(_names, _names | _scalars), max_size=4, unique_by=lambda pair: pair[0]).map(
    lambda fields: {"fields": fields}
)
_odd = st.sampled_from(
    [
        *[{"value": each} for each in (None, 0, "", [], [["a", 1]], 5, "no dict", [{"a": 1}])],
        {"fields": [[7, "a"], ["a", 1]]},
        {"fields": [["a", 1]], "defaults": True},
        {"raises": ["ValueError", "first"]},
        {"raises": ["KeyError", "a"]},
        {"raises": ["TypeError", "second"]},
        {"raises": ["CancelledError", "by itself"]},
    ]
)
_does = st.integers(0, 11).flatmap(
    lambda dice: _odd if dice == 7 else st.just(_all_kept) if dice < 5 else _made
)


@st.composite
def _functions(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(_names, min_size=draw(st.sampled_from([1, 1, 1, 0])), max_size=2, unique=True))
    takes: list[dict[str, Any]] = [{"name": each} for each in names]
    for each in takes[len(takes) - draw(st.sampled_from([0, 0, 0, 1, 2])) :]:
        each["default"] = 1
    return {
        "name": draw(st.sampled_from(["foo", "bar", "baz"])),
        "kind": draw(st.sampled_from(["async", "sync"])),
        "takes": takes,
        "does": draw(_does),
        "pauses": draw(st.integers(0, 3)),
    }


@st.composite
def _tuples(draw: st.DrawFn, depth: int) -> list[Any]:
    return [
        draw(_tuples(depth - 1)) if depth and draw(st.booleans()) else draw(_functions())
        for _ in range(draw(st.sampled_from([2, 3, 4, 1])))
    ]


_definitions = _tuples(3)
_all_given = st.fixed_dictionaries(dict.fromkeys(_FIELDS, _scalars))
_some_given = st.dictionaries(_names, _scalars)
_calls = st.lists(_all_given | _some_given, min_size=1, max_size=2)
_options = st.fixed_dictionaries(
    {}, optional={"args_visibility": st.sampled_from(["None", "Initial", "All", "?"])}
)


@settings(_generated, max_examples=320)
@given(definition=_definitions, calls=_calls, options=_options)
def test_generated_definitions_do_the_same(
    published: Published,
    runner: asyncio.Runner,
    definition: list[Any],
    calls: list[dict[str, Any]],
    options: dict[str, Any],
):
    question = {"ask": "flow", "definition": definition, "calls": calls, "options": options}
    _same(published, question, runner)


_open_dict = {"fields": [["b", 2]], "defaults": True}
_number_key = {"fields": [[7, "a"]]}


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize(
    ("does", "behind"),
    [
        (_open_dict, "c"),  # a function behind a defaultdict in a sequence has every argument
        (_open_dict, ["c"]),  # and one in a group or nested tuple has not
        (_open_dict, [["c"]]),
        (_number_key, ["b"]),  # entering a tuple spreads the dict as keywords
        (_number_key, [["b"]]),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_enters_a_tuple_is_the_same(
    published: Published, kind: str, does: dict[str, Any], behind: Any, nested: bool
):
    def built(described: Any) -> Any:
        if isinstance(described, list):
            return [built(each) for each in described]
        return _function(kind, described, {"fields": [["seen", described]]})

    first = _function(kind, "a", does)
    definition = [[[first], built(behind)]] if nested else [first, built(behind)]
    _same(published, {"ask": "flow", "definition": definition, "calls": [{"a": 1}]})


_not_functions = st.sampled_from([None, 5, "text", {}, {"a": 1}, True]).map(lambda value: {"other": value})
_unusual = st.sampled_from(
    [
        {"takes": [{"name": "a", "kind": "place"}]},
        {"takes": [{"name": "a"}, {"name": "c", "kind": "keyword"}]},
        {"takes": [{"name": "a"}, {"name": "c", "kind": "keyword", "default": 3}]},
        {"takes": [{"name": "rest", "kind": "places"}]},
        {"takes": [{"name": "a"}, {"name": "rest", "kind": "keywords"}]},
        {"wrap": "dispatch"},
        {"wrap": "method"},
        {"wrap": "object"},
        {"wrap": "partial", "bound": [1]},
        {"wrap": "mapper", "input": {"a": "b"}, "output": "c"},
    ]
)


@st.composite
def _unusual_functions(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["async", "sync"]))
    return _function(kind, "ab", draw(_made | _odd)) | draw(_unusual)


_doubtful = st.recursive(
    st.lists(_not_functions | _unusual_functions() | _functions(), max_size=2),
    lambda inner: st.lists(_unusual_functions() | inner, min_size=1, max_size=3),
    max_leaves=4,
)


@settings(_generated, max_examples=150)
@given(definition=_doubtful | _not_functions)
def test_what_may_not_stand_in_a_definition_or_is_passed_over_is_the_same(
    published: Published, runner: asyncio.Runner, definition: Any
):
    _same(published, {"ask": "flow", "definition": definition, "calls": [{"a": 1, "b": 2}]}, runner)


_keys = st.sampled_from(["a", "b", "c"])
_renames = st.none() | st.dictionaries(_keys, _keys, max_size=3)
_outputs = st.none() | _keys | st.dictionaries(_keys, _keys, max_size=2) | st.lists(_keys, max_size=3)


@settings(_generated, max_examples=150)
@given(
    function=_functions() | _unusual_functions().filter(lambda each: each.get("wrap") is None),
    renames=_renames,
    output=_outputs,
    kwargs=st.dictionaries(_keys, _scalars),
)
def test_mapped_functions_do_the_same(
    published: Published, function: dict[str, Any], renames: Any, output: Any, kwargs: dict[str, Any]
):
    # What is mapped of a coroutine function is its coroutine, which nobody would await.
    mapped = {**function, "kind": "sync", "wrap": "mapper", "input": renames, "output": output}
    _same(published, {"ask": "mapper", "function": mapped, "kwargs": kwargs})


@pytest.mark.parametrize("key", ["", "x", "y", "missing"])
def test_dispatched_functions_are_the_same(published: Published, key: str):
    functions = {each: _function("sync", "a", {"fields": [[each, "a"]]}) for each in ("default", "x", "y")}
    question = {"function": functions.pop("default"), "registered": functions, "key": key, "kwargs": {"a": 1}}
    said = _same(published, {"ask": "dispatch", **question})
    assert ("error" in said) == (key == "missing")


_BASES = [name for name in compat.exceptions.__all__ if getattr(compat.exceptions, name).__subclasses__()]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        *[(name, {}) for name in compat.exceptions.__all__ if name not in _BASES],
        *[(name, {"error_string": "{0} said"}) for name in compat.exceptions.__all__],
    ],
)
def test_exceptions_are_the_same(published: Published, name: str, count: int, keywords: dict[str, str]):
    arguments = ["foo", {"a": 1}, "b"][:count]
    said = _same(published, {"ask": "exception", "name": name, "args": arguments, "keywords": keywords})
    assert said["error"]["bases"][-3:] == ["Exception", "BaseException", "object"]


def test_no_exception_is_missing(published: Published):
    _same(published, {"ask": "exceptions"})
