"""Signatures that cannot take the branches before them, and zips whose rows would not belong together."""

from __future__ import annotations

import pytest

from asyncdataflow.errors import DefinitionError, SignatureError
from asyncdataflow.notation import compile_definition
from asyncdataflow.operators import (
    balance,
    batch,
    combine_latest,
    filter_,
    flatten,
    merge,
    partition,
    route,
    take,
    zip_,
)
from asyncdataflow.stage import stage
from tests.definitions import coroutine, plain

a, b, c = (plain(name) for name in "abc")
source, target = plain("source", ""), plain("target", "")
both = plain("both", "x, y")


@pytest.mark.parametrize("make", [plain, coroutine])
@pytest.mark.parametrize(
    ("group", "parameters", "says"),
    [
        ((source, target), "", "takes no item by place"),
        ((source, target), "*, item", "takes no item by place"),
        (
            (source, target),
            "x, y, z",
            "needs 3 arguments (x, y, z) and 2 branches lead into it (source, target)",
        ),
        ((source, target, range(2)), "x, y", "needs 2 arguments"),
        ((source, target), "source, other", "only source is a branch"),
        ({"x": source, "y": target, "z": range(2)}, "x, y, other", "only x, y are branches"),
        ({source, target}, "x, y", "the branches of a set have no order"),
        ({source, target}, "source, target, /", "the branches of a set have no order"),
    ],
)
def test_a_signature_that_cannot_take_the_branches(make, group, parameters, says):
    with pytest.raises(SignatureError) as caught:
        compile_definition((group, make("take_them", parameters)))
    assert str(caught.value).startswith("definition[1] (take_them): ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("definition", "culprit"),
    [
        ((source, (a, filter_(b)), both), "definition[1][1] (filter_)"),
        ((source, (a, [b, batch(2)]), both), "definition[1][1][1] (batch)"),
        ((source, (a, flatten), both), "definition[1][1] (flatten)"),
        ((source, (a, [take(1), b]), both), "definition[1][1][0] (take)"),
        ((source, (stage(a, many=True), b), both), "definition[1][0] (a)"),
        ((source, (stage(a, on_error="skip"), b), both), "definition[1][0] (a)"),
        ((source, (stage(a, overflow="drop_newest"), b), both), "definition[1][0] (a)"),
        ((source, (stage(a, concurrency=2, ordered=False), b), both), "definition[1][0] (a)"),
        ((source, (stage(a, concurrency=2, key=len), b), both), "definition[1][0] (a)"),
        ((source, (a, [(b, c), merge]), both), "definition[1][1][1] (merge)"),
        ((source, (a, [b, {"x": b, "y": c}]), both), "definition[1][1][1]['x'] (b#"),
        ((source, route(a), (b, c), both), "definition[1] (route)"),
        ((source, balance, (b, c), both), "definition[1] (balance)"),
        ((source, partition(a), (b, c), both), "definition[1] (partition)"),
        ((source, (a, [route(a), {"x": b, "y": c}, merge]), both), "definition[1][1][0] (route)"),
    ],
)
def test_a_zip_by_signature_whose_rows_would_not_belong_together(definition, culprit):
    with pytest.raises(DefinitionError) as caught:
        compile_definition(definition)
    assert culprit.replace("#", "") in str(caught.value)
    assert f"({both.__name__}): it takes one item of each branch" in str(caught.value)
    *steps, last = definition
    compile_definition((*steps, zip_, last))  # as the message says


def test_items_of_a_run_are_one_step():
    with pytest.raises(DefinitionError, match="write zip_"):
        compile_definition(((filter_(a), b), both), feed=True)


@pytest.mark.parametrize("join", [zip_, combine_latest])
@pytest.mark.parametrize(
    ("group", "parameters", "says"),
    [
        ((source, target), "x, y, z", "rows of 2"),
        ((source, target, range(2)), "x, y", "rows of 3"),
        ({"x": source, "y": target}, "x, other", "it needs other"),
    ],
)
def test_rows_that_cannot_fill_the_parameters(join, group, parameters, says):
    with pytest.raises(SignatureError, match=says):
        compile_definition((group, join, plain("take_them", parameters)))


@pytest.mark.parametrize("join", [zip_, combine_latest])
@pytest.mark.parametrize("group", [(source, target), {"x": source, "y": target}])
@pytest.mark.parametrize("parameters", ["row", "x, y", "x, y, z=1", "*row"])
def test_rows_that_can(join, group, parameters):
    compile_definition((group, join, plain("take_them", parameters)))
