"""``run --socket``: what signals do to a flow that takes items, and when it says that it listens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from types import SimpleNamespace

import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.cli.calls import serve_calls
from asyncdataflow.errors import ShutdownTimeoutError
from tests.cli.command import invoke


def serve(definition, path, play, *, within=(30.0, 5.0), **options):
    """The exit code, while ``play`` does something beside it."""

    async def main():
        prepared = SimpleNamespace(flow=DataFlow(definition, **options), params=None)
        playing = asyncio.create_task(play())
        try:
            return await serve_calls(prepared, path, *within)
        finally:
            playing.cancel()
            await asyncio.wait([playing])

    return asyncio.run(main())


async def send_item(path):
    """A client that has sent one."""
    while not path.exists():
        await asyncio.sleep(0.001)
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"1\n")
    try:
        await reader.read()
    finally:
        writer.close()


def kill():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "asyncdataflow")
    return lambda: [each.getMessage() for each in caplog.records]


def test_a_second_signal_cuts_calls_off_and_says_so(tmp_path, told):
    async def stuck(n):
        kill()
        await asyncio.sleep(0.01)
        kill()
        await asyncio.Event().wait()

    assert serve((stuck,), tmp_path / "socket", lambda: send_item(tmp_path / "socket")) == 3
    listening, draining, stopping = told()
    assert "listening on" in listening
    assert "SIGTERM: draining, for at most 30.0 s" in draining
    assert "SIGTERM: stopping; unsettled: 1 in or before stuck" in stopping


class TestItSaysThatItListens:
    @pytest.fixture(params=["a resource", "what workers have of their own"])
    def flow(self, request):
        """Given what opens, a definition and options."""

        async def use(n, *, own):
            return n

        if request.param == "a resource":
            return lambda opens: ((use,), {"resources": {"own": opens}})
        return lambda opens: ((stage(use, per_worker={"own": opens}),), {})

    def test_when_all_is_open(self, tmp_path, told, flow):
        before = []

        async def opens():
            await asyncio.sleep(0.02)
            before.extend(told())
            asyncio.get_running_loop().call_later(0.02, kill)

        definition, options = flow(opens)
        assert serve(definition, tmp_path / "socket", asyncio.Event().wait, **options) == 0
        assert not before
        assert "listening on" in told()[0]

    def test_but_not_where_it_is_drained_before(self, tmp_path, told, flow):
        async def opens():
            kill()
            await asyncio.sleep(0.02)

        definition, options = flow(opens)
        assert serve(definition, tmp_path / "socket", asyncio.Event().wait, **options) == 0
        assert not any("listening" in each for each in told())

    def test_nor_where_it_cannot_be_opened(self, tmp_path, told, flow):
        async def opens():
            raise ConnectionError

        definition, options = flow(opens)
        with pytest.raises(ConnectionError):
            serve(definition, tmp_path / "socket", asyncio.Event().wait, **options)
        assert not any("listening" in each for each in told())


@pytest.mark.leaks("tasks", reason="it swallows its cancellation for longer than it is waited for")
def test_past_the_drain_s_deadline_workers_have_the_stop_s(tmp_path):
    over = asyncio.Event()

    async def stubborn(n):
        kill()
        asyncio.get_running_loop().call_later(0.3, over.set)
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()

    path = tmp_path / "socket"
    with pytest.raises(ShutdownTimeoutError, match="drain took over") as caught:
        serve((stubborn,), path, lambda: send_item(path), within=(0.01, 0.02))
    (note,) = caught.value.__notes__
    assert "did not end within 0.02 s" in note


def test_a_path_at_which_no_socket_can_be_made_is_refused(tmp_path):
    flow = tmp_path / "doubled.py"
    flow.write_text(
        "from asyncdataflow import DataFlow\nasync def double(n): return 2 * n\nflow = DataFlow((double,))\n"
    )
    done = invoke("run", f"{flow}:flow", "--socket", flow)
    assert done.exit_code == 2
    assert "something else is there" in done.stderr
    assert "Traceback" not in done.stderr
