"""Files, tables and the durable buffer in flows: from one to the other, and on from where a run was left."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.connectors.durable import Durable
from asyncdataflow.connectors.json_lines import JsonLinesSink, JsonLinesSource
from asyncdataflow.connectors.sqlite import SqliteSink, SqliteSource, SqliteTransactionalSink

CREATE = "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, square INTEGER)"
COUNT = 500


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    append(*range(COUNT))
    return tmp_path


def append(*numbers):
    with open("in", "a", encoding="utf-8") as file:
        file.writelines(f'{{"n": {n}}}\n' for n in numbers)


def lines(path="out"):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def rows(query="SELECT n, square FROM t ORDER BY n"):
    with closing(sqlite3.connect("db")) as connection:
        return connection.execute(query).fetchall()


def squared(row):
    return {**row, "square": row["n"] ** 2}


def fails_at(number):
    def check(row):
        if row["n"] == number:
            raise LookupError(number)
        return row

    return check


SQUARES = [(n, n * n) for n in range(COUNT)]


def test_from_a_file_to_a_table_out_of_order():
    source = JsonLinesSource("in", positions="p")
    sink = SqliteSink("db", "t", key=["n"], create=CREATE)
    flow = DataFlow((source, stage(squared, concurrency=4, ordered=False), sink))
    assert flow() == []
    assert rows() == SQUARES
    append(COUNT)
    assert DataFlow((source, lambda row: row["n"]))() == [COUNT]


def test_what_a_run_that_failed_has_not_done_the_next_one_does():
    source = JsonLinesSource("in", positions="p")
    sink = SqliteSink("db", "t", key=["n"], create=CREATE)
    with pytest.raises(LookupError):
        DataFlow((source, fails_at(300), squared, sink))()
    written = len(rows())
    assert written <= 300
    # What was written and not acked any more comes again; what was acked is written.
    left = DataFlow((JsonLinesSource("in", positions="p"), lambda row: row["n"]))()
    assert left == list(range(left[0], COUNT))
    assert left[0] <= written


def test_with_positions_in_the_table_each_is_there_once():
    create = "CREATE TABLE IF NOT EXISTS t (n INTEGER, square INTEGER)"

    def flow(check):
        sink = SqliteTransactionalSink("db", "t", create=create, chunk=32)
        return DataFlow((JsonLinesSource("in"), check, squared, sink))

    for number in (100, 101, 400):
        with pytest.raises(LookupError):
            flow(fails_at(number))()
    flow(fails_at(-1))()
    assert rows() == SQUARES
    flow(fails_at(-1))()
    assert rows() == SQUARES


def test_from_a_table_to_a_file():
    DataFlow((JsonLinesSource("in"), squared, SqliteSink("db", "t", create=CREATE)))()
    source = SqliteSource("db", "t", positions="p")
    assert DataFlow((source, JsonLinesSink("out")))() == []
    assert [tuple(row.values()) for row in lines()] == SQUARES
    assert DataFlow((source,))() == []


def test_through_a_durable_buffer_in_two_runs():
    durable = Durable("q", max_items=COUNT)
    DataFlow((JsonLinesSource("in", positions="p"), durable.sink()))()
    with pytest.raises(LookupError):
        DataFlow((durable.source(follow=False), fails_at(200), JsonLinesSink("out")))()
    DataFlow((durable.source(follow=False), JsonLinesSink("out")))()
    written = [row["n"] for row in lines()]
    assert sorted(set(written)) == list(range(COUNT))
    assert DataFlow((durable.source(follow=False),))() == []
