"""JsonLinesSink: items as lines at the end of a file, on the disk when the write returns."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from ...abc import Sink
from ...errors import RejectedItemError
from ...message import DeadLetter
from ...naming import describe_item
from ..checks import checked_path, refuse_unless_seconds, refuse_unless_whole
from ..own_thread import OwnThread, own_thread
from .appended import Appended

__all__ = ("JsonLinesSink",)


class JsonLinesSink(Sink[Any]):
    r"""Items as lines of JSON at the end of a file, in UTF-8.

    When a write returns, its lines are on the disk, all of them; when it raises, none is there. What
    a program that was killed in the middle of a write has left, a line without its end, is dealt
    with before the next write: completed where it is a whole object, array, string or literal,
    else cut off; no write with that line ever returned. Any number of sinks and processes may
    append to one file; each write holds a lock (``flock``).

    Args:
        path: The file; made where it is not there.
        chunk: Most items in one write, with one ``fsync``.
        fsync: Wait for the disk. Without, lines outlive a killed program, not a lost machine.
        dumps: Makes a line's text, without line feeds, of an item; called in the session's
            thread. The default writes non-ASCII text as it is, and refuses NaN and infinities,
            which are no JSON.
        patience: Most seconds to wait for another who writes to the file.

    Raises:
        ValueError: An option is out of its range.

    Opened and written to, it raises ``RejectedItemError`` for an item that has no JSON form,
    ``StorageFullError`` where there is no room, ``StorageBusyError`` where another holds the lock
    for too long, and ``StorageError`` where the system refuses. Once the disk has failed to
    keep what it took, no further write of the session is tried.

    Example:
        >>> from pathlib import Path
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.connectors.json_lines import JsonLinesSink
        >>> list(DataFlow((JsonLinesSink("jobs.jsonl"),)).iterate(items=[{"n": 1}, {"n": 2}]))
        []
        >>> Path("jobs.jsonl").read_text()
        '{"n": 1}\n{"n": 2}\n'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        chunk: int = 1000,
        fsync: bool = True,
        dumps: Callable[[Any], str] | None = None,
        patience: float = 10.0,
    ) -> None:
        self._path = checked_path("JsonLinesSink(path)", path)
        refuse_unless_whole("JsonLinesSink(chunk=)", chunk)
        refuse_unless_seconds("JsonLinesSink(patience=)", patience)
        if dumps is not None and not callable(dumps):
            raise ValueError("JsonLinesSink(dumps=): a callable from an item to its text is needed")
        self.chunk = chunk
        self._fsync = fsync
        self._dumps = dumps
        self._patience = patience

    def __repr__(self) -> str:
        return f"JsonLinesSink({self._path!r})"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        """Enter to open the file and get the function that appends; leave to close it."""
        async with own_thread(f"append to {self._path}") as thread:
            file = await thread.call(self._opened, thread)

            async def write(item: Any) -> None:
                await thread.call(self._write, file, [item] if self.chunk == 1 else item)

            yield write

    def _opened(self, thread: OwnThread) -> Appended:
        file = Appended(self._path, fsync=self._fsync, patience=self._patience)
        thread.closing.callback(file.close)
        file.append(b"")
        return file

    def _write(self, file: Appended, items: list[Any]) -> None:
        file.append(b"".join(map(self._line, items)))

    def _line(self, item: Any) -> bytes:
        try:
            line = _json(item) if self._dumps is None else self._dumps(item).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise RejectedItemError(
                f"{self._path}: an item ({describe_item(item)}) has no form as a line of JSON: "
                f"{type(error).__qualname__}; dumps= can give it one"
            ) from error
        if b"\n" in line:
            raise RejectedItemError(
                f"{self._path}: what dumps= made of an item ({describe_item(item)}) is more than one line"
            )
        return line + b"\n"


def _json(item: Any) -> bytes:
    told = item.as_dict() if isinstance(item, DeadLetter) else item
    text = json.dumps(told, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair, which JSON can name and UTF-8 cannot hold.
        return json.dumps(item, allow_nan=False).encode("ascii")
