"""Lines at the end of a file: whole or not at all, whatever the disk and other writers do."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdataflow import DataFlow
from asyncdataflow.connectors.json_lines import JsonLinesSink, appended
from asyncdataflow.errors import (
    CorruptStorageError,
    RejectedItemError,
    StorageBusyError,
    StorageError,
    StorageFullError,
)
from asyncdataflow.testing import check_sink
from tests.source import ROOT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(path="a"):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


async def write(sink, *chunks):
    async with sink.open() as function:
        for chunk in chunks:
            await function(chunk)


def child(code, folder):
    """A Python of its own, which finds the package where this one does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("fsync", [True, False])
def test_it_keeps_the_rules_of_a_sink(folder, fsync):
    numbers = itertools.count()

    def make():
        return JsonLinesSink(folder / str(next(numbers)), chunk=1, fsync=fsync)

    check_sink(make, items=[0, None, "c"], read=lambda sink: rows(sink._path), real_time=True, seeds=1)


def test_a_flow_writes_to_it(folder):
    assert DataFlow((range(1000), JsonLinesSink("a", chunk=1, fsync=False)))() == []
    assert rows() == list(range(1000))


async def test_a_later_session_appends(folder):
    await write(JsonLinesSink("a"), [1, 2], [3])
    await write(JsonLinesSink("a"), [4])
    assert rows() == [1, 2, 3, 4]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(st.characters()), st.lists))
async def test_what_json_can_hold_comes_back(tmp_path_factory, item):
    path = tmp_path_factory.mktemp("items") / "a"
    await write(JsonLinesSink(path, fsync=False), [item])
    assert rows(path) == [item]


async def test_text_is_readable_and_half_a_character_is_kept(folder):
    await write(JsonLinesSink("a"), ["é\u2028\n\0", "\ud800"])
    assert (folder / "a").read_bytes() == '"é\u2028\\n\\u0000"\n"\\ud800"\n'.encode()


@pytest.mark.parametrize("item", [object(), {1, 2}, float("nan"), b"x", {(1, 2): 3}])
async def test_an_item_without_a_form_is_refused_with_all_of_its_list(folder, item):
    async with JsonLinesSink("a").open() as function:
        await function([1])
        with pytest.raises(RejectedItemError, match=f"an item \\({type(item).__name__}.* has no form"):
            await function([2, item, 3])
        await function([4])
    assert rows() == [1, 4]


async def test_an_item_that_is_too_deep_is_refused(folder):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RejectedItemError, match="RecursionError"):
        await write(JsonLinesSink("a"), [deep])


async def test_dumps_makes_a_line(folder):
    await write(JsonLinesSink("a", dumps=str), [{"a": 1}])
    assert (folder / "a").read_text() == "{'a': 1}\n"
    with pytest.raises(RejectedItemError, match="more than one line"):
        await write(JsonLinesSink("a", dumps=lambda item: json.dumps(item, indent=1)), [{"a": 1}])


class TestTornTail:
    WHOLE = b'{"n": 1}\n{"n": 2}\n'

    @pytest.mark.parametrize(
        ("tail", "left"),
        [
            (b'{"n": 3}', b'{"n": 3}\n'),
            (b'"x"', b'"x"\n'),
            (b"null", b"null\n"),
            (b'{"n": 3', b""),
            (b'{"n": {"m": 3}', b""),
            (b"12", b""),
            (b"\xff", b""),
            (b"\0" * 5000, b""),
            (b'"' + b"x" * 300_000, b""),
        ],
    )
    @pytest.mark.parametrize("whole", [WHOLE, b""], ids=["behind lines", "alone"])
    async def test_one_is_completed_or_cut_off(self, folder, tail, left, whole, caplog):
        (folder / "a").write_bytes(whole + tail)
        await write(JsonLinesSink("a"), [3])
        assert (folder / "a").read_bytes() == whole + left + b"3\n"
        assert bool(left) == (f"{len(tail)} bytes of a torn last line were cut off" not in caplog.text)

    @given(st.integers(min_value=0), st.lists(st.text(max_size=5), min_size=1, max_size=4))
    async def test_torn_anywhere_only_whole_lines_are_left(self, tmp_path_factory, size, items):
        path = tmp_path_factory.mktemp("torn") / "a"
        lines = [json.dumps(each).encode() for each in items]
        data = b"".join(each + b"\n" for each in lines)
        path.write_bytes(data[: size % (len(data) + 1)])
        complete = sum(1 for n in range(len(lines)) if path.stat().st_size >= len(b"\n".join(lines[: n + 1])))
        await write(JsonLinesSink(path, fsync=False), ["new"])
        assert rows(path) == [*items[:complete], "new"]

    async def test_one_that_another_leaves_behind_meanwhile_is_mended_before_the_next_write(self, folder):
        async with JsonLinesSink("a").open() as function:
            await function([1])
            with open("a", "ab") as other:
                other.write(b'{"n"')
            await function([2])
        assert rows() == [1, 2]

    async def test_a_file_without_lines_is_refused(self, folder, monkeypatch):
        monkeypatch.setattr(appended, "_LONGEST_TAIL", 1 << 17)
        (folder / "a").write_bytes(b"x" * (1 << 19))
        with pytest.raises(CorruptStorageError, match="have no line's end"):
            await write(JsonLinesSink("a"))
        assert (folder / "a").stat().st_size == 1 << 19


def failing(function, number, *, on, short=0):
    """An ``os`` function that fails with an errno in the calls that are told; one may do a part before."""
    calls = itertools.count(1)

    def call(descriptor, *arguments):
        count = next(calls)
        if count in on:
            raise OSError(number, os.strerror(number))
        if short and count + 1 in on:
            return function(descriptor, bytes(arguments[0])[:short])
        return function(descriptor, *arguments)

    return call


class TestDisk:
    async def test_no_room_in_the_middle_of_a_write_leaves_nothing_of_it(self, folder, monkeypatch):
        async with JsonLinesSink("a").open() as function:
            await function([1])
            with monkeypatch.context() as patch:
                patch.setattr("os.write", failing(os.write, errno.ENOSPC, on={2}, short=3))
                with pytest.raises(StorageFullError, match="a: appending failed: No space left on device"):
                    await function([{"n": 2}])
            assert rows() == [1]
            await function([3])
        assert rows() == [1, 3]

    async def test_behind_an_fsync_that_failed_nothing_more_is_written(self, folder, monkeypatch):
        async with JsonLinesSink("a").open() as function:
            await function([1])
            with monkeypatch.context() as patch:
                patch.setattr("os.fsync", failing(os.fsync, errno.EIO, on={1}))
                with pytest.raises(StorageError, match="a: appending failed: Input/output error") as caught:
                    await function([2])
            assert caught.value.errno == errno.EIO
            assert rows() == [1]
            with pytest.raises(StorageError, match="failed to keep what it took"):
                await function([3])
        await write(JsonLinesSink("a"), [4])
        assert rows() == [1, 4]

    async def test_what_cannot_even_be_cut_off_is_mended_by_the_next(self, folder, monkeypatch):
        async with JsonLinesSink("a").open() as function:
            await function([1])
            with monkeypatch.context() as patch:
                patch.setattr("os.write", failing(os.write, errno.EIO, on={2}, short=3))
                patch.setattr("os.ftruncate", failing(os.ftruncate, errno.EIO, on={1}))
                with pytest.raises(StorageError):
                    await function([{"n": 2}])
            with pytest.raises(StorageError, match="failed to keep"):
                await function([3])
        await write(JsonLinesSink("a"), [4])
        assert rows() == [1, 4]

    async def test_a_file_that_may_not_be_written_is_told(self, folder):
        (folder / "a").mkdir()
        with pytest.raises(StorageError, match="a: opening failed: Is a directory"):
            await write(JsonLinesSink("a"))

    async def test_a_disk_that_is_really_full(self, folder):
        """As far as a limit on the size of files goes; the rest is the same path."""
        with child(FULL, folder) as limited:
            written, _ = limited.communicate()
        assert limited.returncode == 0
        assert rows() == list(range(int(written)))


FULL = """
import asyncio, resource, signal
from asyncdataflow.connectors.json_lines import JsonLinesSink
from asyncdataflow.errors import StorageFullError

async def main():
    written = 0
    async with JsonLinesSink("a").open() as write:
        try:
            while True:
                await write(list(range(written, written + 7)))
                written += 7
        except StorageFullError:
            print(written)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
asyncio.run(main())
"""


class TestOthers:
    async def test_many_may_append_at_once(self, folder):
        async def one(name):
            await write(JsonLinesSink("a", fsync=False), *([[name, n]] * 3 for n in range(30)))

        await asyncio.gather(*map(one, "xyz"))
        assert len(rows()) == 3 * 30 * 3
        assert [n for name, n in rows() if name == "x"] == [n for n in range(30) for _ in range(3)]

    async def test_one_who_holds_it_for_too_long_is_told(self, folder):
        with open("a", "ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(StorageBusyError, match=r"a: another has held it for 0\.01 s"):
                await write(JsonLinesSink("a", patience=0.01))


WRITER = """
import asyncio, sys
from asyncdataflow.connectors.json_lines import JsonLinesSink

async def main():
    async with JsonLinesSink("a", fsync=False).open() as write:
        for n in range(10**9):
            await write([{"n": n, "pad": "x" * 20_000}] * 5)
            print(n, flush=True)

asyncio.run(main())
"""


def test_killed_at_any_time_it_has_what_it_said_it_had(folder):
    last = -1
    for count in (1, 4, 9):
        with child(WRITER, folder) as writer:
            said = [int(next(writer.stdout)) for _ in range(count)]
            writer.send_signal(signal.SIGKILL)
            said += [int(line) for line in writer.stdout if line.endswith("\n")]
        asyncio.run(write(JsonLinesSink("a"), ["killed"]))
        seen = rows()
        begun = max([n for n, row in enumerate(seen[:-1]) if row == "killed"], default=-1) + 1
        numbers = [row["n"] for row in seen[begun:-1]]
        assert numbers[: 5 * len(said)] == [n for n in said for _ in range(5)]
        assert last < len(seen)
        last = len(seen)


@pytest.mark.parametrize(
    ("path", "options"),
    [("", {}), ("a", {"chunk": 0}), ("a", {"patience": 0}), ("a", {"dumps": 1}), (None, {})],
)
def test_what_is_out_of_range_is_refused_when_it_is_made(path, options):
    with pytest.raises(ValueError, match=r"^JsonLinesSink\("):
        JsonLinesSink(path, **options)
