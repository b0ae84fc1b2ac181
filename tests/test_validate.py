"""Whole graphs that must stand still, and those that only look like it."""

from __future__ import annotations

import itertools

import pytest

from asyncdataflow.errors import DefinitionError
from asyncdataflow.notation import compile_definition
from asyncdataflow.operators import (
    balance,
    batch,
    combine_latest,
    concat,
    filter_,
    flatten,
    merge,
    route,
    split,
    take,
    through,
    until,
    zip_,
)
from asyncdataflow.stage import stage
from tests.definitions import coroutine, plain

a, b, c = (plain(name) for name in "abc")
get, get_too = plain("get", ""), plain("get_too", "")
endless = itertools.count()


async def pairs(items):
    async for item in items:
        yield item


@pytest.mark.parametrize(
    ("definition", "culprit"),
    [
        ((endless, (batch(1000), a), zip_), "definition[1][0] (batch)"),
        ((endless, (a, batch(1000)), zip_), "definition[1][1] (batch)"),
        ((endless, (b, ((batch(1000),), a)), zip_), "definition[1][1][0][0] (batch)"),
        ((endless, (b, [c, batch(1000), a]), zip_), "definition[1][1][1] (batch)"),
        ((endless, ([batch(30), batch(30)], a), zip_), "definition[1][0][0] (batch)"),
        ((endless, ([filter_(c), batch(1000)], a), zip_), "definition[1][0][1] (batch)"),
        ((endless, ([batch(1000), flatten], a), zip_), "definition[1][0][0] (batch)"),
        ((endless, ([batch(1000), take(1)], a), zip_), "definition[1][0][0] (batch)"),
        ((endless, {"x": batch(1000), "y": a, "z": b}, zip_), "definition[1]['x'] (batch)"),
        ((endless, split(a), (batch(1000), b), zip_), "definition[2][0] (batch)"),
        ((endless, (batch(5), stage(a, buffer=1)), zip_(buffer=1)), None),
        ((endless, (batch(6), stage(a, buffer=1)), zip_(buffer=1)), "definition[1][0] (batch)"),
        (
            (endless, c, (batch(9), stage(a, buffer=1, concurrency=2)), zip_(buffer=1)),
            "definition[2][0] (batch)",
        ),
        ((endless, c, (batch(8), stage(a, buffer=1, concurrency=2)), zip_(buffer=1)), None),
        ((get, (batch(1000), a), zip_), None),
        ((get, c, (batch(1000), a), zip_), None),
        ((get, flatten, (batch(1000), a), zip_), "definition[2][0] (batch)"),
        ((endless, take(100), (batch(1000), a), zip_), None),
        ((endless, (batch(1000, 1.0), a), zip_), None),
        ((endless, (batch(1000), batch(1000)), zip_), None),
        ((endless, (batch(1000), batch(500)), zip_), None),
        ((endless, (batch(1000), stage(a, buffer=1000)), zip_), None),
        ((endless, (batch(1000), a), zip_(buffer=1000)), None),
        ((endless, (batch(1000), stage(a, overflow="drop_oldest")), zip_), None),
        ((endless, (batch(1000), stage(a, overflow="fail")), zip_), None),
        ((endless, (batch(1000), filter_(a)), zip_), None),
        ((endless, (batch(1000), flatten), zip_), None),
        ((endless, ([flatten, batch(1000)], a), zip_), None),
        ((endless, ([take(5), batch(1000)], a), zip_), None),
        ((endless, ([through(pairs), batch(1000)], a), zip_), None),
        ((endless, ([batch(1000), through(pairs)], a), zip_), None),
        ((endless, balance, (batch(1000), a), zip_), None),
        ((endless, route(a), (batch(1000), b), zip_), None),
        ((endless, (batch(1000), a), combine_latest), None),
        ((endless, (batch(1000), a), merge), None),
        ((([endless, batch(1000)], range(3)), zip_), None),
    ],
)
def test_a_diamond_with_a_batch(definition, culprit):
    if culprit is None:
        compile_definition(definition)
        return
    with pytest.raises(DefinitionError, match="nothing would move any more") as caught:
        compile_definition(definition)
    assert str(caught.value).startswith(culprit)


def test_what_the_refusal_says_to_write_is_accepted():
    with pytest.raises(DefinitionError, match=r"stage\(a, buffer=1000\)"):
        compile_definition((endless, (batch(1000), a), zip_))
    compile_definition((endless, (batch(1000), stage(a, buffer=1000)), zip_))


@pytest.mark.parametrize(
    ("definition", "refused"),
    [
        ((endless, (a, b), concat), True),
        ((range(3), (a, [b, c]), concat), True),
        ((endless, ([a, filter_(b)], c), concat), True),
        ((endless, (batch(10), c), concat), True),
        ((endless, (a, batch(10)), concat), True),
        ((coroutine("get", ""), (a, b), concat), False),
        ((get, (a, b), concat), False),
        ((endless, take(1), (a, b), concat), False),
        (((endless, range(3)), concat), False),
        ((([get, a], [get_too, b]), concat), False),
        ((endless, (take(2), b), concat), False),
        ((endless, (until(a), b), concat), False),
        ((endless, (a, take(2)), concat), False),
        ((endless, (a, filter_(b)), concat), False),
        ((endless, (a, stage(b, overflow="drop_newest")), concat), False),
        ((endless, route(a), (b, c), concat), False),
        ((endless, balance, (b, c), concat), False),
    ],
)
def test_concat_of_branches_of_one_step(definition, refused):
    if not refused:
        compile_definition(definition)
        return
    with pytest.raises(DefinitionError, match="its branches come from one step") as caught:
        compile_definition(definition)
    assert str(caught.value).startswith("definition[2] (concat)")


def test_the_items_of_a_run_are_one_step():
    with pytest.raises(DefinitionError, match="its branches come from one step"):
        compile_definition(((a, b), concat), feed=True)


def test_a_concat_inside_a_chosen_branch_is_looked_at_too():
    """All that heads a chosen branch gets the same items, as behind a broadcast."""
    inside = [{"a": a, "b": b}, concat]
    with pytest.raises(DefinitionError, match="the first one would never end"):
        compile_definition((stage(plain("many", ""), many=True), route(len), {"x": inside, "y": c}))
