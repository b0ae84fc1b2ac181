"""Appended: a file to which lines are appended whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from typing import Final

from ...errors import CorruptStorageError, StorageBusyError, StorageError
from ..storage import named_errors, sync_folder, write_all
from .lines import is_json, is_whole

__all__ = ("Appended",)

_BLOCK: Final = 1 << 16
_LONGEST_TAIL: Final = 1 << 26
_PAUSE: Final = 0.005

_logger = logging.getLogger("asyncdataflow")


class Appended:
    """A file that others may append to as well, used in one thread.

    Args:
        path: Which; made where it is not there.
        fsync: Wait for the disk.
        patience: Most seconds to wait for another who has locked it.

    Raises:
        StorageError: It cannot be opened.
    """

    def __init__(self, path: str, *, fsync: bool, patience: float) -> None:
        self._path = path
        self._fsync = fsync
        self._patience = patience
        self._failed = False
        with named_errors(f"{path}: opening"):
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                if fsync:
                    sync_folder(path)
            except BaseException:
                os.close(self._file)
                raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def append(self, lines: bytes) -> None:
        """Append lines, behind a last line that is whole.

        Raises:
            StorageError: None of them is there.
            CorruptStorageError: What lies there has no lines.
        """
        if self._failed:
            raise StorageError(
                f"{self._path}: the disk has failed to keep what it took; nothing more is written"
            )
        with named_errors(f"{self._path}: appending"), self._locked():
            size = self._mended(os.fstat(self._file).st_size)
            try:
                write_all(self._file, lines)
            except BaseException:
                self._cut(size)
                raise
            self._sync(size)

    def _sync(self, size: int) -> None:
        """Wait for the disk; where that fails, nobody can tell what is on it."""
        if not self._fsync:
            return
        try:
            os.fsync(self._file)
        except BaseException:
            self._failed = True
            self._cut(size)
            raise

    def _cut(self, size: int) -> None:
        """Back to what was whole."""
        try:
            os.ftruncate(self._file, size)
            if self._fsync:
                os.fsync(self._file)
        except OSError:
            # The next to open it finds a torn tail, and mends that.
            self._failed = True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        until = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StorageBusyError(
                        f"{self._path}: another has held it for {self._patience:g} s; "
                        "patience= waits for longer"
                    ) from None
                time.sleep(_PAUSE)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _mended(self, size: int) -> int:
        """The size up to which there are whole lines, once a torn one is dealt with."""
        if not size or os.pread(self._file, 1, size - 1) == b"\n":
            return size
        tail = self._tail(size)
        if is_whole(tail) and is_json(tail):
            write_all(self._file, b"\n")
            self._sync(size)
            return size + 1
        whole = size - len(tail)
        os.ftruncate(self._file, whole)
        self._sync(whole)
        _logger.warning(
            "%s: %d bytes of a torn last line were cut off; no write of it has returned",
            self._path,
            len(tail),
        )
        return whole

    def _tail(self, size: int) -> bytes:
        """What lies behind the last line feed."""
        tail = b""
        while len(tail) < size:
            if len(tail) > _LONGEST_TAIL:
                raise CorruptStorageError(f"{self._path}: its last {_LONGEST_TAIL} bytes have no line's end")
            begin = max(0, size - len(tail) - _BLOCK)
            block = os.pread(self._file, size - len(tail) - begin, begin)
            place = block.rfind(b"\n")
            if place >= 0:
                return block[place + 1 :] + tail
            tail = block + tail
        return tail
