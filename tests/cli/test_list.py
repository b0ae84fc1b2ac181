"""``list``: connectors and operators with the options that their own signatures have."""

from __future__ import annotations

import inspect
import json

import pytest

import asyncdataflow
from asyncdataflow.connectors.json_lines import JsonLinesSource
from tests.cli.command import invoke


def listed(*arguments):
    done = invoke("list", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_all_of_them():
    entries = listed()
    connectors = {(each["name"], each["kind"]) for each in entries if each["kind"] != "operator"}
    own = {(name, role) for name in ("jsonl", "nats", "pg", "sqlite") for role in ("source", "sink")}
    assert own <= connectors
    operators = {each["name"] for each in entries if each["kind"] == "operator"}
    assert operators <= {*asyncdataflow.__all__, "map_batches"}
    assert {"merge", "batch", "route"} <= operators
    assert all(each["about"] for each in entries)


def test_options_are_those_of_the_signature():
    source = next(each for each in listed("jsonl") if each["kind"] == "source")
    signature = inspect.signature(JsonLinesSource)
    assert [each["name"] for each in source["options"]] == [
        name for name in signature.parameters if name != "path"
    ]
    assert {"name": "follow", "type": "bool", "required": False, "default": "False"} in source["options"]


@pytest.mark.parametrize("name", ["jsonl", "batch"])
def test_one_in_full(name):
    done = invoke("list", name)
    assert done.exit_code == 0
    assert "(default " in done.output


def test_an_unknown_name():
    done = invoke("list", "bathc")
    assert done.exit_code == 2
    assert "did you mean 'batch'" in done.output
