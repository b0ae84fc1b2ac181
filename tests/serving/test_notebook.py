"""In a notebook: a real kernel, whose loop runs already and whose signals are its own."""

from __future__ import annotations

import pytest

from tests.programs import DEADLINE

FLOWS = """
import asyncio, signal
from asyncdataflow import DataFlow, batch

async def ticks():
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.001)

def ours():
    now = map(signal.getsignal, (signal.SIGINT, signal.SIGTERM))
    return any(getattr(each, "__module__", "").startswith("asyncdataflow") for each in now)

def double(n): return 2 * n

few, endless = DataFlow((range(3), double)), DataFlow((ticks, double, batch(5)))
"""
EVERY_WAY = """
print(await few.run(), await few())
with few.iterate() as results:
    print(list(results))
async with endless.stream() as run:
    print(await anext(run))
async with DataFlow((double,)).open() as run:
    print(await run.call(21))
"""
SERVED = """
started = []
serving = asyncio.create_task(endless.serve(on_start=started.append))
await asyncio.sleep(0.05)
print(ours())
started[0].drain()
print((await serving).reason)
"""
INTERRUPTED = """
await endless.serve(on_start=lambda run: print("begun", flush=True))
"""
AFTERWARDS = """
left = [each for each in asyncio.all_tasks() if "asyncdataflow" in repr(each.get_coro())]
print(left, await few.run())
"""


class Kernel:
    """Runs cells."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def run(self, cell, *, interrupt_at=None):
        """What a cell has written, and the name of its error."""
        written, failed = [], []

        def hook(message):
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                written.append(message["content"]["text"])
                if interrupt_at is not None and interrupt_at in "".join(written):
                    self.manager.interrupt_kernel()
            if message["msg_type"] == "error":
                failed.append(message["content"]["ename"])

        self.client.execute_interactive(cell, output_hook=hook, timeout=DEADLINE)
        return "".join(written).splitlines(), failed


@pytest.fixture
def kernel():
    """A kernel in a process of its own."""
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=DEADLINE)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.leaks("threads", "files", "children", reason="of the kernel's client")
def test_every_way_to_run_works_and_interrupting_the_cell_stops_a_service(kernel):
    assert kernel.run(FLOWS) == ([], [])
    assert kernel.run(EVERY_WAY) == (["[0, 2, 4] [0, 2, 4]", "[0, 2, 4]", "[0, 2, 4, 6, 8]", "42"], [])
    assert kernel.run(SERVED) == (["False", "ended"], [])
    assert kernel.run(INTERRUPTED, interrupt_at="begun") == (["begun"], ["CancelledError"])
    assert kernel.run(AFTERWARDS) == (["[] [0, 2, 4]"], [])
