"""Connectors in the text notation."""

from __future__ import annotations

from importlib import metadata

import pytest

from asyncdataflow import DataFlow, Source
from asyncdataflow.connectors.json_lines import JsonLinesSink, JsonLinesSource
from asyncdataflow.connectors.scheme import End, Scheme
from asyncdataflow.errors import DefinitionError
from asyncdataflow.schemes import GROUP, read_connector, scheme_names, scheme_of


def made_of(text, **names):
    return {each.name: each.fn for each in DataFlow(text, {"f": lambda item: item, **names}).graph.stages}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("jsonl:a.jsonl", ("jsonl", "a.jsonl", {})),
        ("jsonl:/a/b-c_d.jsonl", ("jsonl", "/a/b-c_d.jsonl", {})),
        ('jsonl:"a b, (c)?.jsonl"', ("jsonl", "a b, (c)?.jsonl", {})),
        ("pg:events?columns=id,body", None),
        ('pg:events?columns="id,body"&chunk=7', ("pg", "events", {"columns": "id,body", "chunk": "7"})),
        ("x:y?a=b%2Cc+d&e=", ("x", "y", {"a": "b,c d", "e": ""})),
        ("x:y?a", None),
        ("x:", None),
        (":y", None),
    ],
)
def test_the_parts_of_a_text(text, parts):
    if parts is None:
        with pytest.raises(ValueError, match=r"connector is written|options are written"):
            read_connector(text)
    else:
        read = read_connector(text)
        assert (read.scheme, read.target, read.options) == parts


def test_a_source_in_a_first_step_and_a_sink_elsewhere():
    made = made_of("(jsonl:a | f), jsonl:b | f | jsonl:c, jsonl:d")
    assert [type(made[name]) for name in ("jsonl", "jsonl#2", "jsonl#3", "jsonl#4")] == [
        JsonLinesSource,
        JsonLinesSource,
        JsonLinesSink,
        JsonLinesSink,
    ]


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("1\n2\n")
    flow = DataFlow("jsonl:in.jsonl?max_unacked=10 | f | jsonl:out.jsonl?fsync=no", {"f": lambda n: n * 10})
    assert flow() == []
    assert (tmp_path / "out.jsonl").read_text() == "10\n20\n"


def test_options_are_converted_by_the_signature_and_given_for_a_scheme():
    source = made_of("jsonl:a?follow=on | f", **{"jsonl:": {"max_unacked": 7, "fsync": False}})["jsonl"]
    assert (source.max_unacked, source._marks.follow) == (7, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "jsn:a | f",
            r"definition, character 1 \(jsn\): there is no connector of this name.*did you mean 'jsonl'",
        ),
        ("f | jsonl:a?chnk=1", r"character 5 \(jsonl\): it has no option 'chnk'; did you mean 'chunk'"),
        ("jsonl:a?max_line=many | f", r"option max_line: a whole number is needed"),
        ("jsonl:a?max_line=0 | f", r"JsonLinesSource\(max_line=\)"),
        ("jsonl:a?loads=x | f", r"a Callable cannot be written as text"),
        ("pg:a | f", r"it needs the option dsn"),
        ("f | jsonl:a?x", r"options are written"),
        ("f | jsonl: a", r"':' is not of this notation"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text, says):
    with pytest.raises(DefinitionError, match=says):
        made_of(text)


class Three(Source[int]):
    def __init__(self, last: int, *, step: int = 1) -> None:
        self.read = range(step, last + 1, step)

    def open(self):
        raise AssertionError


class Entry:
    """An entry point of another package."""

    group, value = GROUP, "elsewhere:SCHEME"

    def __init__(self, name, found):
        self.name, self.found = name, found

    def load(self):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def others(monkeypatch):
    entries = [
        Entry("three", Scheme(source=End(Three, "last"))),
        Entry("broken", ImportError("no such library")),
        Entry("wrong", 7),
    ]
    monkeypatch.setattr(
        metadata, "entry_points", lambda **asked: entries if asked == {"group": GROUP} else []
    )


@pytest.mark.usefixtures("others")
def test_those_of_other_packages_are_there_too():
    assert {"three", "broken", "jsonl"} <= set(scheme_names())
    made = made_of("three:6?step=2 | f")["three"]
    assert isinstance(made, Three)
    assert list(made.read) == [2, 4, 6]
    with pytest.raises(DefinitionError, match="this connector is no sink"):
        made_of("f | three:6")


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(("name", "says"), [("broken", "no such library"), ("wrong", "is no asyncdataflow")])
def test_one_that_cannot_be_loaded_is_told(name, says):
    with pytest.raises(DefinitionError, match=says):
        scheme_of(name)


def test_relative_paths_begin_in_the_folder_that_stands_among_the_names(tmp_path):
    (tmp_path / "in.jsonl").write_text("1\n")
    flow = DataFlow("jsonl:in.jsonl?positions=marks | f | jsonl:out.jsonl", {"f": str, "./": tmp_path})
    flow()
    assert {each.name for each in tmp_path.iterdir()} == {"in.jsonl", "marks", "out.jsonl"}
