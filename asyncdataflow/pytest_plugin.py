"""The pytest plugin: the marker ``simulate``, the fixture ``virtual_clock``, and two options.

Every suite in an environment that has this package loads it, also those that have no use
for it. So it imports nothing of ``asyncdataflow.testing`` until a test asks for it, and
changes no test but those that do. It leaves collection alone: such a test is set up as ever, and
only when pytest, pytest-asyncio or anyio would call it, what they are given to call is an
ordinary function that runs it on a loop of its own. So it works beside them in each of
their modes, and without them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import shlex
import unittest
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from .testing.simulated_test import Marked  # noqa: F401 - in a string below
    from .testing.virtual_clock import VirtualClock

__all__ = (
    "pytest_addoption",
    "pytest_configure",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_runtest_setup",
    "virtual_clock",
)

_MARKER: Final = "simulate"
_SIGNATURE: Final = (
    "simulate(*, seeds=500, faults=None, most_turns=…): asyncdataflow runs this test once for each seed, "
    "each in another order of events, on virtual time, with whatever faults may come"
)

_OURS: Final = pytest.StashKey[bool]()
_FUNCTION: Final = pytest.StashKey[Callable[..., Any]]()
_MARKED: Final = pytest.StashKey["Marked"]()
_CLOCK: Final = pytest.StashKey["VirtualClock"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options, for the seeds of marked tests."""
    group = parser.getgroup("asyncdataflow", "simulated tests (asyncdataflow)")
    group.addoption(
        "--simulate-seed",
        type=int,
        default=None,
        metavar="N",
        help="run tests marked simulate on this seed only",
    )
    group.addoption(
        "--simulate-seeds",
        type=int,
        default=None,
        metavar="N",
        help="run tests marked simulate on so many seeds, whatever number their markers say",
    )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, unless the suite has registered one of that name for itself."""
    count = config.getoption("--simulate-seeds")
    if count is not None and count < 1:
        raise pytest.UsageError(
            f"--simulate-seeds={count}: at least one seed is needed, or nothing is tested"
        )
    theirs = {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    config.stash[_OURS] = _MARKER not in theirs
    if config.stash[_OURS]:
        config.addinivalue_line("markers", _SIGNATURE)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say that nothing is simulated, where the marker's name is taken."""
    if config.stash[_OURS]:
        return []
    return [f"asyncdataflow: {_MARKER} is a marker of this suite's own, so that nothing is simulated by it"]


@pytest.fixture
def virtual_clock(request: pytest.FixtureRequest) -> Iterator[VirtualClock]:
    """A clock on which nothing is waited for: ``virtual_clock.run(coroutine)`` and ``virtual_clock.now``.

    An ``async def`` test that asks for it runs on it altogether.
    """
    clock: VirtualClock = _testing("virtual_clock").VirtualClock()
    if isinstance(request.node, pytest.Function):
        request.node.stash[_CLOCK] = clock
        request.node.stash[_FUNCTION] = request.node.obj
    yield clock
    clock.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Read the marker before any fixture is made, and refuse what cannot be simulated."""
    marker = item.get_closest_marker(_MARKER)
    if marker is None or not item.config.stash[_OURS] or not isinstance(item, pytest.Function):
        return
    complaint = _cannot_be_simulated(item)
    if complaint is None:
        try:
            item.stash[_MARKED] = _testing("simulated_test").read_marker(marker.args, marker.kwargs)
        except (TypeError, ValueError) as error:
            complaint = str(error)
    if complaint is not None:
        pytest.fail(
            f"{item.nodeid}: {complaint}\n(a marker of your own? register it in your configuration, and this "
            "one is off; -p no:asyncdataflow switches the plugin off)",
            pytrace=False,
        )
    item.stash[_FUNCTION] = item.obj


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Give whoever calls the test a plain function to call, which runs it on a loop of its own."""
    __tracebackhide__ = True
    instead = _instead_of(pyfuncitem)
    if instead is None:
        return (yield)
    theirs, pyfuncitem.obj = pyfuncitem.obj, instead
    try:
        return (yield)
    finally:
        pyfuncitem.obj = theirs


def _instead_of(item: pytest.Function) -> Callable[..., None] | None:
    if _MARKED in item.stash:
        return functools.partial(_simulated, item)
    if _CLOCK in item.stash and inspect.iscoroutinefunction(item.stash[_FUNCTION]):
        return functools.partial(_on_virtual_time, item)
    return None


def _simulated(item: pytest.Function, **fixtures: Any) -> None:
    __tracebackhide__ = True
    marked = item.stash[_MARKED]
    option = item.config.getoption
    _testing("simulated_test").simulate_test(
        functools.partial(item.stash[_FUNCTION], **fixtures),
        marked,
        marked.each(option("--simulate-seed"), option("--simulate-seeds")),
        rerun=f"pytest {shlex.quote(item.nodeid)}",
        verdicts=(pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception),
        clock=item.stash.get(_CLOCK, None),
    )


def _on_virtual_time(item: pytest.Function, **fixtures: Any) -> None:
    __tracebackhide__ = True
    item.stash[_CLOCK].run(item.stash[_FUNCTION](**fixtures))


def _cannot_be_simulated(item: pytest.Function) -> str | None:
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        return "a method of a unittest.TestCase cannot be simulated: write a function, or a plain class"
    if getattr(item.obj, "is_hypothesis_test", False):
        return (
            "@given and simulate do not go together: call asyncdataflow.testing.simulate(…) in a plain test "
            "that hypothesis runs"
        )
    if inspect.isgeneratorfunction(item.obj) or inspect.isasyncgenfunction(item.obj):
        return "a test that yields cannot be simulated: it is an async def that returns nothing"
    return None


def _testing(module: str) -> Any:
    """A module of ``asyncdataflow.testing``, once a test needs it.

    An import at the top would be paid for by every pytest session in an environment that
    has this package installed.
    """
    return importlib.import_module(f".testing.{module}", __package__)
