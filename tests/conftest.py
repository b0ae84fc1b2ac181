"""What all tests share: the leak check, the loop, and how hypothesis looks for examples."""

from __future__ import annotations

import gc
import os
import signal
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import resource_tracker
from typing import Any

import pytest
from hypothesis import settings

from asyncdataflow.local import LocalEngine
from tests import loops
from tests.leak_check import allowed_parts, watch

# For the tests of our own plugin, and those with real servers.
pytest_plugins = ["pytester", "tests.server_fixtures"]

# How long an example takes is no assertion here. In CI the examples are always the same: a
# failure belongs to the change that made it, and a new find to whoever looks for it.
settings.register_profile("suite", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("suite")


def pytest_configure() -> None:
    """Set up the loop, and Ctrl-C.

    A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    loops.set_up()


@pytest.fixture(scope="session", autouse=True)
def _shared_processes() -> None:
    """Start what multiprocessing keeps for good, so that no single test is blamed for it."""
    resource_tracker.ensure_running()


@pytest.fixture(scope="module")
def light_processes() -> Iterator[None]:
    """Worker processes import the main program; pytest is of no use to them, and takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
        yield


@pytest.fixture
def no_default_executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing in the test makes an executor of threads, as a loop does for its default one."""
    made: list[object] = []
    make = ThreadPoolExecutor.__init__

    def making(self: ThreadPoolExecutor, *args: Any, **options: Any) -> None:
        made.append(self)
        make(self, *args, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "__init__", making)
    yield
    assert not made


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest, _shared_processes: None) -> Iterator[None]:
    """Set up before every other fixture of a test, and so torn down after all of them."""
    with watch(allowed_parts(request.node)):
        yield
    gc.freeze()


@pytest.fixture(params=[True, False], ids=["fused", "apart"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run of the test as flows are by default; and with a worker of its own for each stage."""
    begin = LocalEngine.begin
    if not request.param:
        monkeypatch.setattr(LocalEngine, "begin", lambda self, plan: begin(self, replace(plan, fuse=False)))


def pytest_collection_finish() -> None:
    """Collecting garbage after each test looks at what that test made, not at all of pytest."""
    gc.collect()
    gc.freeze()
