"""Pictures as SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from asyncdataflow import DataFlow, dead_letter, merge, stage
from tests.definitions import plain

a, b, c, d = (plain(name) for name in "abcd")
SVG = "{http://www.w3.org/2000/svg}"


def drawn(definition):
    return ElementTree.fromstring(DataFlow(definition).draw("svg"))


def boxes(picture):
    return [
        tuple(float(each.get(name)) for name in ("x", "y", "width", "height"))
        for each in picture.iter(f"{SVG}rect")
    ]


def texts(picture):
    return ["".join(each.itertext()) for each in picture.iter(f"{SVG}text")]


def test_a_box_for_a_stage_and_a_line_for_an_edge():
    picture = drawn((range(3), (a, b), merge, stage(c, concurrency=4), d))
    assert len(boxes(picture)) == 6
    lines = [each for each in picture.iter(f"{SVG}path") if each.get("class") == "edge"]
    assert len(lines) == 6
    assert {"range", "a", "b", "merge", "c", "d", "[thread ×4]"} <= set(texts(picture))


@pytest.mark.parametrize(
    "definition",
    [
        (range(3), a),
        (range(3), (a, b, c), d),
        (range(3), (a, [b, c]), merge, d),
        ((range(3), range(4), range(5)), (a, b), (c, d)),
        (range(3), tuple(stage(a, name=f"a long name of a stage, {number}") for number in range(12))),
    ],
)
def test_no_box_lies_on_another_or_outside(definition):
    picture = drawn(definition)
    _, _, width, height = map(float, picture.get("viewBox").split())
    found = boxes(picture)
    for at, (x, y, wide, high) in enumerate(found):
        assert min(x, y) >= 0
        assert x + wide <= width
        assert y + high <= height
        for other_x, other_y, other_wide, other_high in found[at + 1 :]:
            apart_x = x + wide < other_x or other_x + other_wide < x
            assert apart_x or y + high < other_y or other_y + other_high < y


def test_edges_go_from_left_to_right():
    picture = drawn((range(3), (a, [b, c]), merge, d))
    for line in picture.iter(f"{SVG}path"):
        if line.get("class") == "edge":
            numbers = [float(each) for each in re.findall(r"-?[\d.]+", line.get("d"))]
            assert numbers[0] < numbers[-2]


def test_what_failed_goes_over_a_dashed_edge_and_branches_have_names():
    def letters(letter): ...

    picture = drawn((range(3), {"left": stage(a, on_error=dead_letter(letters)), "right": b}))
    assert [each.get("class") for each in picture.iter(f"{SVG}path")].count("edge failed") == 1
    assert {"left", "right", "failed"} <= set(texts(picture))


@pytest.mark.parametrize(
    "name", ['<script>alert("x")</script>', "]]>&amp;", 'a" onload="x', "bell\x07 and\nline"]
)
def test_a_name_can_never_be_more_than_a_label(name):
    picture = drawn((range(2), stage(a, name=name)))
    elements = {each.tag.removeprefix(SVG) for each in picture.iter()}
    assert elements == {"svg", "style", "defs", "marker", "path", "rect", "text"}
    assert {key for each in picture.iter() for key in each.attrib}.isdisjoint({"onload", "href"})
    shown = name.replace("\x07", r"\x07").replace("\n", r"\n")
    assert shown in texts(picture)


def test_the_same_graph_is_the_same_picture():
    assert DataFlow((range(2), (a, b), c)).draw("svg") == DataFlow([range(2), (a, b), c]).draw("svg")
