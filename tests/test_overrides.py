"""The same flow with other options of its stages."""

from __future__ import annotations

import pytest

from asyncdataflow import DataFlow, DefinitionError, dead_letter, stage
from asyncdataflow.overrides import overridden
from tests.definitions import plain

a, b = plain("a"), plain("b")


def fails(n):
    raise ValueError(n)


@pytest.mark.parametrize(
    "flow",
    [
        DataFlow((range(3), a, {"left": a, "right": [a, b]})),
        DataFlow([range(3), a, {"left": a, "right": (a, b)}]),
        DataFlow("numbers | a | a, (a | b)", {"numbers": range(3), "a": a, "b": b}),
        DataFlow((range(3), DataFlow((a, (a, [a, b]))))),
        DataFlow(range(3) | stage(a) | (a, [a, b])),
    ],
    ids=["tuples", "lists", "text", "embedded", "pipes"],
)
def test_one_stage_of_several_alike_in_every_notation(flow):
    tuned = overridden(flow, {"a#2": {"concurrency": 4}, "b": {"buffer": 7}})
    assert [each.name for each in tuned.graph.stages] == [each.name for each in flow.graph.stages]
    stages = tuned.graph.by_name
    assert [stages[name].concurrency for name in ("a", "a#2", "a#3")] == [1, 4, 1]
    assert stages["b"].buffer.items == 7
    assert flow.graph.by_name["a#2"].concurrency == 1


def test_options_that_are_written_stay_where_nothing_else_is_said():
    flow = DataFlow((range(3), stage(a, concurrency=4, retry=2)))
    tuned = overridden(flow, {"a": {"concurrency": 2}}).graph.by_name["a"]
    assert (tuned.concurrency, tuned.retry.attempts) == (2, 2)


def test_all_else_of_the_flow_is_kept():
    opened = object()
    flow = DataFlow((range(3), a), name="named", resources={"x": opened}, fuse=False, delivery="at_most_once")
    tuned = overridden(flow, {"a": {"concurrency": 2}})
    assert (tuned.name, tuned.resources["x"], tuned.fuse, tuned.delivery) == (
        "named",
        opened,
        False,
        "at_most_once",
    )


def test_nothing_to_change_is_the_flow_itself():
    flow = DataFlow((range(3), a))
    assert overridden(flow, {}) is flow


def test_a_flow_that_is_fed():
    flow = overridden(DataFlow((stage(str.strip, name="strip"),)), {"strip": {"concurrency": 3}})
    assert list(flow.iterate(items=[" a", "b "])) == ["a", "b"]


def test_an_error_policy_may_bring_a_sink():
    letters = []
    flow = overridden(DataFlow((range(2), fails)), {"fails": {"on_error": dead_letter(letters.append)}})
    assert flow() == []
    assert [each.item for each in letters] == [0, 1]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"b": {"concurrency": 2}}, DefinitionError, "no stage of this name"),
        ({"aa": {"concurrency": 2}}, DefinitionError, "did you mean 'a'"),
        ({"append": {"concurrency": 2}}, DefinitionError, "no stage of this name"),
        ({"a": {"concurrency": 0}}, ValueError, "at least 1"),
        ({"a": {"concurency": 1}}, TypeError, "did you mean 'concurrency'"),
        ({"range": {"retry": 2}}, DefinitionError, r"definition\[0\] \(range\)"),
    ],
)
def test_what_cannot_be_is_refused(options, error, says):
    flow = DataFlow((range(3), stage(a, on_error=dead_letter([].append))))
    with pytest.raises(error, match=says):
        overridden(flow, options)


def test_what_has_other_options_already_may_have_more():
    once = overridden(DataFlow((range(3), a, b)), {"a": {"concurrency": 4, "timeout": 1.0}})
    twice = overridden(once, {"a": {"timeout": 2.0}, "b": {"buffer": 7}}).graph.by_name
    assert (twice["a"].concurrency, twice["a"].timeout) == (4, 2.0)
    assert twice["b"].buffer.items == 7


def test_what_has_other_options_is_a_step_too():
    for inner in (DataFlow((range(3), a)), DataFlow("numbers | a", {"numbers": range(3), "a": a})):
        outer = DataFlow((overridden(inner, {"a": {"concurrency": 4}}), b))
        assert [outer.graph.by_name[each].concurrency for each in ("a", "b")] == [4, 1]
        again = overridden(outer, {"a": {"concurrency": 2}, "b": {"concurrency": 3}})
        assert [again.graph.by_name[each].concurrency for each in ("a", "b")] == [2, 3]
