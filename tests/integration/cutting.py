"""Cutting: a way to a PostgreSQL server that is cut at one point of a transaction.

It knows as much of the protocol (version 3) as tells statements and their answers apart.
"""

from __future__ import annotations

import itertools
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ("AFTER", "BEFORE", "Cutting", "cutting")

BEFORE = {
    "before it begins": (b"BEGIN",),
    "begun": (b"UPDATE",),
    "advanced": (b"COPY",),
    "half of the items written": (b"(end of COPY)",),
    "items written": (b"INSERT",),
    "both written": (b"COMMIT",),
}
"""Points by the statement of a transaction that does not reach the server any more."""

AFTER = "committed"
"""The point at which the server's answer to COMMIT is not heard any more."""


class Cutting:
    """A unix socket through which clients come to a server, until a point is passed.

    Args:
        server: The server's folder.
        folder: Where its own socket is to be.
        point: Of ``BEFORE``, or ``AFTER``.
        turn: Which time that it is passed counts.
        act: What is done then, in a thread; the connection is cut behind it, unless it gives ``True``.
        rewrite: What is replaced in each statement, by as many bytes.

    Attributes:
        reached: The point was passed as often.
    """

    def __init__(
        self,
        server: Path,
        folder: Path,
        point: str,
        turn: int,
        act: Callable[[], object],
        rewrite: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        self._server = str(server / ".s.PGSQL.5432")
        self._point = point
        self._turn = turn
        self._passed = itertools.count(1)
        self._act = act
        self._rewrite = rewrite
        self.reached = threading.Event()
        self._links: list[_Link] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def passes(self, point: str) -> bool:
        """Whether what is at this point goes on."""
        if point != self._point or next(self._passed) != self._turn:
            return True
        self.reached.set()
        return self._act() is True

    def rewritten(self, data: bytes) -> bytes:
        """A statement as it goes on."""
        old, new = self._rewrite
        return data.replace(old, new) if old else data

    def close(self) -> None:
        """Cut all connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
            except OSError:
                server.close()
                client.close()
            else:
                self._links.append(_Link(self, client, server))


class _Link:
    """One connection, and the two threads that pass on what comes."""

    def __init__(self, cutting: Cutting, client: socket.socket, server: socket.socket) -> None:
        self._cutting = cutting
        self._client = client
        self._server = server
        self._statements: dict[bytes, bytes] = {}
        self._parsed: bytes | None = None
        self._in_transaction = False
        self._threads = [
            threading.Thread(target=self._pump, args=each)
            for each in ((client, server, True), (server, client, False))
        ]
        for each in self._threads:
            each.start()

    def close(self) -> None:
        """Cut it, and wait for its threads."""
        self._cut()
        for each in self._threads:
            each.join()
        self._client.close()
        self._server.close()

    def _cut(self) -> None:
        for each in (self._client, self._server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _pump(self, one: socket.socket, other: socket.socket, to_server: bool) -> None:
        with suppress(OSError, EOFError):
            if to_server:
                other.sendall(_frame(one, b""))  # the first has no kind
            while True:
                kind = _exactly(one, 1)
                data = _frame(one, kind)
                point = self._point_of_statement(kind, data[5:]) if to_server else _point_of_answer(data)
                if point is not None and not self._cutting.passes(point):
                    break
                other.sendall(self._cutting.rewritten(data) if to_server else data)
        self._cut()

    def _point_of_statement(self, kind: bytes, data: bytes) -> str | None:
        statement = self._statement(kind, data).lstrip()
        self._in_transaction |= statement.startswith(b"BEGIN")
        if not self._in_transaction:
            return None
        self._in_transaction = not statement.startswith((b"COMMIT", b"ROLLBACK"))
        found = (point for point, beginning in BEFORE.items() if statement.startswith(beginning))
        return next(found, None)

    def _statement(self, kind: bytes, data: bytes) -> bytes:
        """What is begun to be run by this message; empty where nothing is."""
        if kind == b"P":
            self._parsed, statement, _ = data.split(b"\0", 2)
            self._statements[self._parsed] = statement
            return statement
        if kind == b"B":
            _, name, _ = data.split(b"\0", 2)
            parsed, self._parsed = self._parsed, None
            return b"" if name == parsed else self._statements[name]  # told when it was parsed
        if kind == b"c":
            return b"(end of COPY)"
        return data if kind == b"Q" else b""


def _point_of_answer(data: bytes) -> str | None:
    return AFTER if data[:1] == b"C" and data[5:] == b"COMMIT\0" else None


def _frame(one: socket.socket, kind: bytes) -> bytes:
    """A message: its kind, its length and what it says."""
    length = _exactly(one, 4)
    return kind + length + _exactly(one, struct.unpack("!i", length)[0] - 4)


def _exactly(one: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = one.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@contextmanager
def cutting(
    server: Path,
    point: str,
    turn: int,
    act: Callable[[], object],
    rewrite: tuple[bytes, bytes] = (b"", b""),
) -> Iterator[tuple[Cutting, str]]:
    """A way that is cut, with the address at which a client takes it."""
    folder = Path(tempfile.mkdtemp(prefix="flow-"))
    try:
        way = Cutting(server, folder, point, turn, act, rewrite)
        try:
            yield way, f"host={folder} user=postgres dbname=postgres password=hunter2"
        finally:
            way.close()
    finally:
        shutil.rmtree(folder)
