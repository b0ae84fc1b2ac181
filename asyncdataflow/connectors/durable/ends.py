"""Durable, and its two ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from ...abc import AckableSource, Positions, Sink, Subscription
from ...errors import BadMessageError, RejectedItemError, StorageBusyError
from ...naming import describe_item
from ...policy import DurableBuffer, Retry
from ..checks import POLITE, refuse_unless_retry, refuse_unless_seconds, refuse_unless_whole
from ..own_thread import OwnThread, own_thread
from ..sqlite.database import checked_database
from ..storage import named_errors
from ..subscription import Reading, Record
from .bell import Bell
from .codec import Codec, JsonCodec
from .stored import Bounds, Stored

__all__ = ("Durable",)

_AT_ONCE: Final = 256
_PAUSE: Final = 0.005


class Durable(DurableBuffer):
    """A bounded queue on the disk: what was put survives until it is acked.

    ``sink()`` is the end at which items are put: a write returns when they are on the disk, and
    waits while there is no room. ``source()`` is the end at which they come out, oldest first, and
    are taken out for good when they are acked. What was put and not acked, and only that, comes
    again in the next run, be it after ``kill -9``. One run at a time may read; any number may put,
    from other processes too.

    It is a SQLite database in WAL mode with ``synchronous=FULL``. What is damaged is not skipped:
    it stops with ``CorruptStorageError``. Without room on the disk it stops with
    ``StorageFullError``; what was acked or put before stays so.

    Args:
        path: The file; made where it is not there, for its owner only.
        max_items: Most items that lie there.
        max_bytes: Most bytes of encoded items that lie there; one larger item lies there alone.
        codec: Makes bytes of items; JSON is the default, for items that come back from it the same.
        chunk: Most items in one write.
        max_unacked: Most items given and not yet answered.
        redeliver: How often and after which waits something that was nacked is given again in one run.
        poll: Seconds between two looks for what other processes have put or taken out.
        patience: Most seconds to wait for another's lock.

    Raises:
        ValueError: An option is out of its range.

    Example:
        >>> import asyncio
        >>> from asyncdataflow.connectors.durable import Durable
        >>> from asyncdataflow.message import Answer
        >>> async def main():
        ...     buffer = Durable("buffer.db")
        ...     async with buffer.sink().open() as put:
        ...         await put([{"n": 1}, {"n": 2}])
        ...     async with buffer.source(follow=False).open() as session:
        ...         first = await anext(session)
        ...         await session.answer([Answer(first)])
        ...     async with buffer.source(follow=False).open() as session:
        ...         return [message.item async for message in session]
        >>> asyncio.run(main())
        [{'n': 2}]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_items: int = 1_000_000,
        max_bytes: int = 1 << 30,
        codec: Codec | None = None,
        chunk: int = 1000,
        max_unacked: int = 1000,
        redeliver: Retry = POLITE,
        poll: float = 0.25,
        patience: float = 10.0,
    ) -> None:
        self._path = checked_database("Durable(path)", path)
        for name, value in (
            ("max_items", max_items),
            ("max_bytes", max_bytes),
            ("chunk", chunk),
            ("max_unacked", max_unacked),
        ):
            refuse_unless_whole(f"Durable({name}=)", value)
        refuse_unless_retry("Durable(redeliver=)", redeliver)
        refuse_unless_seconds("Durable(poll=)", poll)
        refuse_unless_seconds("Durable(patience=)", patience)
        self._codec: Codec = JsonCodec() if codec is None else codec
        if not isinstance(getattr(self._codec, "name", None), str):
            raise ValueError("Durable(codec=): an object with name, encode and decode is needed")
        self._bounds = Bounds(max_items, max_bytes)
        self._chunk = chunk
        self._max_unacked = max_unacked
        self._redeliver = redeliver
        self._poll = poll
        self._patience = patience
        self._bell = Bell()
        self._turns = threading.Lock()

    def __repr__(self) -> str:
        return f"Durable({self._path!r})"

    def sink(self) -> Sink[Any]:
        """The end at which items are put."""
        return _Put(self, self._chunk)

    def source(self, *, follow: bool = True) -> AckableSource[Any]:
        """The end at which they come out.

        Args:
            follow: Wait for more when it is empty. Its sessions have ``finish()``, after which
                nothing more is waited for. Else it ends when it is empty.
        """
        return _TakenOut(self, follow, self._max_unacked)

    @asynccontextmanager
    async def _putting(self) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        changed = asyncio.Event()
        async with own_thread(f"put into {self._path}") as thread:
            stored = await thread.call(self._stored, thread)
            with self._bell.heard(changed.set):

                async def write(item: Any) -> None:
                    items = [item] if self._chunk == 1 else item
                    changed.clear()
                    left, put = await thread.call(self._begun, stored, items)
                    while True:
                        if put:
                            self._bell.ring()
                        left = left[put:]
                        if not left:
                            return
                        if not put:
                            await _either(changed, self._poll)
                        changed.clear()
                        put = await thread.call(stored.put, left)

                yield write

    @asynccontextmanager
    async def _taking_out(self, follow: bool, after: Positions | None) -> AsyncIterator[Subscription[Any]]:
        number = 0 if after is None else after.get(None, 0)
        if not isinstance(number, int):
            raise ValueError(f"{self._path}: a position is a whole number, not {number!r}")
        async with own_thread(f"take out of {self._path}") as thread:
            stored = await thread.call(self._claimed, thread, number)
            session = _Session(self, thread, stored, number, follow)
            with self._bell.heard(session.look):
                try:
                    yield session
                finally:
                    session.close()

    def _stored(self, thread: OwnThread) -> Stored:
        stored = Stored(
            self._path,
            codec=self._codec.name,
            bounds=self._bounds,
            patience=self._patience,
            turns=self._turns,
        )
        thread.closing.callback(stored.close)
        return stored

    def _claimed(self, thread: OwnThread, number: int) -> Stored:
        """The queue, for a reader: the only one."""
        path = f"{self._path}.lock"
        with named_errors(f"{path}: opening"):
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        thread.closing.callback(os.close, lock)
        until = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StorageBusyError(
                        f"{self._path}: another run has been reading it for {self._patience:g} s; "
                        "one reads at a time"
                    ) from None
                time.sleep(_PAUSE)
        stored = self._stored(thread)
        stored.look()
        if number:
            stored.remove_up_to(number)
        return stored

    def _begun(self, stored: Stored, items: Sequence[Any]) -> tuple[list[bytes], int]:
        """Items as bytes, all of them before any is put; and how many of them were."""
        encoded = self._encoded(items)
        return encoded, stored.put(encoded)

    def _encoded(self, items: Sequence[Any]) -> list[bytes]:
        encoded = []
        for item in items:
            try:
                encoded.append(self._codec.encode(item))
            except (TypeError, ValueError, RecursionError) as error:
                # What a codec of somebody else's says may tell what is in the item.
                why = error if isinstance(self._codec, JsonCodec) else type(error).__qualname__
                raise RejectedItemError(
                    f"{self._path}: an item ({describe_item(item)}) cannot be kept: {why}"
                ) from error
        return encoded

    def _decoded(self, number: int, data: bytes) -> Any:
        try:
            return self._codec.decode(data)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadMessageError(
                f"{self._path}: the item {number} is none that the codec {self._codec.name!r} knows"
            ) from error


class _Put(Sink[Any]):
    """The end at which items are put."""

    def __init__(self, durable: Durable, chunk: int) -> None:
        self._durable = durable
        self.chunk = chunk

    def __repr__(self) -> str:
        return f"{self._durable!r}.sink()"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        """Enter to open the file and get the function that puts; leave to close it."""
        async with self._durable._putting() as write:
            yield write


class _TakenOut(AckableSource[Any]):
    """The end at which they come out."""

    has_positions = True

    def __init__(self, durable: Durable, follow: bool, max_unacked: int) -> None:
        self._durable = durable
        self._follow = follow
        self.max_unacked = max_unacked

    def __repr__(self) -> str:
        return f"{self._durable!r}.source()"

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncIterator[Subscription[Any]]:
        """Enter to claim the queue and open it; leave to close it."""
        async with self._durable._taking_out(self._follow, after) as session:
            yield session


class _Session(Reading[Any]):
    """What comes out, and is taken out when it is acked."""

    def __init__(
        self, durable: Durable, thread: OwnThread, stored: Stored, behind: int, follow: bool
    ) -> None:
        super().__init__(redeliver=durable._redeliver, follow=follow, poll=durable._poll)
        self._durable = durable
        self._thread = thread
        self._stored = stored
        self._last = behind

    def _begin_reading(self) -> asyncio.Future[list[Record[Any]]]:
        return self._thread.begin(self._read)

    def _read(self) -> list[Record[Any]]:
        """In the thread."""
        records: list[Record[Any]] = []
        for row in self._stored.read(self._last, _AT_ONCE):
            try:
                item = self._durable._decoded(row.number, row.data)
            except BadMessageError:
                if not records:
                    raise
                break  # Told when its turn comes: what lies before it is well.
            records.append(Record(item, row.number, size=len(row.data)))
            self._last = row.number
        return records

    def _given(self, record: Record[Any]) -> tuple[int, int]:
        return record.position, record.size

    def _skipped(self, record: Record[Any]) -> None:
        """Nothing is."""

    async def _keep(self, acked: list[Any]) -> None:
        await self._thread.call(self._stored.remove, acked)
        self._durable._bell.ring()


async def _either(changed: asyncio.Event, seconds: float) -> None:
    """Wait until something has changed, or so long."""
    try:
        async with asyncio.timeout(seconds) as scope:
            await changed.wait()
    except TimeoutError:
        if not scope.expired():
            raise
