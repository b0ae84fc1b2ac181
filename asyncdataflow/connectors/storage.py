"""What can go wrong with files, by name; and files that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from typing import Final

from ..errors import StorageError, StorageFullError

__all__ = ("named_errors", "remove_stale_drafts", "replace_file", "sync_folder", "write_all")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_STALE: Final = 3600.0
"""Seconds after which nobody is still writing a draft, which is a small file."""


@contextlib.contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Raise what the system says as a ``StorageError`` that says what was being done.

    Args:
        what: ``"jobs.jsonl: appending"``.

    Raises:
        StorageFullError: No room is left.
        StorageError: Anything else.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        full = error.errno in _FULL
        told = (StorageFullError if full else StorageError)(f"{what} failed: {os.strerror(error.errno or 0)}")
        told.errno = error.errno
        raise told from error


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, in as many steps as the system takes."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(path: str) -> None:
    """Make it last that a file of this name is in its folder."""
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def replace_file(path: str, data: bytes) -> None:
    """Put a file in the place of another: whoever looks, after a crash too, sees the old or the new whole."""
    draft = f"{path}.{secrets.token_hex(4)}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    sync_folder(path)


def remove_stale_drafts(path: str) -> None:
    """Remove what those left behind who were killed while they replaced this file.

    Only what is old: another process may be writing a draft of the same file now, and would not find it.
    """
    folder, name = os.path.split(path)
    is_draft = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.draft").fullmatch
    # Left where the folder cannot be listed, or where another was quicker: they are in nobody's way.
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if is_draft(entry.name) and entry.stat(follow_symlinks=False).st_mtime < time.time() - _STALE:
                os.unlink(entry.path)
