"""Lines of a file with where they lie, bounded in length, from a file that may still grow."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from typing import Final

from ...errors import SourceChangedError
from ..storage import named_errors

__all__ = ("Line", "LineReader", "is_json", "is_whole")

_BLOCK: Final = 1 << 16
_WINDOW: Final = 1 << 10
"""Bytes before an offset by whose checksum a file is known again.

Not by its device and inode: the next file may be given them at once, and a copy, from a backup or on
another disk, has others. Not by its first bytes, which are alike in files that begin with the same banner.
The last bytes that were read are the newest, and stay where a file is only appended to. Another file is
taken for it only where it has the same bytes at the same place.
"""
_LITERALS: Final = (b"true", b"false", b"null")


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        data: What is in it, without its end; ``None`` where that is too long.
        begin: Offset of its first byte.
        end: Offset behind it and its line feed.
        checksum: Of the bytes before ``end``, by which the file is known again.
    """

    data: bytes | None
    begin: int
    end: int
    checksum: int


def is_whole(data: bytes) -> bool:
    """Whether JSON that a line feed is missing behind cannot go on.

    A number may: 12 may be the beginning of 123.
    """
    text = data.rstrip()
    return text.endswith((b"}", b"]", b'"')) or text in _LITERALS


def is_json(data: bytes) -> bool:
    """Whether it is a value of JSON."""
    try:
        json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


class LineReader:
    """Reads one file, in one thread.

    Args:
        path: Which.
        start: Offset at which to begin, behind a line.
        checksum: Of the bytes before ``start`` in the file that was read; ``None`` where nobody knows.
        longest: Most bytes of a line.

    Raises:
        SourceChangedError: The bytes before ``start`` are others, there is no end of a line, or the
            file ends before it.
        StorageError: It cannot be read.
    """

    def __init__(self, path: str, start: int, checksum: int | None, longest: int) -> None:
        self.path = path
        self._longest = longest
        self._buffer = bytearray()
        self._before = b""  # the last bytes before the buffer's first, as many as the window has
        self._begin = start  # of the line that the buffer begins with
        self._searched = 0
        self._dropped = 0  # bytes of that line, which is too long, that are in the buffer no more
        with named_errors(f"{path}: opening"):
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._refuse_unless_behind_a_line(start, checksum)
            except BaseException:
                os.close(self._file)
                raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def read(self, most: int) -> list[Line]:
        """Up to so many lines that have an end; none where there are no more at present."""
        found: list[Line] = []
        while len(found) < most:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0:
                found.append(self._cut(end, end + 1))
                continue
            self._searched = len(self._buffer)
            self._drop_what_is_too_long()
            if found or not self._read_block():
                break
        return found

    def rest(self) -> Line | None:
        """What lies behind the last end of a line, at the end of the file."""
        length = len(self._buffer)
        return self._cut(length, length) if length or self._dropped else None

    def look_for_changes(self) -> None:
        """Refuse to wait for more of a file that was cut off, or whose name is another's now.

        Raises:
            SourceChangedError: It was.
        """
        read = self._begin + self._dropped + len(self._buffer)
        with named_errors(f"{self.path}: looking for more"):
            here = os.fstat(self._file)
            try:
                there = os.stat(self.path)
            except FileNotFoundError:
                there = None
        if here.st_size < read:
            raise _changed(self.path, _shorter(here.st_size, read))
        same = there is not None and (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
        if not same and here.st_size == read:
            raise _changed(self.path, "it was read to its end, and has been renamed or deleted since")

    def _cut(self, length: int, whole: int) -> Line:
        """Take a line out of the buffer."""
        too_long = self._dropped + length > self._longest
        begin, end = self._begin, self._begin + self._dropped + whole
        data = None if too_long else bytes(self._buffer[:length])
        self._pass(whole)
        self._begin, self._dropped = end, 0
        return Line(data, begin, end, zlib.crc32(self._before))

    def _drop_what_is_too_long(self) -> None:
        if self._dropped or len(self._buffer) > self._longest:
            self._dropped += len(self._buffer)
            self._pass(len(self._buffer))

    def _pass(self, count: int) -> None:
        """Take so many bytes from the front of the buffer."""
        self._before = (self._before + self._buffer[:count])[-_WINDOW:]
        del self._buffer[:count]
        self._searched = 0

    def _read_block(self) -> bool:
        """Read on, with the last bytes of before: a file may be cut off and have grown past here since."""
        at = self._begin + self._dropped + len(self._buffer)
        before = (self._before + self._buffer[-_WINDOW:])[-_WINDOW:]
        with named_errors(f"{self.path}: reading"):
            block = os.pread(self._file, len(before) + _BLOCK, at - len(before))
            if not block.startswith(before):
                size = os.fstat(self._file).st_size
                raise _changed(self.path, _shorter(size, at) if size < at else _other(at))
        self._buffer += block[len(before) :]
        return len(block) > len(before)

    def _refuse_unless_behind_a_line(self, start: int, checksum: int | None) -> None:
        size = os.fstat(self._file).st_size
        if start > size:
            raise _changed(self.path, _shorter(size, start))
        window = min(start, _WINDOW)
        self._before = os.pread(self._file, window, start - window)
        if checksum is not None and zlib.crc32(self._before) != checksum:
            raise _changed(self.path, _other(start))
        # The last line that was read may have had no end then, and one now.
        around = os.pread(self._file, 2, start - 1) if start else b"\n"
        if b"\n" not in around and start != size:
            raise _changed(self.path, f"no line ends at {start}, up to where it was read")


def _shorter(size: int, read: int) -> str:
    return f"it ends at {size}, and was read up to {read}"


def _other(read: int) -> str:
    return f"it was read up to {read}, and has other bytes before that"


def _changed(path: str, seen: str) -> SourceChangedError:
    return SourceChangedError(
        f"{path}: this is not the file that was read before, or not any more: {seen}. The rest of that one "
        "may lie under another name, where it was rotated. To read it first: give its row of the positions, "
        "in the file or in the table of the sink that keeps them, that name, and read "
        "JsonLinesSource([old, new]). To read only this one, from its start: remove that row, or the file of "
        "positions if it has no other"
    )
