"""What signals do to a flow that takes items."""

from __future__ import annotations

import asyncio
import logging
import signal

import pytest

from asyncdataflow import DataFlow
from asyncdataflow.cli.calls import _Calls
from asyncdataflow.errors import RunEndedError
from asyncdataflow.serving.systemd import Notifier
from tests.cli.command import invoke


def test_a_second_signal_cuts_calls_off_and_says_so(caplog):
    caplog.set_level(logging.INFO, "asyncdataflow")
    begun = asyncio.Event()

    async def stuck(n):
        begun.set()
        await asyncio.Event().wait()

    async def main():
        async with DataFlow((stuck,)).open() as run:
            calls = _Calls(run, Notifier({}), 30.0, 5.0)
            call = asyncio.create_task(run.call(1))
            await begun.wait()
            calls.told(signal.SIGTERM)
            assert calls.code == 0
            calls.told(signal.SIGTERM)
            with pytest.raises(RunEndedError):
                await call
            return calls.code

    assert asyncio.run(main()) == 3
    told = [each.getMessage() for each in caplog.records]
    assert "draining" in told[0]
    assert "stopping; calls that are cut off: 1" in told[1]


def test_a_path_at_which_no_socket_can_be_made_is_refused(tmp_path):
    flow = tmp_path / "doubled.py"
    flow.write_text(
        "from asyncdataflow import DataFlow\nasync def double(n): return 2 * n\nflow = DataFlow((double,))\n"
    )
    done = invoke("run", f"{flow}:flow", "--socket", flow)
    assert done.exit_code == 2
    assert "something else is there" in done.stderr
    assert "Traceback" not in done.stderr
