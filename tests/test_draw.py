"""Pictures of graphs, and that names in them are nothing but names."""

from __future__ import annotations

import re

import pytest

from asyncdataflow.draw import dot, mermaid, text
from asyncdataflow.operators import route, zip_
from asyncdataflow.policy import dead_letter
from asyncdataflow.stage import stage
from tests.definitions import coroutine, graph_of, plain

read, parse, save = plain("read", ""), plain("parse"), coroutine("save")
rejects = plain("rejects")


def graph():
    return graph_of(
        (
            read,
            stage(parse, concurrency=4, on_error=dead_letter(rejects)),
            route(plain("choose")),
            {"good": save, "rest": [save, save]},
        )
    )


def test_text():
    assert text(graph()) == (
        "read [thread]\n"
        "└─> parse [thread ×4]\n"
        "    ├─> route [inline]\n"
        "    │   ├─ good ─> save [loop]\n"
        "    │   └─ rest ─> save#2 [loop]\n"
        "    │       └─> save#3 [loop]\n"
        "    └─ failed ─> rejects [thread]"
    )


def test_text_of_a_fan_in_draws_each_stage_once():
    assert text(graph_of(({"x": read, "y": range(2)}, zip_, parse))) == (
        "read [thread]\n"
        "└─ x ─> zip_ [loop]\n"
        "    └─> parse [thread]\n"
        "range [thread]\n"
        "└─ y ─> zip_ ^"
    )  # fmt: skip


def test_text_of_a_chain_longer_than_the_stack():
    assert len(text(graph_of((read, *[parse] * 3000))).splitlines()) == 3001


def test_mermaid():
    assert mermaid(graph()).splitlines() == [
        "flowchart LR",
        '    n0(["read #91;thread#93;"])',
        '    n1["parse #91;thread ×4#93;"]',
        '    n2["route #91;inline#93;"]',
        '    n3[["save #91;loop#93;"]]',
        '    n4["save#35;2 #91;loop#93;"]',
        '    n5[["save#35;3 #91;loop#93;"]]',
        '    n6[["rejects #91;thread#93;"]]',
        "    n0 --> n1",
        "    n1 --> n2",
        '    n2 -->|"good"| n3',
        '    n2 -->|"rest"| n4',
        "    n4 --> n5",
        '    n1 -.->|"failed"| n6',
    ]


def test_dot():
    lines = dot(graph()).splitlines()
    assert (lines[0], lines[-1]) == ("digraph dataflow {", "}")
    assert '    n1 [label="parse [thread ×4]", shape=box];' in lines
    assert '    n2 -> n3 [label="good"];' in lines
    assert '    n1 -> n6 [label="failed", style=dashed];' in lines


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"]; end',
    "a\nb --> c",
    "back\\slash\\",
    '\\"]; evil [label="',
    "`markdown` **bold**",
    "\x1b[31mred\x1b[0m",
    "#quot;&lt;",
    "\u202eright to left",
    "-->|x|",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("picture", [text, mermaid, dot])
def test_hostile_names_are_nothing_but_names(picture, name):
    tame = graph_of((read, {"x": stage(parse, name="stage"), "branch": [save, save]}))
    wild = graph_of((read, {"x": stage(parse, name=name), name: [save, save]}))
    one, other = picture(tame).splitlines(), picture(wild).splitlines()
    assert len(one) == len(other)
    drawn = "".join(other)
    assert drawn.isprintable()
    if picture is mermaid:
        assert all(
            re.fullmatch(r'[^"<>&`]*("[\w .×#;]*"[^"<>&`]*)*', line.replace("-->", "").replace("-.->", ""))
            for line in other
        )
    if picture is dot:
        assert "<" not in drawn
        assert all(re.fullmatch(r'([^"\\]|"([^"\\]|\\.)*")*', line) for line in other)
        assert [re.sub(r'"([^"\\]|\\.)*"', '""', line) for line in one] == [
            re.sub(r'"([^"\\]|\\.)*"', '""', line) for line in other
        ]
