"""Flows that fit neither each other nor what a run is given: refused with what is wrong and what to do."""

from __future__ import annotations

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.errors import DefinitionError


async def using(item, *, db):
    return db, item


def numbers():
    yield from range(3)


def test_two_resources_of_one_name_are_a_wrong_definition():
    inner = DataFlow((using,), resources={"db": object()})
    with pytest.raises(DefinitionError, match=r"resources.*'db'.*another name"):
        DataFlow((range(3), inner), resources={"db": object()})


def test_two_embedded_flows_with_resources_of_one_name_are_too():
    first, second = (DataFlow((using,), resources={"db": object()}) for _ in range(2))
    with pytest.raises(DefinitionError, match="db"):
        DataFlow((range(3), first, second))


def test_one_resource_may_be_given_twice():
    db = "db"
    inner = DataFlow((using,), resources={"db": db})
    flow = DataFlow((range(2), inner), resources={"db": db})
    assert flow() == [("db", 0), ("db", 1)]


@pytest.mark.parametrize("source", [range(3), numbers], ids=["iterable", "generator"])
def test_items_for_a_flow_that_makes_its_own_are_refused_as_such(source):
    """What it says has to be true of the definition that is written: the source does stand first."""
    flow = DataFlow((source, str))
    with pytest.raises(DefinitionError, match=r"items=.*leave items= out") as told:
        flow.stream(items=[1])
    assert "definition[0]" in str(told.value)
