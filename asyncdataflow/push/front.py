"""A front: gives an open run the items that other programs of this user send over a unix socket.

A client sends lines of JSON, an item each, and gets a line for each, in the same order:
``{"result": …}``, or ``{"error": {"type": …, "text": …}}``. The socket's file is for its owner
alone, and nothing but JSON is ever read from it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from ..errors import ConnectorSetupError
from ..naming import describe_error

__all__ = ("LONGEST_LINE", "MOST_CLIENTS", "Called", "listening")

LONGEST_LINE: Final = 1 << 20
MOST_CLIENTS: Final = 64

_STEPS: Final = 4
"""Of the loop, from a connection that is accepted to one that is known."""

_LAST_BYTES: Final = 1.0
"""Seconds that clients have to read what they were answered, once they are let go."""

_OWNER_ONLY: Final = stat.S_IRUSR | stat.S_IWUSR


class Called(Protocol):
    """What is given the items."""

    async def call(self, item: Any) -> Any:
        """As of ``OpenRun``."""


def listening(
    run: Called,
    path: str | os.PathLike[str],
    *,
    most_clients: int = MOST_CLIENTS,
    longest_line: int = LONGEST_LINE,
) -> AbstractAsyncContextManager[None]:
    r"""Listen while the block lasts; leaving it lets no client in, and lets go of those that are there.

    Args:
        run: Gets the items.
        path: The socket's file, its owner's alone; one that a program has left behind is replaced.
        most_clients: Clients at once; a further one is told so, and let go.
        longest_line: Most bytes of a line; a client that sends a longer one is told so, and let go.

    Raises:
        ConnectorSetupError: Something else is or listens there, or no socket can be made there.

    Example:
        >>> import asyncio, tempfile
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.push.front import listening
        >>> async def main():
        ...     with tempfile.TemporaryDirectory() as folder:
        ...         async with DataFlow((str.upper,)).open() as run, listening(run, f"{folder}/service"):
        ...             reader, writer = await asyncio.open_unix_connection(f"{folder}/service")
        ...             writer.write(b'"loud"\n')
        ...             print(await reader.readline())
        ...             writer.close()
        >>> asyncio.run(main())
        b'{"result": "LOUD"}\n'
    """
    return _Listening(_Front(run, most_clients), Path(path), longest_line)


class _Listening:
    """The block; ``asynccontextmanager`` would write to an error that leaves it, which may be frozen."""

    def __init__(self, front: _Front, path: Path, longest_line: int) -> None:
        self._front = front
        self._path = path
        self._longest_line = longest_line

    async def __aenter__(self) -> None:
        async with AsyncExitStack() as stack:
            bound = stack.enter_context(_bound(self._path))
            server = await asyncio.start_unix_server(self._front.accept, sock=bound, limit=self._longest_line)
            stack.push_async_callback(self._close, bound, server)
            self._opened = stack.pop_all()

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def _close(self, bound: socket.socket, server: asyncio.Server) -> None:
        # Closed while a connection is being accepted, asyncio would lose sight of that one.
        asyncio.get_running_loop().remove_reader(bound)
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        server.close()
        await self._front.let_go()


@contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    """A socket at a path, which nobody can connect to before its rights are right."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        try:
            _make_room(path)
            bound.bind(str(path))
        except OSError as error:
            why = error.strerror or error
            raise ConnectorSetupError(
                f"{path}: no socket can be made there ({why}); give another path"
            ) from None
        own = path.stat().st_ino
        try:
            path.chmod(_OWNER_ONLY)
            bound.setblocking(False)
            yield bound
        finally:
            # What another program has put there meanwhile is its own.
            with suppress(FileNotFoundError):
                if path.stat().st_ino == own:
                    path.unlink()


def _make_room(path: Path) -> None:
    """Remove what a program has left behind, and nothing else."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConnectorSetupError(f"{path}: something else is there; give another path")
        if _answers(path):
            raise ConnectorSetupError(f"{path}: another program listens there; give another path")
        path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(str(path))
        except OSError as error:
            return not isinstance(error, ConnectionRefusedError | FileNotFoundError)
    return True


class _Front:
    """The clients of one socket.

    Args:
        run: Gets their items.
        most: Most of them at once.
    """

    def __init__(self, run: Called, most: int) -> None:
        self._run = run
        self._most = most
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._served: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Another client."""
        # Known from here on: its task may be cancelled before its first step.
        free = len(self._served) < self._most
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, free=free))
        self._clients[task] = writer
        if free:
            self._served.add(task)
            task.add_done_callback(self._served.discard)
        task.add_done_callback(self._clients.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, free: bool) -> None:
        """One client, to its end."""
        try:
            if not free:
                await _write(writer, _error("BusyError", f"{self._most} clients are being served"))
            else:
                await self._answer(reader, writer)
        except ConnectionError:
            pass  # It has gone.
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                await _write(writer, _error("LineTooLongError", "a line is longer than is taken here"))
                return
            if not line:
                return
            await _write(writer, await self._answered(line))

    async def _answered(self, line: bytes) -> bytes:
        try:
            item = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            return _error("BadMessageError", f"a line is no JSON: {error}")
        try:
            result = await self._run.call(item)
        except Exception as error:  # noqa: BLE001 - whatever failed with it is told to whoever sent it
            return _error(type(error).__qualname__, describe_error(error))
        try:
            return _line({"result": result})
        except Exception as error:  # noqa: BLE001 - also what a result's own __str__ raises
            return _error("BadResultError", f"what came of it is no JSON: {describe_error(error)}")

    async def let_go(self) -> None:
        """End them all, also one that does not read."""
        clients = dict(self._clients)
        if not clients:
            return
        for task, writer in clients.items():
            task.cancel()
            writer.close()
        late = asyncio.get_running_loop().call_later(_LAST_BYTES, _abort, clients.values())
        try:
            await asyncio.wait(clients)
            await asyncio.gather(*(each.wait_closed() for each in clients.values()), return_exceptions=True)
        finally:
            late.cancel()
            _abort(clients.values())


def _abort(writers: Iterable[asyncio.StreamWriter]) -> None:
    """Close them without what they have not sent yet."""
    for each in writers:
        each.transport.abort()


async def _write(writer: asyncio.StreamWriter, told: bytes) -> None:
    writer.write(told)
    await writer.drain()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, allow_nan=False, default=str).encode() + b"\n"


def _error(kind: str, text: str) -> bytes:
    told = {"error": {"type": kind, "text": text}}
    # Escaped, a lone surrogate is no reason not to tell what is wrong.
    return json.dumps(told, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
