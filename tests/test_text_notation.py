"""Definitions written as text."""

from __future__ import annotations

import types

import pytest

from asyncdataflow.errors import DefinitionError
from asyncdataflow.notation import compile_definition
from asyncdataflow.operators import merge, split
from asyncdataflow.stage import Embedded, stage
from tests.definitions import graph_of, plain

a, b, c, d = (plain(name) for name in "abcd")
source, target = plain("source", ""), plain("target", "")
compare = plain("compare", "source, target")
NAMES = {
    "a": a,
    "b": b,
    "c": c,
    "d": d,
    "source": source,
    "target": target,
    "compare": compare,
    "merge": merge,
    "split": split,
    "größe": a,
}


@pytest.mark.parametrize(
    ("text", "definition"),
    [
        ("source", source),
        ("source | a", (source, a)),
        (" source|a\n  | b\t", (source, a, b)),
        ("(source) | ((a))", (source, a)),
        ("(source | a) | b", (source, a, b)),
        ("source | (a | b)", (source, a, b)),
        ("source, target | compare | a, b", ((source, target), compare, (a, b))),
        ("source | a, b | merge | c", (source, (a, b), merge, c)),
        ("source | (a | b), c", (source, ([a, b], c))),
        ("source | (a, b), c", (source, (a, b, c))),
        ("source | (a | b, c), d", (source, ([a, (b, c)], d))),
        ("source | split | a, b", (source, split, (a, b))),
        ("source | a | a", (source, a, a)),
        ("source | größe", (source, a)),
    ],
)
def test_text_is_the_nested_tuples(text, definition):
    assert graph_of(text, NAMES) == graph_of(definition)


class Here:
    """A namespace that is no mapping."""

    inner = types.SimpleNamespace(step=a)
    table = {"step": b}  # noqa: RUF012 - it is looked up in


MODULE = types.ModuleType("steps")
MODULE.__dict__.update(NAMES, nested=types.SimpleNamespace(a=a))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("source | a", MODULE),
        ("source | nested.a", MODULE),
        ("s | here.inner.step", {"s": source, "here": Here}),
        ("s | x.y", {"s": source, "x.y": a, "x": {"y": b}}),
        ("s | x.y", {"s": source, "x": {"y": a}}),
    ],
)
def test_dotted_names(text, names):
    assert graph_of(text, names) == graph_of((source, a))


def test_a_name_may_mean_any_member():
    names = {"rows": range(3), "clean": stage(a, concurrency=2), "both": (b, c), "more": [b, c]}
    assert graph_of("rows | clean | both", names) == graph_of((range(3), stage(a, concurrency=2), (b, c)))
    assert graph_of("rows | more", names) == graph_of((range(3), b, c))
    # Among branches, a tuple is a sequence, as in the nested tuples.
    assert graph_of("rows | both, clean", names) == graph_of((range(3), ((b, c), stage(a, concurrency=2))))


def test_paths_count_characters():
    graph = graph_of("source | (a, b)", NAMES)
    assert [each.path for each in graph.stages] == [f"definition, character {at}" for at in (1, 11, 14)]


@pytest.mark.parametrize(
    ("text", "character", "says"),
    [
        ("", 1, "the text ends where a name or ( is needed"),
        ("source |", 9, "the text ends"),
        ("source | | a", 10, "'|' stands where a name"),
        ("source,", 8, "the text ends"),
        (", source", 1, "',' stands"),
        ("source | ()", 11, "')' stands"),
        ("source | (a | b", 16, "the ( at character 10 is never closed"),
        ("(source | (a) | b", 18, "the ( at character 1 is never closed"),
        ("source | a) | b", 11, "this ) closes nothing"),
        ("source a", 8, "'a' cannot stand here"),
        ("source (a)", 8, "'(' cannot stand here"),
        ("source | a + b", 12, "'+' is not of this notation"),
        ("source | 3a", 10, "'3' is not of this notation"),
        ("source | a.", 11, "'.' is not of this notation"),
        ("sorce | a", 1, "there is no name 'sorce'; did you mean 'source'?"),
        ("source | a.x", 10, "there is no name 'x' in a"),
        ("source | a.__globals__", 10, "there is no name '__globals__' in a"),
        ("source | (" + "(" * 200, 111, "nest deeper"),
    ],
)
def test_refused_with_the_character(text, character, says):
    with pytest.raises(DefinitionError) as caught:
        compile_definition(text, NAMES)
    assert str(caught.value).startswith(f"definition, character {character}: ")
    assert says in str(caught.value)


def test_a_stage_is_refused_at_its_character():
    with pytest.raises(DefinitionError) as caught:
        compile_definition("source | wrong", {"source": source, "wrong": lambda: 1})
    assert str(caught.value).startswith("definition, character 10 (lambda): it takes no item")


def test_text_needs_names():
    with pytest.raises(DefinitionError, match="text needs names="):
        compile_definition("source | a")


def test_an_embedded_text_has_names_of_its_own():
    class Flow(Embedded):
        definition, names, resources = "x | y", {"x": a, "y": b}, {}

    assert graph_of((source, Flow(), c)) == graph_of((source, a, b, c))
    assert graph_of("source | flow | c", NAMES | {"flow": Flow()}) == graph_of((source, a, b, c))
