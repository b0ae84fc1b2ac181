"""The queue itself: a table of items in a database, with how many and how large they are."""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...errors import CorruptStorageError, StorageError
from ..sqlite.database import Database
from ..storage import named_errors, sync_folder

__all__ = ("Bounds", "Row", "Stored")

_KIND: Final = 0x61646662
"""By this number in its header a file is known as one of ours."""

_VERSION: Final = 1
_MOST_BYTES_AT_ONCE: Final = 1 << 23


@dataclass(frozen=True, slots=True)
class Row:
    """An item that lies in the queue.

    Attributes:
        number: Its place; it grows, and is never given again.
        data: What it is encoded as.
    """

    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much lies there at most.

    Attributes:
        items: How many items.
        bytes: How many bytes of data; one larger item lies there alone.
    """

    items: int
    bytes: int


class Stored:
    """A queue in a file, used in one thread; others may use the file at the same time.

    Args:
        path: The file; made where it is not there, for its owner only.
        codec: The name of what encodes the items.
        bounds: How much is put.
        patience: Most seconds to wait for another program's lock.
        turns: For those who write to the file in this program: they wait here, not by polling.

    Raises:
        CorruptStorageError: It is no such file, or something of it is missing.
        StorageError: It cannot be opened, or was written with another codec.
    """

    def __init__(
        self, path: str, *, codec: str, bounds: Bounds, patience: float, turns: threading.Lock
    ) -> None:
        self._path = path
        self._bounds = bounds
        self._turns = turns
        _make_private(path)
        with turns:
            self._database = Database(path, writes=True, patience=patience)
            try:
                self._database.write("opening", lambda: self._set_up(codec))
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def put(self, items: Sequence[bytes]) -> int:
        """Append as many of these as there is room for, in order, all on the disk when it returns.

        Returns:
            How many.

        Raises:
            StorageError: None of them is there.
        """

        def put() -> int:
            fitting = items[: self._fitting(items)]
            if not fitting:
                return 0
            self._execute_many(
                "INSERT INTO items (item, crc) VALUES (?, ?)", [(each, zlib.crc32(each)) for each in fitting]
            )
            self._count(len(fitting), sum(map(len, fitting)))
            return len(fitting)

        with self._turns:
            return self._database.write("putting", put)

    def read(self, behind: int, most: int) -> list[Row]:
        """The next items in order, up to so many.

        Raises:
            CorruptStorageError: One is not what was put.
        """
        return self._database.read("reading", lambda: self._rows(behind, most))

    def remove(self, rows: Sequence[tuple[int, int]]) -> None:
        """Take items out for good, each a number and its size.

        Raises:
            StorageError: All of them are still there.
        """

        def remove() -> None:
            removed = self._execute_many("DELETE FROM items WHERE id = ?", [(number,) for number, _ in rows])
            if removed != len(rows):
                raise CorruptStorageError(
                    f"{self._path}: {len(rows) - removed} items that were read are gone"
                )
            self._count(-len(rows), -sum(size for _, size in rows))

        with self._turns:
            self._database.write("removing", remove)

    def remove_up_to(self, number: int) -> None:
        """Take out all items up to a number, this one included."""

        def remove() -> None:
            count, size = self._one("SELECT count(*), sum(length(item)) FROM items WHERE id <= ?", number)
            if count:
                self._database.connection.execute("DELETE FROM items WHERE id <= ?", (number,))
                self._count(-count, -size)

        with self._turns:
            self._database.write("removing", remove)

    def look(self) -> None:
        """See that nothing is missing.

        Raises:
            CorruptStorageError: There are more or fewer items than were put and not taken out.
        """
        items, size, counted, measured = self._database.read(
            "counting",
            lambda: self._one(
                "SELECT state.items, state.bytes, counted.items, counted.bytes FROM state, "
                "(SELECT count(*) AS items, coalesce(sum(length(item)), 0) AS bytes FROM items) AS counted"
            ),
        )
        if (items, size) != (counted, measured):
            raise CorruptStorageError(
                f"{self._path}: {counted} items of {measured} bytes lie there, and {items} of {size} should"
            )

    def _set_up(self, codec: str) -> None:
        execute = self._database.connection.execute
        (kind,), (version,) = self._one("PRAGMA application_id"), self._one("PRAGMA user_version")
        (tables,) = self._one("SELECT count(*) FROM sqlite_schema")
        if not (kind or version or tables):
            execute(f"PRAGMA application_id = {_KIND}")
            execute(f"PRAGMA user_version = {_VERSION}")
            execute(
                "CREATE TABLE items "
                "(id INTEGER PRIMARY KEY AUTOINCREMENT, item BLOB NOT NULL, crc INTEGER NOT NULL)"
            )
            execute(
                "CREATE TABLE state (codec TEXT NOT NULL, items INTEGER NOT NULL, bytes INTEGER NOT NULL)"
            )
            execute("INSERT INTO state VALUES (?, 0, 0)", (codec,))
        elif (kind, version) != (_KIND, _VERSION):
            raise CorruptStorageError(f"{self._path}: this is no durable buffer, or one of another version")
        states = execute("SELECT codec FROM state").fetchall()
        if len(states) != 1:
            raise CorruptStorageError(f"{self._path}: what it holds is not written there once")
        if states[0][0] != codec:
            raise StorageError(f"{self._path}: it was written with the codec {states[0][0]!r}, not {codec!r}")

    def _fitting(self, items: Sequence[bytes]) -> int:
        """How many of these there is room for."""
        lying, size = self._database.read("counting", lambda: self._one("SELECT items, bytes FROM state"))
        fitting = 0
        for each in items[: max(0, self._bounds.items - lying)]:
            size += len(each)
            if size > self._bounds.bytes and (lying or fitting):
                break
            fitting += 1
        return fitting

    def _rows(self, behind: int, most: int) -> list[Row]:
        found: list[Row] = []
        size = 0
        statement = "SELECT id, item, crc FROM items WHERE id > ? ORDER BY id LIMIT ?"
        with contextlib.closing(self._database.connection.execute(statement, (behind, most))) as cursor:
            for number, data, crc in cursor:
                if not isinstance(data, bytes) or zlib.crc32(data) != crc:
                    raise CorruptStorageError(f"{self._path}: the item {number} is not what was put")
                found.append(Row(number, data))
                size += len(data)
                if size > _MOST_BYTES_AT_ONCE:
                    break
        return found

    def _count(self, items: int, size: int) -> None:
        self._database.connection.execute(
            "UPDATE state SET items = items + ?, bytes = bytes + ?", (items, size)
        )

    def _one(self, statement: str, *values: object) -> tuple[int, ...]:
        row: tuple[int, ...] = self._database.connection.execute(statement, values).fetchone()
        return row

    def _execute_many(self, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
        return self._database.connection.executemany(statement, rows).rowcount


def _make_private(path: str) -> None:
    """Make an empty file that only its owner can read, where there is none."""
    with named_errors(f"{path}: opening"):
        try:
            # Never opened where it is there: to close it again would let go of SQLite's locks.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            if os.stat(path).st_mode & 0o002:
                raise StorageError(f"{path}: anybody may write to it; chmod o-w makes it yours") from None
            return
        os.close(descriptor)
        sync_folder(path)
