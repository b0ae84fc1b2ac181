"""Logs that are rotated under a source: what was not read is read or told, never skipped."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.connectors.json_lines import JsonLinesSource
from asyncdataflow.connectors.sqlite import SqliteTransactionalSink
from asyncdataflow.errors import SourceChangedError
from tests.connectors.answering import items_of, take

CREATE = "CREATE TABLE IF NOT EXISTS t (n INTEGER)"
OTHER = "was read up to 30, and has other bytes before that"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(range(10, 20))
    return tmp_path


def put(numbers, path="m", mode="a"):
    with open(path, mode, encoding="ascii") as file:
        file.writelines(f"{n}\n" for n in numbers)


def renamed():
    os.rename("m", "m.1")
    put(range(20, 40))


def copied_and_cut_off():
    shutil.copy("m", "m.1")
    put(range(20, 40), mode="w")


def of_the_same_size():
    os.rename("m", "m.1")
    put(range(20, 30))


ROTATIONS = [renamed, copied_and_cut_off, of_the_same_size]


def into_a_file(*paths):
    return DataFlow((JsonLinesSource(paths or "m", positions="p"), lambda n: n))()


def into_a_table(*paths):
    before = table()
    sink = SqliteTransactionalSink("db", "t", create=CREATE, columns={"n": lambda n: n})
    DataFlow((JsonLinesSource(paths or "m"), sink))()
    return table()[len(before) :]


def table():
    if not Path("db").exists():
        return []
    with closing(sqlite3.connect("db")) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM t ORDER BY rowid")]


def change_rows(run, change):
    """Change the rows of positions by hand, as the error says."""
    if run is into_a_file:
        rows = map(json.loads, Path("p").read_text().splitlines())
        kept = [f"{json.dumps(row)}\n" for row in rows if change(row) is None]
        Path("p").write_text("".join(kept)) if kept else Path("p").unlink()
        return
    with closing(sqlite3.connect("db")) as connection, connection:
        rows = connection.execute("SELECT partition, position FROM asyncdataflow_positions").fetchall()
        connection.execute("DELETE FROM asyncdataflow_positions")
        for partition, position in rows:
            row = {"partition": json.loads(partition), "position": json.loads(position)}
            if change(row) is None:
                values = ("t", "JsonLinesSource", json.dumps(row["partition"]), json.dumps(row["position"]))
                connection.execute("INSERT INTO asyncdataflow_positions VALUES (?, ?, ?, ?)", values)


@pytest.mark.parametrize("run", [into_a_file, into_a_table])
class TestBetweenTwoRuns:
    @pytest.mark.parametrize("rotate", ROTATIONS)
    def test_a_file_that_is_another_now_is_told(self, run, rotate):
        assert run() == [*range(10, 20)]
        rotate()
        with pytest.raises(SourceChangedError, match=rf"^m: .*{OTHER}.*give its row .*: remove that row"):
            run()

    def test_with_its_row_removed_it_is_read_from_its_start(self, run):
        run()
        renamed()
        change_rows(run, lambda row: "removed")
        assert run() == [*range(20, 40)]

    @pytest.mark.parametrize("rotate", ROTATIONS[:2])
    def test_with_its_row_renamed_the_old_one_is_read_to_its_end_and_then_the_new(self, run, rotate):
        run()
        put(range(50, 55))
        rotate()
        change_rows(run, lambda row: row.update(partition="m.1"))
        assert run("m.1", "m") == [*range(50, 55), *range(20, 40)]
        assert run() == []

    def test_a_copy_of_the_file_is_the_file(self, run):
        """As from a backup, or on another disk: neither its device nor its inode is what it was."""
        run()
        put([20])
        shutil.copy("m", "copy")
        os.replace("copy", "m")
        assert run() == [20]

    def test_a_position_from_before_there_were_checksums_is_gone_on_from(self, run):
        run()
        change_rows(run, lambda row: row.update(position=row["position"][0]))
        put([20])
        assert run() == [20]
        renamed()
        with pytest.raises(SourceChangedError, match="read up to 33"):
            run()


def test_what_lies_farther_away_than_a_kilobyte_is_not_read_again(folder):
    put(range(10_000, 11_000))
    into_a_file()
    with open("m", "r+b") as file:
        file.write(b"99\n")
    assert into_a_file() == []
    with open("m", "r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(b"9")
    with pytest.raises(SourceChangedError):
        into_a_file()


@pytest.mark.parametrize("longest", [5, 100], ids=["too long", "long"])
def test_a_line_that_is_longer_than_what_is_looked_at_is_known_again(folder, longest):
    put(["x" * 200_000, 1])
    source = JsonLinesSource("m", positions="p", loads=len, max_line=longest * 4000, on_bad_line="skip")
    first = DataFlow((source,))()
    assert first == ([2] * 10 + [200_000, 1] if longest == 100 else [2] * 10 + [1])
    assert DataFlow((source,))() == []
    put(["y" * 200_000])
    DataFlow((source,))()
    put([2])
    assert DataFlow((source,))() == [1]


class TestFollowed:
    @pytest.mark.parametrize("count", [5, 10, 30])
    async def test_a_file_that_is_cut_off_and_has_grown_since_is_told(self, count):
        async with JsonLinesSource("m", follow=True, poll=0.001).open() as session:
            assert items_of(await take(session, 10)) == [*range(10, 20)]
            put(range(20, 20 + count), mode="w")
            with pytest.raises(SourceChangedError, match="read up to 30"):
                await anext(session)

    async def test_a_service_ends_with_a_rotation_and_does_not_go_on_behind_what_was_not_read(self):
        got, all_came = [], asyncio.Event()

        async def keep(n):
            got.append(n)
            if n == 19:
                all_came.set()

        flow = DataFlow((JsonLinesSource("m", positions="p", follow=True, poll=0.001), keep))
        service = asyncio.ensure_future(flow.serve(signals=False))
        await all_came.wait()
        renamed()
        with pytest.raises(SourceChangedError, match="renamed or deleted"):
            await service
        with pytest.raises(SourceChangedError, match="other bytes"):
            await flow.serve(signals=False)
        assert got == [*range(10, 20)]
