"""Files that are replaced whole: in which order the disk is asked for what."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from asyncdataflow.connectors.json_lines import JsonLinesSource
from asyncdataflow.connectors.storage import named_errors, remove_stale_drafts, replace_file, write_all
from asyncdataflow.errors import StorageError, StorageFullError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_new_file_is_on_the_disk_before_it_takes_the_place_and_the_place_behind(tmp_path, monkeypatch):
    """A lost machine sees the old file or the new: never a name of a file whose content is not there."""
    path, calls = tmp_path / "p", []

    def watched(name):
        function = getattr(os, name)

        def call(*arguments, **options):
            is_folder = stat.S_ISDIR(os.stat(arguments[0]).st_mode)
            calls.append((name, "folder" if is_folder else "draft"))
            return function(*arguments, **options)

        return call

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, watched(name))
    replace_file(str(path), b"new")
    assert calls == [("write", "draft"), ("fsync", "draft"), ("replace", "draft"), ("fsync", "folder")]
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["p"]


async def test_what_a_killed_process_left_of_positions_is_removed_once_nobody_can_be_writing_it(folder):
    Path("a").write_text("1\n")
    old, new = "p.0123abcd.draft", "p.4567abcd.draft"
    others = ["p.draft", "q.0123abcd.draft", "p.q.0123abcd.draft", "p.0123abcd.draft.bak", new]
    for name in (old, *others):
        Path(name).touch()
        if name != new:
            os.utime(name, (0, 0))
    async with JsonLinesSource("a", positions="p").open():
        assert sorted(os.listdir()) == sorted(["a", *others])


def test_drafts_in_a_folder_that_cannot_be_listed_are_left(folder):
    remove_stale_drafts("nowhere/p")


def test_a_system_that_takes_a_part_at_a_time_gets_all_of_it(monkeypatch):
    taken = []
    monkeypatch.setattr(os, "write", lambda _, data: taken.append(bytes(data[:2])) or len(data[:2]))
    write_all(1, b"abcde")
    assert taken == [b"ab", b"cd", b"e"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, StorageFullError), (errno.EDQUOT, StorageFullError), (errno.EIO, StorageError)],
)
def test_what_the_system_says_has_a_name_and_keeps_its_number(number, kind):
    with pytest.raises(StorageError, match="p: appending failed: ") as caught, named_errors("p: appending"):
        raise OSError(number, "x")
    assert type(caught.value) is kind
    assert caught.value.errno == number
