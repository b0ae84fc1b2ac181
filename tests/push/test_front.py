"""A unix socket in front of an open run: lines of JSON in and out, its owner's alone, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.errors import ConnectorSetupError
from asyncdataflow.push import front
from asyncdataflow.push.front import listening
from tests.process_functions import FrozenError


async def double(n):
    if n == 13:
        raise ValueError("thirteen")
    await asyncio.sleep(0)
    return 2 * n


class Asking:
    """A client."""

    def __init__(self, path):
        self.path = path

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_unix_connection(str(self.path))
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        await self.writer.wait_closed()

    async def ask(self, line):
        self.writer.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        return await self.told()

    async def told(self):
        line = await self.reader.readline()
        return json.loads(line) if line else None


@pytest.fixture
def path(tmp_path):
    return tmp_path / "service.sock"


def served(path, play, definition=(double,), **options):
    async def main():
        async with DataFlow(definition).open() as run, listening(run, path, **options):
            return await play()

    return asyncio.run(main())


def test_each_line_gets_its_own_line(path):
    async def play():
        async with Asking(path) as client:
            assert [await client.ask(n) for n in range(3)] == [{"result": 0}, {"result": 2}, {"result": 4}]
            assert await client.ask(13) == {"error": {"type": "ValueError", "text": "ValueError('thirteen')"}}
            assert await client.ask(b"{nonsense\n") == {
                "error": {
                    "type": "BadMessageError",
                    "text": "a line is no JSON: Expecting property name enclosed in double quotes: "
                    "line 1 column 2 (char 1)",
                }
            }
            assert await client.ask(4) == {"result": 8}

    served(path, play)


def test_lines_that_come_together_are_answered_in_their_order(path):
    async def late(n):
        await asyncio.sleep(0.005 * (5 - n))
        return n

    async def play():
        async with Asking(path) as client:
            client.writer.write(b"0\n1\n{nonsense\n2\n3")
            told = [await client.told() for _ in range(4)]
            assert [each.get("result") for each in told] == [0, 1, None, 2]
            assert await client.ask(b"\n4\n") == {"result": 3}
            assert await client.told() == {"result": 4}

    served(path, play, (stage(late, concurrency=5, ordered=False),))


class Mute:
    def __str__(self):
        raise ValueError("mute")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'"\\ud800"\n', "BadResultError"),
        (b"[" * 100_000 + b"\n", "BadMessageError"),
        (b"NaN\n", "BadMessageError"),
        (b"1e999\n", "BadResultError"),
        (b'"tuple"\n', "BadResultError"),
        (b'"mute"\n', "BadResultError"),
    ],
)
def test_what_is_no_json_is_told_and_the_client_goes_on(path, line, kind):
    async def odd(item):
        return {"tuple": {(1, 2): 3}, "mute": Mute()}.get(str(item), item)

    async def play():
        async with Asking(path) as client:
            assert (await client.ask(line))["error"]["type"] == kind
            assert await client.ask(1) == {"result": 1}

    served(path, play, (odd,))


def test_clients_are_served_side_by_side(path):
    async def play():
        async def ask(n):
            async with Asking(path) as client:
                return await client.ask(n)

        return await asyncio.gather(*(ask(n) for n in range(20)))

    told = served(path, play)
    assert "error" in told.pop(13)
    assert told == [{"result": 2 * n} for n in range(20) if n != 13]


def test_the_socket_is_its_owners_alone_and_goes_with_the_block(path):
    async def play():
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    before = os.umask(0)
    try:
        served(path, play)
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_line_that_is_too_long_ends_its_client_only(path):
    async def play():
        async with Asking(path) as client, Asking(path) as other:
            told = await client.ask(b'"' + b"x" * 5000 + b'"\n')
            assert told["error"]["type"] == "LineTooLongError"
            assert await client.told() is None
            assert await other.ask(3) == {"result": 6}

    served(path, play, longest_line=1000)


def test_a_client_too_many_is_told_so(path):
    async def play():
        async with Asking(path) as one:
            assert await one.ask(1) == {"result": 2}
            async with Asking(path) as other:
                assert (await other.told())["error"]["type"] == "BusyError"
                assert await other.told() is None
            assert await one.ask(2) == {"result": 4}
        for _ in range(100):
            await asyncio.sleep(0.001)
        async with Asking(path) as third:
            assert await third.ask(3) == {"result": 6}

    served(path, play, most_clients=1)


def test_of_many_that_come_at_once_as_many_are_served_as_there_is_room_for(path):
    async def play():
        async with contextlib.AsyncExitStack() as stack:
            clients = [Asking(path) for _ in range(7)]
            await asyncio.gather(*(stack.enter_async_context(each) for each in clients))
            for each in clients[4:]:
                assert (await each.told())["error"]["type"] == "BusyError"
            assert [await each.ask(1) for each in clients[:4]] == [{"result": 2}] * 4

    served(path, play, most_clients=4)


def test_an_error_that_nothing_can_be_written_to_comes_out_as_itself(path):
    async def play():
        raise FrozenError("own")

    with pytest.raises(FrozenError):
        served(path, play)
    assert not path.exists()


def test_leaving_lets_clients_go_in_the_midst_of_a_call(path):
    async def stuck(n):
        await asyncio.Event().wait()

    async def main():
        async with DataFlow((stage(stuck),)).open() as run:
            async with listening(run, path):
                client = await Asking(path).__aenter__()
                client.writer.write(b"1\n")
                while not run.under_way:
                    await asyncio.sleep(0.001)
            assert await client.told() is None
            await client.__aexit__()
        with pytest.raises(FileNotFoundError):
            await asyncio.open_unix_connection(str(path))

    asyncio.run(main())


def test_a_client_that_does_not_read_holds_nothing_up(path, monkeypatch):
    monkeypatch.setattr(front, "_LAST_BYTES", 0.01)
    made = asyncio.Event()

    async def much(n):
        made.set()
        return "x" * (1 << 22)

    async def main():
        async with asyncio.timeout(5):
            async with DataFlow((much,)).open() as run, listening(run, path):
                _, writer = await asyncio.open_unix_connection(str(path), limit=1)
                writer.write(b"1\n")
                await made.wait()
                while run.under_way:
                    await asyncio.sleep(0)
        writer.close()

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(8))
def test_a_client_that_comes_as_the_service_goes_is_let_go(path, steps):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            async with DataFlow((double,)).open() as run:
                async with listening(run, path):
                    await loop.sock_connect(client, str(path))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                with contextlib.suppress(ConnectionResetError):  # It was not even let in.
                    assert await loop.sock_recv(client, 1) == b""

    asyncio.run(main())


def test_a_client_that_leaves_without_waiting_harms_nobody(path):
    async def play():
        for _ in range(10):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"1\n2\n")
            writer.close()
            await writer.wait_closed()
        async with Asking(path) as client:
            assert await client.ask(3) == {"result": 6}

    served(path, play)


def test_what_a_program_left_behind_is_replaced_and_nothing_else(path):
    async def play():
        async with Asking(path) as client:
            return await client.ask(1)

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert served(path, play) == {"result": 2}
    path.write_text("mine")
    with pytest.raises(ConnectorSetupError, match="something else"):
        served(path, play)
    assert path.read_text() == "mine"


def test_a_program_that_listens_there_is_left_alone(path):
    async def main():
        async with DataFlow((double,)).open() as run, listening(run, path):
            with pytest.raises(ConnectorSetupError, match="another program"):
                async with listening(run, path):
                    pass
            async with Asking(path) as client:
                assert await client.ask(1) == {"result": 2}

    asyncio.run(main())


@pytest.mark.parametrize("where", ["no/such/folder.sock", "a_file/service.sock", "long" * 40])
def test_a_path_at_which_no_socket_can_be_made_is_refused_by_name(path, where):
    (path.parent / "a_file").touch()

    async def main():
        async with DataFlow((double,)).open() as run:
            with pytest.raises(ConnectorSetupError, match=f"{where}: no socket can be made there"):
                async with listening(run, path.parent / where):
                    pass

    asyncio.run(main())
