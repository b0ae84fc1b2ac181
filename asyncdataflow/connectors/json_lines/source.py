"""JsonLinesSource: the lines of files as items, with how far they are done."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from ...abc import AckableSource, Positions, Subscription
from ...errors import BadMessageError
from ...policy import Retry
from ..checks import POLITE, checked_path, refuse_unless_whole
from ..marked import Marks
from ..own_thread import OwnThread
from ..subscription import Record
from .lines import Line, LineReader, is_whole

__all__ = ("JsonLinesSource",)

_AT_ONCE: Final = 256
"""Most lines that are read ahead."""

_logger = logging.getLogger("asyncdataflow")


class JsonLinesSource(AckableSource[Any]):
    r"""The lines of files as items: each line a value of JSON, in UTF-8.

    An item's position is the offset behind its line with a checksum of what lies before it, by which
    the file is known again; its partition is the file's name as it is given.
    With ``positions`` a run begins where those before it have finished: the mark of a file never
    passes a line that is not done, so that lines behind one that was not come again. What was
    nacked comes again before new lines do.

    Empty lines are passed over. A last line without a line feed is an item where it is a whole
    object, array, string or literal. Else it is torn: somebody is writing it, or died over it.
    With ``follow`` its end is waited for; without, it is a bad line.

    Args:
        path: A file, or several, which are read one after the other, or in turn with ``follow``.
        positions: A small file in which to keep how far each file is done. Without it, each run
            begins at the start.
        follow: Wait for more at the end of a file instead of ending.
        poll: Seconds between two looks for more.
        max_line: Most bytes of a line.
        on_bad_line: What becomes of a line that is no JSON, or too long: ``"fail"`` raises,
            ``"skip"`` logs where it lies and goes on. A torn one is left to a later run.
        max_unacked: Most items given and not yet answered.
        redeliver: How often and after which waits something is given again in one session.
        loads: Makes an item of a line's text; called in the session's thread.

    Raises:
        ValueError: An option is out of its range.

    Opened and read, it raises ``SourceChangedError`` where a file ends before the place that it was
    read up to or is another one now, as after a rotation, ``BadMessageError`` for a bad line,
    ``RedeliveryError`` where an item was nacked too often, and ``StorageError`` where the system refuses.

    Example:
        >>> from pathlib import Path
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.connectors.json_lines import JsonLinesSource
        >>> _ = Path("jobs.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
        >>> DataFlow((JsonLinesSource("jobs.jsonl"), lambda job: job["n"] * 10))()
        [10, 20]
    """

    has_positions = True

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        positions: str | os.PathLike[str] | None = None,
        follow: bool = False,
        poll: float = 0.2,
        max_line: int = 1 << 20,
        on_bad_line: Literal["fail", "skip"] = "fail",
        max_unacked: int = 1000,
        redeliver: Retry = POLITE,
        loads: Callable[[str], Any] = json.loads,
    ) -> None:
        paths = [path] if isinstance(path, str | os.PathLike) else path
        self._paths = [checked_path("JsonLinesSource(path)", each) for each in paths]
        if not self._paths or len(set(self._paths)) < len(self._paths):
            raise ValueError("JsonLinesSource(path): one file or more is needed, each once")
        self._marks = Marks.checked(
            "JsonLinesSource", positions=positions, follow=follow, poll=poll, redeliver=redeliver
        )
        refuse_unless_whole("JsonLinesSource(max_line=)", max_line)
        refuse_unless_whole("JsonLinesSource(max_unacked=)", max_unacked)
        if on_bad_line not in {"fail", "skip"}:
            raise ValueError(f'JsonLinesSource(on_bad_line=): "fail" or "skip", not {on_bad_line!r}')
        if not callable(loads):
            raise ValueError("JsonLinesSource(loads=): a callable from a line's text to an item is needed")
        self.max_unacked = max_unacked
        self._max_line = max_line
        self._skips = on_bad_line == "skip"
        self._loads = loads

    def __repr__(self) -> str:
        return f"JsonLinesSource({', '.join(map(repr, self._paths))})"

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncIterator[Subscription[Any]]:
        """Enter to open the files, behind ``after`` or the kept positions; leave to close them."""
        async with self._marks.session(f"read {self._paths[0]}", after, self._opened) as session:
            yield session

    def _opened(self, thread: OwnThread, start: Positions) -> Callable[[], list[Record[Any]]]:
        files = _Files(self._paths, start, self._max_line, self._marks.follow, self._item)
        files.open(thread)
        return lambda: files.read(_AT_ONCE)

    def _item(self, path: str, line: Line, torn: bool) -> Record[Any] | None:
        """What a line comes to: an item, or what is skipped; ``None`` for an empty one."""
        try:
            if line.data is None:
                raise _BadLineError(f"it is longer than max_line={self._max_line} bytes")
            text = line.data.decode("utf-8")
            if not text.strip():
                return None
            if torn and not is_whole(line.data):
                raise _BadLineError("it is torn: the file ends before the line does")
            return Record(self._loads(text), _position(line), path)
        except (ValueError, RecursionError) as error:
            where = f"{path}: the line at offset {line.begin} is no item: {_reason(error)}"
            if not self._skips:
                raise BadMessageError(f"{where}; on_bad_line='skip' goes on behind it") from error
            _logger.warning("%s; it is skipped", where)
            return None if torn else Record(None, _position(line), path, skipped=True)


def _position(line: Line) -> tuple[int, int]:
    return line.end, line.checksum


def _start(path: str, position: object) -> tuple[int, int | None]:
    """Where to begin, and the checksum of what lies before.

    Raises:
        ValueError: It is no position.
    """
    match position:
        case int(offset) if offset >= 0:
            return offset, None  # One that was kept before there were checksums, or 0.
        case (int(offset), int(checksum)) if offset >= 0:
            return offset, checksum
        case _:
            raise ValueError(
                f"{path}: a position is an offset in the file, alone or with a checksum of what lies "
                f"before it, not {position!r}"
            )


def _reason(error: ValueError | RecursionError) -> str:
    """Why a line is none, without what is in it."""
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} (character {error.pos})"
        case UnicodeDecodeError():
            return f"byte {error.start} is no UTF-8"
        case RecursionError():
            return "it is nested too deep"
        case _BadLineError():
            return str(error)
        case _:
            return type(error).__qualname__


class _BadLineError(ValueError):
    """Says nothing of what is in a line."""


class _Files:
    """The files of a session, in its thread."""

    def __init__(
        self,
        paths: Sequence[str],
        start: Positions,
        max_line: int,
        follow: bool,
        item: Callable[[str, Line, bool], Record[Any] | None],
    ) -> None:
        self._paths = paths
        self._start = start
        self._max_line = max_line
        self._follow = follow
        self._item = item
        self._readers: list[LineReader] = []
        self._failed: BadMessageError | None = None

    def open(self, thread: OwnThread) -> None:
        """Open all files: one that is not there, or is another, is told before anything is read."""
        for path in self._paths:
            begin, checksum = _start(path, self._start.get(path, 0))
            reader = LineReader(path, begin, checksum, self._max_line)
            thread.closing.callback(reader.close)
            self._readers.append(reader)

    def read(self, most: int) -> list[Record[Any]]:
        """The next records, of the first file that has any; none at the end, of all that is there now."""
        if self._failed is not None:
            raise self._failed
        for reader in list(self._readers):
            while lines := reader.read(most):
                records = self._records(reader, lines)
                if records:
                    self._take_turns(reader)
                    return records
            if self._follow:
                reader.look_for_changes()
                continue
            self._readers.remove(reader)
            torn = reader.rest()
            last = None if torn is None else self._item(reader.path, torn, True)
            if last is not None:
                return [last]
        return []

    def _records(self, reader: LineReader, lines: Sequence[Line]) -> list[Record[Any]]:
        records: list[Record[Any]] = []
        for line in lines:
            try:
                record = self._item(reader.path, line, False)
            except BadMessageError as error:
                if not records:
                    raise
                self._failed = error  # Told when its turn comes: what lies before it is well.
                break
            if record is not None:
                records.append(record)
        return records

    def _take_turns(self, reader: LineReader) -> None:
        """With ``follow``, one file that is always written must not keep back the others."""
        if self._follow:
            self._readers.remove(reader)
            self._readers.append(reader)
