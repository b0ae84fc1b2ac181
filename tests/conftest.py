"""What all tests share: the leak check, and how hypothesis looks for examples."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker

import pytest
from hypothesis import settings

from tests.leak_check import allowed_parts, watch

# For the tests of our own plugin.
pytest_plugins = ["pytester"]

# How long an example takes is no assertion here. In CI the examples are always the same: a
# failure belongs to the change that made it, and a new find to whoever looks for it.
settings.register_profile("suite", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("suite")


def pytest_configure() -> None:
    """A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _shared_processes() -> None:
    """Start what multiprocessing keeps for good, so that no single test is blamed for it."""
    resource_tracker.ensure_running()


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest, _shared_processes: None) -> Iterator[None]:
    """Set up before every other fixture of a test, and so torn down after all of them."""
    with watch(allowed_parts(request.node)):
        yield
    gc.freeze()


def pytest_collection_finish() -> None:
    """Collecting garbage after each test looks at what that test made, not at all of pytest."""
    gc.collect()
    gc.freeze()
