"""A connection in a session's thread, what goes wrong with it by name, and names in its SQL."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from ...errors import BadMessageError, CorruptStorageError, StorageBusyError, StorageError, StorageFullError
from ..checks import checked_path

__all__ = ("Database", "checked_database", "checked_name", "quoted")

T = TypeVar("T")

_PAUSE: Final = 0.005

_KINDS: Final = {
    sqlite3.SQLITE_FULL: StorageFullError,
    sqlite3.SQLITE_BUSY: StorageBusyError,
    sqlite3.SQLITE_LOCKED: StorageBusyError,
    sqlite3.SQLITE_CORRUPT: CorruptStorageError,
    sqlite3.SQLITE_NOTADB: CorruptStorageError,
}


def checked_database(what: str, path: object) -> str:
    """The path of a database that is a file.

    Raises:
        ValueError: It is none: a database in memory ends with the session.
    """
    text = checked_path(what, path)
    if text == ":memory:" or text.startswith("file:"):
        raise ValueError(f"{what}: the path of a file is needed, not {text!r}")
    return text


def checked_name(what: str, name: object) -> str:
    """The name of a table or a column.

    Raises:
        ValueError: It can be none.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"{what}: a name is needed, not {name!r}")
    return name


def quoted(name: str) -> str:
    """A name as SQL has it, whatever is in it.

    Example:
        >>> from asyncdataflow.connectors.sqlite.database import quoted
        >>> quoted('a "b"; drop')
        '"a ""b""; drop"'
    """
    return '"' + name.replace('"', '""') + '"'


class Database:
    """One connection, made and used in one thread.

    Args:
        path: The file; made where it is written to and not there.
        writes: Set it up for commits that last; else nothing can be written.
        patience: Most seconds to wait for a lock.

    Attributes:
        connection: Only for what :meth:`read` and :meth:`write` are given.

    Raises:
        StorageError: It cannot be opened.
    """

    def __init__(self, path: str, *, writes: bool, patience: float) -> None:
        self._path = path
        self._failed = False
        mode = "rwc" if writes else "ro"
        with self._named("opening"):
            self.connection = sqlite3.connect(
                f"file:{urllib.parse.quote(path)}?mode={mode}",
                uri=True,
                timeout=patience,
                isolation_level=None,
            )
            try:
                self._set_up(writes, patience)
            except BaseException:
                self.connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._named("closing"):
            self.connection.close()

    def read(self, doing: str, function: Callable[[], T]) -> T:
        """Call something that reads.

        Args:
            doing: In a word or two, for errors.
            function: What.

        Raises:
            StorageError: The database says no.
        """
        with self._named(doing):
            return function()

    def write(self, doing: str, function: Callable[[], T]) -> T:
        """Call something in a transaction: all that it writes is on the disk then, or nothing is there.

        Args:
            doing: In a word or two, for errors.
            function: What.

        Raises:
            StorageError: The database says no; or the disk has before, and cannot be trusted any more.
        """
        if self._failed:
            raise StorageError(
                f"{self._path}: the disk has failed to keep what it took; nothing more is written"
            )
        with self._named(doing), self._transaction():
            return function()

    def _set_up(self, writes: bool, patience: float) -> None:
        if not writes:
            self.connection.execute("PRAGMA query_only = ON")
            self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            return
        mode = self._mode_with_a_log(patience)
        if mode != "wal":
            raise StorageError(
                f"{self._path}: opening failed: it cannot be set to WAL mode, and is in {mode} mode"
            )
        self.connection.execute("PRAGMA synchronous = FULL")

    def _mode_with_a_log(self, patience: float) -> Any:
        """The mode after asking for WAL.

        Of two that make a new file at once one is told that it is busy, at once: SQLite does not wait where
        each might wait for the other (https://sqlite.org/c3ref/busy_handler.html).
        """
        until = time.monotonic() + patience
        while True:
            try:
                return self.connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        # At once: a transaction that reads before it writes may find that it may not.
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            # What SQLite says of a damaged schema has what is left of it.
            raise CorruptStorageError(f"{self._path}: {doing} failed: its names are no UTF-8") from error
        except sqlite3.Error as error:
            # Of an extended code, the low byte says what kind it is.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if not code and str(error).startswith("Could not decode"):
                raise BadMessageError(
                    f"{self._path}: {doing} failed: a row has text that is no UTF-8"
                ) from None
            self._failed = self._failed or code == sqlite3.SQLITE_IOERR
            name = getattr(error, "sqlite_errorname", None)
            raise _KINDS.get(code, StorageError)(
                f"{self._path}: {doing} failed: {error}{f' ({name})' if name else ''}"
            ) from error
