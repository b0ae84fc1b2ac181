"""Which channels a graph needs, and which stage has which ends of them."""

from __future__ import annotations

import pytest

from asyncdataflow.graph import named
from asyncdataflow.layout import lay_out
from asyncdataflow.operators import combine_latest, zip_
from asyncdataflow.policy import dead_letter
from asyncdataflow.stage import stage
from tests.definitions import graph_of, plain

get, step, more, last = plain("get", ""), plain("step"), plain("more"), plain("last")


def laid_out(definition):
    """Each stage's channels by what they lead into, in and out, and its place among the outputs."""
    layout = lay_out(graph_of(definition))
    into = [named(each.target) for each in layout.pipes]
    return {
        named(each.stage): (
            [into[channel] for channel in each.inlets],
            [[(into[channel], tag) for channel, tag in branch] for branch in each.branches],
            each.place,
        )
        for each in layout.sites
    }


def test_a_chain_has_one_channel_before_each_step():
    assert laid_out((get, step, last)) == {
        "get": ([], [[("step", None)]], None),
        "step": (["step"], [[("last", None)]], None),
        "last": (["last"], [], 0),
    }


def test_a_broadcast_is_a_branch_each_and_a_merge_one_channel():
    assert laid_out((get, (step, more), last)) == {
        "get": ([], [[("step", None)], [("more", None)]], None),
        "step": (["step"], [[("last", None)]], None),
        "more": (["more"], [[("last", None)]], None),
        "last": (["last"], [], 0),
    }


def test_each_output_has_its_place():
    sites = laid_out((get, (step, more)))
    assert [sites[name][2] for name in ("get", "step", "more")] == [None, 0, 1]


@pytest.mark.parametrize(
    ("operator", "inlets", "tags"),
    [(zip_, ["zip_", "zip_"], [None, None]), (combine_latest, ["combine_latest"], [0, 1])],
)
def test_branches_are_told_apart_by_channel_or_by_tag(operator, inlets, tags):
    sites = laid_out((get, (step, more), operator))
    name = operator.__name__
    assert sites[name][0] == inlets
    assert [sites[each][1] for each in ("step", "more")] == [[[(name, tag)]] for tag in tags]


def test_the_channel_into_a_dead_letter_sink_is_no_branch():
    layout = lay_out(graph_of((get, stage(step, on_error=dead_letter(more)), last)))
    sites = {named(each.stage): each for each in layout.sites}
    letters = sites["step"].dead_letters
    assert named(layout.pipes[letters].target) == "more"
    assert sites["more"].inlets == (letters,)
    assert [len(branch) for branch in sites["step"].branches] == [1]
    assert sites["last"].dead_letters is None


def test_what_takes_parameters_is_known():
    sites = lay_out(graph_of((plain("fetch", "url"), plain("save", "item, *, db"), range, [1].append))).sites
    assert [each.takes_parameters for each in sites] == [True, True, False, False]


def test_a_graph_is_laid_out_once():
    graph = graph_of((get, step))
    assert graph.kept(lay_out) is graph.kept(lay_out)
    assert graph.kept(lay_out) is not graph_of((get, step)).kept(lay_out)
