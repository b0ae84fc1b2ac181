"""What a soak has started does not outlive it."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from tests.chaos.delivery.outside import until
from tests.programs import Program
from tests.servers import lives

STARTS = """
    import signal, subprocess, sys
    from types import SimpleNamespace
    from tests.soak.guard import Guard
    with Guard() as guard:
        started = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait(60)"])
        guard.add(started, signal.SIGKILL)
        guard.add(SimpleNamespace(pid=OTHER), signal.SIGKILL)
        print(guard._process.pid, started.pid, flush=True)
        print("started", flush=True)
        sys.stdin.readline()
        started.kill()
        started.wait()
"""


@pytest.fixture
def other():
    """A process that is none of its."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        assert process.poll() is None
        process.kill()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="there are no handles of processes here")
@pytest.mark.parametrize("killed", [True, False])
def test_what_is_started_ends_with_it_and_nothing_else_does(other, killed):
    program = Program(STARTS.replace("OTHER", str(other.pid)), stdin=subprocess.PIPE)
    with program.process:
        program.wait_for("started")
        processes = [psutil.Process(int(each)) for each in program.out.split()[:2]]
        if killed:
            program.process.kill()
        program.process.stdin.close()
        program.end()
    until("nothing of it is left", lambda: not any(map(lives, processes)))
