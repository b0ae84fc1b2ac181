"""Importing and constructing open and start nothing (invariant 28).

Asked of the interpreter itself, by an audit hook in a child process: it is told of every
file, socket, thread and child process. A hook can never be taken out again.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading

import pytest

from asyncdataflow import DataFlow, Sink, Source, stage
from tests.source import ROOT

PRELUDE = """
import _thread, json, sys, threading
seen = []
WATCHED = (
    "socket.", "subprocess.", "os.fork", "os.posix_spawn", "os.exec", "signal.", "tempfile.",
    "os.mkdir", "os.putenv",
)
def hook(event, args):
    if event == "open" and not str(args[0]).endswith((".py", ".pyc", ".so")):
        seen.append(f"open {args[0]!r} {args[1]!r}")
    elif event.startswith(WATCHED):
        seen.append(event)
def start_thread(*args, start=_thread.start_new_thread):
    seen.append("thread")
    return start(*args)
# No event of its own before 3.13, and another function since.
_thread.start_new_thread = threading._start_new_thread = start_thread
if sys.version_info >= (3, 13):
    def start_joinable(*args, start=threading._start_joinable_thread, **kwargs):
        seen.append("thread")
        return start(*args, **kwargs)
    threading._start_joinable_thread = start_joinable
"""

IMPORT = """
import asyncio, janus, logging, signal, warnings
handlers = {each: signal.getsignal(each) for each in signal.valid_signals()}
filters, loggers = list(warnings.filters), list(logging.root.handlers)
sys.addaudithook(hook)
import asyncdataflow
assert handlers == {each: signal.getsignal(each) for each in signal.valid_signals()}
assert filters == list(warnings.filters)
assert loggers == list(logging.root.handlers) and not logging.getLogger("asyncdataflow").handlers
"""

CONSTRUCT = """
import threading
from asyncdataflow import *
from multiprocessing import active_children
def read(limit):
    yield from range(limit)
async def fetch():
    yield 1
def square(n, *, db):
    return n * n
async def save(n):
    return n
class Rows:
    def __iter__(self):
        raise AssertionError
sys.addaudithook(hook)
flow = DataFlow(
    ((read, fetch, Rows()), merge, stage(square, concurrency=4), stage(abs, executor="process"),
     batch(3, seconds=1), flatten, route(lambda n: "save"),
     {"save": stage(save, retry=3, timeout=5), "other": save}),
    resources={"db": lambda: open("/dev/null")},
)
flow.graph, flow.draw(), flow.draw("mermaid"), flow.draw("dot"), flow.bound(), repr(flow)
DataFlow((flow,))
DataFlow("fetch | save", {"fetch": fetch, "save": save})
run = flow.stream({"limit": 3})
results = flow.iterate({"limit": 3})
repr(run), run.stats(), run.state, run.failures, iter(results)
del run, results
"""

REPORT = """
print(json.dumps(seen))
"""


def events(*parts):
    """What the interpreter told the hook in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "".join((PRELUDE, *parts, REPORT))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_hook_sees_what_it_is_to_see():
    """Else silence would prove nothing."""
    seen = events(
        "import asyncio, threading\nsys.addaudithook(hook)\n"
        "open('/dev/null').close(); threading.Thread(target=int).start(); asyncio.new_event_loop().close()\n"
    )
    assert any(each.startswith("open '/dev/null'") for each in seen)
    assert any("thread" in each for each in seen)
    assert any("socket" in each for each in seen)


def test_importing_starts_nothing_and_changes_nothing():
    assert events(IMPORT) == []


def test_constructing_drawing_and_making_runs_start_nothing():
    assert events(CONSTRUCT) == []


class NeverOpenedSource(Source):
    """Opened, it fails."""

    def open(self):
        raise AssertionError("opened")


class NeverOpenedSink(Sink):
    """Opened, it fails."""

    def open(self):
        raise AssertionError("opened")


async def with_its_own(item, *, own):
    return item


@pytest.mark.parametrize(
    "definition",
    [
        (NeverOpenedSource(), abs),
        (range(3), NeverOpenedSink()),
        (range(3), stage(with_its_own, per_worker={"own": lambda: 1 // 0})),
    ],
)
async def test_inside_a_loop_neither(definition):
    before = threading.active_count(), len(asyncio.all_tasks())
    flow = DataFlow(definition, resources={"db": lambda: 1 // 0})
    run = flow.stream()
    results = flow.iterate()
    await asyncio.sleep(0)
    assert (threading.active_count(), len(asyncio.all_tasks())) == before
    await run.aclose()
    results.close()
    assert (threading.active_count(), len(asyncio.all_tasks())) == before


async def test_an_awaitable_of_a_run_that_nobody_awaits_has_started_nothing():
    started = []

    async def source():
        started.append(True)

    with pytest.warns(RuntimeWarning, match="never awaited"):
        DataFlow(source).run()
    await asyncio.sleep(0)
    assert not started
