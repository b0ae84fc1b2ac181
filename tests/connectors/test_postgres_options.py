"""The PostgreSQL connectors' options, and what is seen of their addresses; no server is needed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from asyncdataflow.connectors import postgres
from asyncdataflow.connectors.postgres import (
    PostgresQuery,
    PostgresQueue,
    PostgresSink,
    PostgresTransactionalSink,
)
from asyncdataflow.errors import MissingExtraError
from asyncdataflow.policy import Retry

DSN = "postgresql://me:hunter2@127.0.0.1:1/there"


def queue(**options):
    return PostgresQueue(options.pop("dsn", DSN), options.pop("table", "jobs"), **options)


def sink(**options):
    return PostgresSink(options.pop("dsn", DSN), options.pop("table", "rows"), **{"columns": "id", **options})


def transactional(**options):
    return PostgresTransactionalSink(
        options.pop("dsn", DSN), options.pop("table", "rows"), **{"columns": "id", "flow": "flow", **options}
    )


def query(**options):
    return PostgresQuery(options.pop("dsn", DSN), options.pop("query", "SELECT 1"), **options)


REFUSED = [
    (queue, {"table": ""}),
    (queue, {"key": ""}),
    (queue, {"columns": []}),
    (queue, {"columns": ["a", "a"]}),
    (queue, {"columns": 7}),
    (queue, {"fetch": 0}),
    (queue, {"max_unacked": True}),
    (queue, {"poll": 0}),
    (queue, {"lease": float("inf")}),
    (queue, {"redeliver": 3}),
    (queue, {"redeliver": Retry(max_elapsed=1)}),
    (queue, {"redeliver": Retry(on=KeyError)}),
    (queue, {"bad": "skip"}),
    (queue, {"reconnect": "soon"}),
    (sink, {"columns": ""}),
    (sink, {"columns": {"id"}}),
    (sink, {"columns": [1]}),
    (sink, {"key": "other"}),
    (sink, {"on_conflict": "ignore"}),
    (sink, {"chunk": 0}),
    (sink, {"table": 7}),
    (transactional, {"flow": ""}),
    (transactional, {"positions": ""}),
    (transactional, {"reconnect": -1}),
    (query, {"query": " "}),
    (query, {"row": "list"}),
    (query, {"fetch": 1.5}),
]


@pytest.mark.parametrize(("make", "options"), REFUSED, ids=lambda each: re.sub(r"\W+", "_", str(each))[-40:])
def test_what_has_no_sense_is_refused_at_once(make, options):
    pytest.importorskip("psycopg")
    make()
    with pytest.raises((ValueError, TypeError), match=r"^Postgres\w+.*: "):
        make(**options)


@pytest.mark.parametrize("make", [queue, sink, transactional, query])
@pytest.mark.parametrize("dsn", ["nonsense hunter2", "postgresql://me:hunter2@[", "password=hunter2 nope=1"])
def test_a_bad_address_is_refused_without_being_told(make, dsn):
    pytest.importorskip("psycopg")
    with pytest.raises(ValueError, match="no connection string") as caught:
        make(dsn=dsn)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("make", [queue, sink, transactional, query])
def test_the_password_is_in_no_representation(make):
    pytest.importorskip("psycopg")
    made = make()
    assert "hunter2" not in f"{made!r} {made} {[repr(each) for each in vars(made).values()]}"


@pytest.mark.parametrize("make", [queue, sink, transactional, query])
def test_a_missing_client_says_what_to_install(make, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncdataflow\[postgres\]'"):
        make()


def test_without_the_client_the_module_can_be_imported():
    code = f"import sys; sys.modules['psycopg'] = None; import {postgres.__name__}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_imports_no_client():
    code = "import sys, asyncdataflow, asyncdataflow.connectors; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
