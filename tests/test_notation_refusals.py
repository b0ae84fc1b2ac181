"""Definitions that are refused: what was wrong, where, and what to write instead."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager

import pytest

from asyncdataflow.abc import Sink, Source
from asyncdataflow.errors import DefinitionError, SignatureError
from asyncdataflow.notation import compile_definition
from asyncdataflow.operators import balance, batch, concat, filter_, merge, partition, route, split, zip_
from asyncdataflow.policy import dead_letter
from asyncdataflow.stage import Embedded, stage
from tests.definitions import plain

a, b, c = (plain(name) for name in "abc")
s3_logger, notify = plain("s3_logger"), plain("notify")
source, target = plain("source", ""), plain("target", "")
compare = stage(plain("compare", "source, target"))
endless: list[object] = [a]
endless.append(endless)
deep: object = a
for _ in range(300):
    deep = [deep]


class Reading(Source):
    @asynccontextmanager
    async def open(self):
        yield range(0)


class Writing(Sink):
    @asynccontextmanager
    async def open(self):
        yield a


class Flow(Embedded):
    """What a DataFlow is to the notation."""

    def __init__(self, definition, names=None, **resources):
        self.definition, self.names, self.resources = definition, names, resources


@pytest.mark.parametrize(
    ("definition", "where", "says"),
    [
        # Nothing there.
        ((), "definition:", "an empty tuple"),
        ([], "definition:", "an empty list"),
        ({}, "definition:", "an empty dict"),
        ((source, (), a), "definition[1]:", "an empty tuple"),
        ((source, (a, [])), "definition[1][1]:", "an empty list"),
        ((source, {"x": set()}), "definition[1]['x']:", "an empty set"),
        # Neither callable nor iterable; data.
        (None, "definition (NoneType):", "neither callable nor iterable"),
        (3, "definition (int):", "neither callable nor iterable"),
        (([1, 2], a), "definition[0][0] (int):", "items=["),
        ((["x", "y"], a), "definition[0][0] (str):", "items=["),
        (({"x": 1}, a), "definition[0]['x'] (int):", "items=["),
        ((source, (a, {"x": [b, 4]})), "definition[1][1]['x'][1] (int):", "neither callable"),
        ((Reading, a), "definition[0] (Reading):", "write Reading(…)"),
        # Names.
        (
            (stage(source, name="x"), stage(a, name="x")),
            "definition[1] (x):",
            "given twice, here and at definition[0]",
        ),
        ((source, {a, (b, a)}), "definition[1]:", "two branches of this set are called 'a'"),
        ((source, {a, frozenset({b, c})}), "definition[1]:", "write a dict"),
        ((source, {1: a, 2: b}), "definition[1]:", "named by a word, and this key is 1"),
        ((source, {"": a, "x": b}), "definition[1]:", "named by a word"),
        # Bare |.
        (
            (source, target | compare | s3_logger, notify),
            "definition[1]:",
            "`(source, target) | compare | (s3_logger, notify)`",
        ),
        (
            [source, target | compare | s3_logger, notify],
            "definition[1]:",
            "`(source, target) | compare | (s3_logger, notify)`",
        ),
        ((source, a, stage(b) | c), "definition[2]:", "`((source, a, b), c)`"),
        ((source, (a, [b, stage(a) | c])), "definition[1][1][1]:", "binds tighter"),
        ((a | stage(b), (c, notify) | stage(c)), "definition[0]:", "`(a, (b, (c, notify)), c)`"),
        # What must not stand where it does.
        ((source, route(a)), "definition[1] (route):", "a group has to follow it"),
        ((source, route(a), b), "definition[1] (route):", "a group has to follow it"),
        ((source, route(a), (b,)), "definition[1] (route):", "a group has to follow it"),
        ((source, (route(a), b), (a, c)), "definition[1][0] (route):", "a group has to follow it"),
        ((source, split), "definition[1] (split):", "a group has to follow it"),
        ((source, balance, a), "definition[1] (balance):", "a group has to follow it"),
        ((source, partition(a), a), "definition[1] (partition):", "a group has to follow it"),
        ((source, zip_), "definition[1] (zip_):", "a group of two or more has to stand before it"),
        ((source, (a,), concat), "definition[2] (concat):", "a group of two or more"),
        ((source, (zip_, a)), "definition[1][0] (zip_):", "a group of two or more"),
        ((batch(2), a), "definition[0] (batch):", "needs items"),
        ((filter_(a),), "definition[0] (filter_):", "needs items"),
        (merge, "definition (merge):", "needs items"),
        ((source, range(3)), "definition[1] (range):", "can only stand first"),
        ((source, Reading()), "definition[1] (Reading):", "can only stand first"),
        ((source, (a, (b, iter("x")))), "definition[1][1][1] (str_", "can only stand first"),
        ((source, Writing(), a), "definition[1] (Writing):", "can only stand last"),
        ((Writing(),), "definition[0] (Writing):", "a Sink takes items"),
        # Operators that have to be called.
        ((source, route, (a, b)), "definition[1] (route):", "route(…)"),
        ((source, filter_), "definition[1] (filter_):", "filter_(…)"),
        (((source, target), stage(merge, buffer=3)), "definition[1] (merge):", "merge(…)"),
        # Without end.
        (endless, "definition[1]:", "contains itself"),
        (deep, "definition" + "[0]" * 100 + ":", "nested deeper"),
        # Embedded.
        ((source, Flow((a, 3))), "definition[1].definition[1] (int):", "neither callable"),
        ((source, Flow("x |", {"x": a})), "definition[1].definition, character 4:", "the text ends"),
        ((Flow(source, db=1), Flow(a, db=2)), "definition[1]:", "the resource 'db'"),
        # Dead letters.
        (
            (source, stage(a, on_error=dead_letter(batch(2)))),
            "definition[1].on_error (batch):",
            "a function of one item",
        ),
        (
            (source, stage(a, on_error=dead_letter(range(2)))),
            "definition[1].on_error (range):",
            "a function of one item",
        ),
        (
            (source, stage(a, on_error=dead_letter((a, b)))),
            "definition[1].on_error (tuple):",
            "a function of one item",
        ),
        (
            (source, stage(a, on_error=dead_letter(stage(b, on_error=dead_letter(c))))),
            "definition[1].on_error (b):",
            "give it retry=",
        ),
    ],
)
def test_refused(definition, where, says):
    with pytest.raises(DefinitionError) as caught:
        compile_definition(definition)
    assert str(caught.value).startswith(where)
    assert says in str(caught.value)


async def test_a_coroutine_that_was_called_already():
    async def read(): ...

    called = read()
    try:
        with pytest.raises(DefinitionError, match=re.escape("without its parentheses")):
            compile_definition((called, a))
    finally:
        called.close()


@pytest.mark.parametrize(
    ("definition", "where", "says"),
    [
        ((zip_, a), "definition[0] (zip_):", "a group of two or more"),
        ((range(3), a), "definition[0] (range):", "can only stand first"),
        ((Reading(), a), "definition[0] (Reading):", "can only stand first"),
        ((source, a), "definition[0] (source):", "takes no item"),
    ],
)
def test_refused_with_items(definition, where, says):
    with pytest.raises(DefinitionError) as caught:
        compile_definition(definition, feed=True)
    assert str(caught.value).startswith(where)
    assert says in str(caught.value)


def test_every_written_suggestion_compiles():
    """What the refusal of a bare ``|`` says to write has to be right."""
    with pytest.raises(DefinitionError) as caught:
        compile_definition((source, target | compare | s3_logger, notify))
    written = re.findall(r"write `(.*)`", str(caught.value))[0]
    meant = {"source": source, "target": target, "compare": compare, "s3_logger": s3_logger, "notify": notify}
    graph = compile_definition(eval(written, meant)).graph
    assert graph == compile_definition("source, target | compare | s3_logger, notify", meant).graph


def test_a_signature_error_is_a_type_error_and_a_value_error():
    with pytest.raises(SignatureError) as caught:
        compile_definition((source, lambda: 1))
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
