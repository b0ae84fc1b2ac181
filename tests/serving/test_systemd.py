"""What the service manager hears."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import AckableSource, DataFlow, Message, Sink, Source, merge, stage
from asyncdataflow.policy import Restart
from asyncdataflow.serving.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """The manager's end of the socket."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@asyncdataflow-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(name.replace("@", "\0", 1))
        end.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield end


def heard(manager):
    told = []
    while True:
        try:
            told.append(manager.recv(4096).decode().splitlines()[0])
        except BlockingIOError:
            return told


async def ticks():
    while True:
        yield 0
        await asyncio.sleep(0.01)


def serve(flow, *signals):
    async def main():
        for place, each in enumerate(signals):
            asyncio.get_running_loop().call_later(0.1 * (place + 1), os.kill, os.getpid(), each)
        return await flow.serve()

    return asyncio.run(main())


def test_it_hears_that_it_is_ready_and_that_it_stops(manager):
    serve(DataFlow((ticks, str)), signal.SIGTERM)
    assert heard(manager) == ["READY=1", "STOPPING=1"]


class Slow:
    """Opens late, and notes what has been heard by then.

    Args:
        hears: Tells what was heard.
        failures: Times that it cannot be opened.
    """

    def __init__(self, hears, failures=0):
        self.hears, self.failures = hears, failures
        self.heard = []

    async def ready(self):
        await asyncio.sleep(0.02)
        self.heard += [self.hears()]
        if len(self.heard) <= self.failures:
            raise ConnectionError
        return self


class Reads(Slow, Source):
    @asynccontextmanager
    async def open(self):
        await self.ready()
        yield a_few()


class Answered(Slow, AckableSource):
    @asynccontextmanager
    async def open(self, after=None):
        yield await self.ready()

    async def __aiter__(self):
        yield Message(0)

    async def answer(self, answers):
        pass


class Writes(Slow, Sink):
    @asynccontextmanager
    async def open(self):
        await self.ready()
        yield str


async def a_few():
    for number in range(3):
        yield number


async def use(item, *, own):
    return item


ANEW = Restart(first=0.001)
OPENING = {
    "a resource": (Slow, lambda slow: DataFlow((range(3), use), resources={"own": slow.ready})),
    "a source": (Reads, lambda slow: DataFlow((slow, str))),
    "a source that is answered": (Answered, lambda slow: DataFlow((slow, str))),
    "a source beside another": (Reads, lambda slow: DataFlow(((a_few, slow), merge, str))),
    "a sink": (Writes, lambda slow: DataFlow((a_few, slow))),
    "several workers of a sink in a branch": (
        Writes,
        lambda slow: DataFlow((a_few, str, {"a": stage(slow, concurrency=3), "b": str})),
    ),
    "what workers have of their own": (
        Slow,
        lambda slow: DataFlow((a_few, stage(use, per_worker={"own": slow.ready}))),
    ),
}


@pytest.mark.parametrize("what", OPENING)
def test_it_hears_that_it_is_ready_when_all_is_open(manager, what):
    sort, made = OPENING[what]
    slow = sort(lambda: heard(manager))
    serve(made(slow))
    assert slow.heard
    assert not any(slow.heard)
    assert heard(manager) == ["READY=1"]


@pytest.mark.parametrize("sort", [Reads, Answered])
def test_a_source_that_is_opened_anew_is_waited_for_while_others_give_results(manager, sort):
    slow, results = sort(lambda: (heard(manager), len(results)), failures=3), []
    flow = DataFlow(((a_few, stage(slow, restart=ANEW)), merge, str))
    asyncio.run(flow.serve(on_result=results.append))
    assert slow.heard == [([], 3)] * 4
    assert heard(manager) == ["READY=1"]


@pytest.mark.parametrize("what", OPENING)
def test_it_does_not_hear_so_of_what_is_drained_while_it_opens(manager, what):
    sort, made = OPENING[what]
    slow = sort(lambda: slow.heard or os.kill(os.getpid(), signal.SIGTERM))
    assert serve(made(slow)).reason == "drained"
    assert heard(manager) == ["STOPPING=1"]


def test_it_does_not_hear_so_of_what_cannot_be_opened(manager):
    def pool():
        raise ConnectionError

    async def use(item, *, db):
        return item

    with pytest.raises(ConnectionError):
        serve(DataFlow((range(3), use), resources={"db": pool}))
    assert heard(manager) == []


def test_the_watchdog_hears_the_loop_at_half_its_time(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    serve(DataFlow((ticks, str)), signal.SIGTERM)
    told = heard(manager)
    # At once, and when 50 ms have passed.
    assert told.count("WATCHDOG=1") >= 2


def test_the_watchdog_does_not_hear_a_loop_that_is_blocked(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    quiet = []

    async def block(item):
        heard(manager)
        time.sleep(0.1)  # longer than five times its half
        quiet.extend(heard(manager))

    serve(DataFlow((range(1), block)))
    assert quiet == []


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "many"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"},
    ],
    ids=str,
)
def test_without_a_watchdog_of_ours_nothing_beats(manager, monkeypatch, environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    serve(DataFlow((range(3), str)))
    assert heard(manager) == ["READY=1"]


def test_a_manager_that_is_gone_is_no_failure(tmp_path, caplog):
    with Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}) as notifier:
        notifier.ready()
    assert "READY=1 was not told" in caplog.text


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}], ids=str)
def test_without_a_socket_nothing_is_said(environ, caplog):
    with Notifier(environ) as notifier:
        notifier.ready()
        notifier.stopping("draining")
    assert not caplog.text
